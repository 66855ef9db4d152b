"""Is what the explanation calls important what the model uses? Take it away, or give it back, and see."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lib.core.targets import Target
from lib.core.validation import check_finite, check_floating, check_positive_int
from lib.explanations.baselines import baseline_like
from lib.explanations.calls import Score, at_least_single, explaining

__all__ = ["FaithfulnessCurve", "deletion_curve", "insertion_curve"]


@dataclass(frozen=True)
class FaithfulnessCurve:
    """The target's probability while entries are deleted or inserted, most important first.

    ``fraction`` of entries treated, 0 to 1; ``probability`` at each, one row an example; ``area`` under the
    curve by the trapezoid rule, one number an example, in [0, 1].
    """

    fraction: Float[Tensor, " points"]
    probability: Float[Tensor, "batch points"]
    area: Float[Tensor, " batch"]


def deletion_curve(
    model: Callable,
    inputs: Float[Tensor, "batch *features"],
    target: Target,
    attributions: Float[Tensor, "batch *units"],
    *,
    steps: int = 20,
    baseline: Real | Tensor = 0.0,
    outputs: str = "logits",
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> FaithfulnessCurve:
    """Replace entries by the baseline in falling order of attribution; a small area speaks for the method.

    Equation: eq-deletion-area. Petsiuk et al. 2018, the deletion metric. An axis on which ``attributions`` has
    size 1 is deleted as a whole: ``attributions.sum(1, keepdim=True)`` ranks pixels rather than colours.
    Compare with a random order on the same inputs; the area alone says nothing. ``outputs`` says what the model
    returns: ``"logits"``, of which the softmax is taken, or ``"probabilities"``.

    >>> x = torch.tensor([[1.0, 3.0]])
    >>> deletion_curve(lambda x: x, x, 1, attributions=x, steps=2).probability
    tensor([[0.8808, 0.2689, 0.5000]])

    Raises:
        TypeError: inputs that are not floating point, a target that is no class index.
        ValueError: attributions of another shape or with NaN, too many steps, outputs that are not what they are said to be.
    """
    with explaining(model, inputs, target, arguments=arguments, chunk_size=chunk_size) as score:
        return _curve(score, score.inputs, baseline_like(baseline, score.inputs), attributions, steps, outputs)


def insertion_curve(
    model: Callable,
    inputs: Float[Tensor, "batch *features"],
    target: Target,
    attributions: Float[Tensor, "batch *units"],
    *,
    steps: int = 20,
    baseline: Real | Tensor = 0.0,
    outputs: str = "logits",
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> FaithfulnessCurve:
    """Start at the baseline and reveal entries in falling order of attribution; a large area speaks for the method.

    Equation: eq-insertion-area. Petsiuk et al. 2018, the insertion metric; shapes and errors as in `deletion_curve`.

    >>> x = torch.tensor([[1.0, 3.0]])
    >>> insertion_curve(lambda x: x, x, 1, attributions=x, steps=2).probability
    tensor([[0.5000, 0.9526, 0.8808]])
    """
    with explaining(model, inputs, target, arguments=arguments, chunk_size=chunk_size) as score:
        return _curve(score, baseline_like(baseline, score.inputs), score.inputs, attributions, steps, outputs)


def _curve(score: Score, start: Tensor, end: Tensor, attributions: Tensor, steps: int, kind: str) -> FaithfulnessCurve:
    """Walk from ``start`` to ``end``, the most important entries first."""
    ranks = _ranks(attributions, end)
    entries = ranks[0].numel()
    check_positive_int("steps", steps)
    if steps > entries:
        raise ValueError(f"steps must be at most the {entries} entries that are ranked, got {steps}")
    if kind not in ("logits", "probabilities"):
        raise ValueError(f"outputs must be 'logits' or 'probabilities', got {kind!r}")
    batch = len(end)
    changed = torch.tensor([round(entries * step / steps) for step in range(steps + 1)], device=end.device)
    probabilities = []
    for part in torch.arange((steps + 1) * batch, device=end.device).split(score.chunk):
        step, rows = part // batch, part % batch
        done = ranks[rows] < changed[step].reshape(-1, *[1] * (end.ndim - 1))
        outputs = score.outputs(torch.where(done, end[rows], start[rows]), rows)
        outputs = _as_probabilities(outputs.to(at_least_single(outputs.dtype)), kind)
        probabilities.append(outputs.gather(1, score.target[rows, None]).squeeze(1))
        check_finite("the explained score", probabilities[-1])
    probability = torch.cat(probabilities).reshape(steps + 1, batch).T
    fraction = (changed / entries).to(probability)
    return FaithfulnessCurve(fraction, probability, torch.trapezoid(probability, fraction))


def _as_probabilities(outputs: Float[Tensor, "points classes"], kind: str) -> Float[Tensor, "points classes"]:
    """Softmax of logits; probabilities as they are. What is plainly the other kind is refused."""
    between = ((outputs >= 0) & (outputs <= 1 + 1e-3)).all()
    if kind == "probabilities":
        if not between:
            raise ValueError(
                f"outputs='probabilities' must lie in [0, 1], got {outputs.min():.4g} to {outputs.max():.4g}"
            )
        return outputs
    if outputs.shape[1] == 1:
        raise ValueError("the model must tell at least 2 classes apart, or the probability is always 1; got 1")
    # Rows of a half-precision softmax add up to 1 only within a few thousandths.
    if between and ((outputs.sum(dim=1) - 1).abs() < 5e-3).all():
        raise ValueError(
            "outputs='logits' must not be probabilities already, got rows that are positive and add up to 1; "
            "say outputs='probabilities', or leave out the model's softmax"
        )
    return outputs.softmax(dim=1)


def _ranks(attributions: Tensor, inputs: Tensor) -> Int64[Tensor, "batch *units"]:
    """0 for the entry with the highest attribution of its example, then 1, …; ties keep their order."""
    fits = (
        isinstance(attributions, Tensor)
        and attributions.ndim == inputs.ndim
        and len(attributions) == len(inputs)
        and all(size in (1, full) for size, full in zip(attributions.shape[1:], inputs.shape[1:], strict=True))
    )
    if not fits:
        shape = tuple(attributions.shape) if isinstance(attributions, Tensor) else type(attributions).__name__
        raise ValueError(
            f"attributions must have the inputs' shape {tuple(inputs.shape)}, or 1 on axes treated as a whole, got {shape}"
        )
    check_floating("attributions", attributions)
    check_finite("attributions", attributions)
    order = attributions.detach().to(inputs.device).flatten(1).argsort(dim=1, descending=True, stable=True)
    ranks = torch.empty_like(order)
    positions = torch.arange(math.prod(attributions.shape[1:]), device=inputs.device)
    return ranks.scatter_(1, order, positions.expand_as(order)).reshape(attributions.shape)
