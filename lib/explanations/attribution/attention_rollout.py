"""Attention followed through the layers: rollout, and attention weighted by the gradient of a score."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.hooks import capture, rewrite_inputs
from lib.core.rules import PositiveInt
from lib.explanations.mechanisms.attention_patterns import attention_patterns
from lib.explanations.mechanisms.runs import check_patterns, checked_scores, head_width, looking

__all__ = ["attention_rollout", "gradient_weighted_attention"]


@checked
def attention_rollout(
    patterns: Float[Tensor, "layers batch heads time time"],
) -> Float[Tensor, "batch time time"]:
    """Follow attention from the last layer to the inputs: the product of ½ (mean over heads + identity) over the layers.

    Equation: eq-attention-rollout (Abnar & Zuidema 2020, section "Attention rollout"). Row t: what position t takes from
    each input position if values and MLPs did not matter and the residual path counted as much as attention. Rows that
    sum to 1 give rows that sum to 1, causal patterns a causal result. No score enters: each answer has the same row.

    >>> attention_rollout(torch.eye(3).expand(2, 1, 4, 3, 3))[0]
    tensor([[1., 0., 0.],
            [0., 1., 0.],
            [0., 0., 1.]])

    Raises:
        TypeError: patterns that are not floating point.
        ValueError: another number of axes, patterns that are not square, rows that are no averages.
    """
    check_patterns(patterns)
    identity = torch.eye(patterns.shape[-1], dtype=patterns.dtype, device=patterns.device)
    rollout = identity.expand(patterns.shape[1], -1, -1)
    for pattern in patterns:
        rollout = (pattern.mean(1) + identity) / 2 @ rollout
    return rollout


@checked
def gradient_weighted_attention(
    model: nn.Module,
    inputs: Tensor,
    layers: Sequence[str],
    *,
    heads: PositiveInt,
    score: Callable[[Tensor], Float[Tensor, " batch"]],
    value: str = "value",
    output: str = "output",
) -> Float[Tensor, "batch time time"]:
    """Follow attention through the layers, each weight times the score's gradient by it: R ← R + mean_h (∇A ⊙ A)⁺ R.

    Equation: eq-gradient-weighted-attention (Chefer, Gur & Wolf 2021, equations 5 and 6). R starts as the identity.
    ``layers``, first layer first, ``value`` and ``output`` are those of
    :func:`~lib.explanations.mechanisms.attention_patterns.attention_patterns`, ``score(outputs) -> [batch]``. A head's result for q is
    Σ_k A_qk v_k, so the gradient by A_qk is that by this result times v_k: the model need not give its weights out.
    Row t is what speaks for the score, in its units, beside the 1 of position t itself.

    >>> class Mean(nn.Module):  # every position takes as much of each
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.value, self.output = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    ...     def forward(self, x):
    ...         return self.output(self.value(x).mean(1, keepdim=True).expand_as(x))
    >>> model = nn.Sequential(Mean())
    >>> _ = [nn.init.ones_(weight) for weight in model.parameters()]
    >>> x = torch.tensor([[[3.0], [1.0]]])
    >>> gradient_weighted_attention(model, x, ["0"], heads=1, score=lambda outputs: outputs[:, 0, 0])[0, 0]
    tensor([2.5000, 0.5000])

    Raises:
        TypeError: as :func:`~lib.explanations.mechanisms.attention_patterns.attention_patterns`.
        ValueError: likewise; scores of another shape or that are NaN, no gradient path from a layer to the score.
    """
    patterns = attention_patterns(model, inputs, layers, heads=heads, value=value, output=output)
    slopes = {}

    def tapped(name: str) -> Callable[[Tensor], Tensor]:
        def tap(results: Tensor) -> Tensor:
            slopes[name] = torch.zeros_like(results, requires_grad=True)
            return results + slopes[name]

        return tap

    values, results = ([f"{layer}.{part}" for layer in layers] for part in (value, output))
    with (
        looking(model, inputs),
        torch.inference_mode(False),
        torch.enable_grad(),
        rewrite_inputs(model, {name: tapped(name) for name in results}),
        capture(model, values) as seen,
    ):
        scores = checked_scores(score, model(inputs.clone()), len(inputs))
        by_results = [None] * len(layers)
        if scores.requires_grad:
            by_results = torch.autograd.grad(scores.sum(), [slopes[name] for name in results], allow_unused=True)
    relevance = torch.eye(inputs.shape[1], dtype=patterns.dtype, device=patterns.device).expand(len(inputs), -1, -1)
    for layer, pattern, slope in zip(layers, patterns, by_results, strict=True):
        if slope is None:
            raise ValueError(f"no gradient leads from the score back to layer {layer!r}")
        width = head_width(model, f"{layer}.{output}", heads)
        v = seen[f"{layer}.{value}"].detach().unflatten(-1, (-1, width))
        v = v.repeat_interleave(heads // v.shape[2], 2)  # neighbouring heads share values
        by_weights = torch.einsum("bqhd,bkhd->bhqk", slope.unflatten(-1, (heads, width)), v)
        relevance = relevance + (by_weights * pattern).relu().mean(1) @ relevance
    return relevance
