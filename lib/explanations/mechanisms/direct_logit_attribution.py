"""Direct logit attribution: what each part of the residual stream adds to a difference of two logits by itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.hooks import watched_inputs
from lib.core.rules import PositiveInt
from lib.core.validation import check_indices

from .runs import check_positions, head_width, looking, outputs_of_layers

__all__ = ["DirectLogitAttribution", "direct_logit_attribution"]


@dataclass(frozen=True)
class DirectLogitAttribution:
    """Terms whose sum, heads aside, is the difference of two logits at one position.

    ``parts`` are in the order of their names; ``heads`` cut attention layers head by head, and count in ``parts`` already;
    ``rest`` is what the state holds beside the named parts, and ``constant`` what the biases of norm and head add.
    """

    parts: Float[Tensor, "parts batch"]
    heads: Float[Tensor, "layers heads batch"]
    rest: Float[Tensor, " batch"]
    constant: Float[Tensor, " batch"]


@checked
def direct_logit_attribution(
    model: nn.Module,
    inputs: Tensor,
    parts: Sequence[str],
    right: Int64[Tensor, " batch"],
    wrong: Int64[Tensor, " batch"],
    *,
    by_head: Sequence[str] = (),
    heads: PositiveInt = 1,
    position: int = -1,
    norm: str = "norm",
    head: str = "head",
    output: str = "output",
) -> DirectLogitAttribution:
    """Split the logit of ``right`` less that of ``wrong`` into what each named part of the residual stream adds by itself.

    Equation: eq-direct-logit-attribution. Elhage et al. 2021: the direct paths to the logits. Units: logits. ``parts`` name
    modules whose outputs add up to the state before the last ``norm``; what they leave of it is ``rest``, so that all
    terms add up to the difference whatever is named. The norm keeps the scale of the whole state, and is then linear.
    ``by_head`` are attention modules whose ``output`` maps the results of ``heads`` beside each other; its bias is no
    head's. What a part does through later layers is not counted.

    >>> model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.Linear(2, 5))
    >>> inputs, tokens = torch.randn(1, 3, 2), torch.tensor([4])
    >>> direct = direct_logit_attribution(model, inputs, ["0"], tokens, tokens - 1, norm="1", head="2")
    >>> bool(direct.rest.abs() < 1e-5), direct.parts.shape
    (True, torch.Size([1, 1]))

    Raises:
        TypeError: not a module, no tensor, tokens that are not int64, a head that is no linear map.
        ValueError: an unknown layer or one that does not run once, tokens outside the vocabulary, a norm that does not
            divide a state or its deviations by one number, heads that do not divide the width.
    """
    named = [*parts, *(name for name in by_head if name not in parts)]
    maps = [f"{name}.{output}" for name in by_head]
    with looking(model, inputs):
        check_positions([position], inputs.shape[1])
        modules = dict(model.named_modules(remove_duplicate=False))
        for name in (norm, head):
            if name not in modules:
                raise ValueError(f"norm and head must name modules of the model, got {name!r}; it has {list(modules)}")
        read, before = modules[head], {}
        if not isinstance(getattr(read, "weight", None), Tensor) or read.weight.ndim != 2:
            raise TypeError(f"head must name a linear map, got {head!r}, a {type(read).__name__}")
        for name, tokens in (("right", right), ("wrong", wrong)):
            if tokens.shape != inputs.shape[:1]:
                raise ValueError(
                    f"{name} must give one token for each of the {len(inputs)} examples, got {tuple(tokens.shape)}"
                )
            check_indices(name, tokens, len(read.weight), "the vocabulary")
        if not parts:
            raise ValueError("parts must name at least one module, got none")
        keep = {name: partial(_keep, before, name) for name in (norm, *maps)}
        with watched_inputs(model, keep):
            outputs, _ = outputs_of_layers(model, inputs, named)
        state = before[norm][:, position]
        direction, bias = read.weight[right] - read.weight[wrong], getattr(read, "bias", None)
        scaled, shift = _at_its_scale(modules[norm], norm, state)

        def direct(vectors: Float[Tensor, "*many batch width"]) -> Float[Tensor, "*many batch"]:
            return (scaled(vectors) * direction).sum(-1)

        constant = (shift * direction).sum(-1)
        if bias is not None:
            constant = constant + bias[right] - bias[wrong]
        for name in parts:
            if outputs[name].shape[-1] != state.shape[-1]:
                raise ValueError(
                    f"{name!r} must give as many features as the norm reads, {state.shape[-1]}, got {outputs[name].shape[-1]}"
                )
        states = torch.stack([outputs[name][:, position] for name in parts])
        of_heads = []
        for name in maps:
            width = head_width(model, name, heads)
            results = before[name][:, position].unflatten(-1, (heads, width))
            weight = model.get_submodule(name).weight.unflatten(1, (heads, width))
            of_heads.append(direct(torch.einsum("bhd,whd->hbw", results, weight)))
        return DirectLogitAttribution(
            parts=direct(states),
            heads=torch.stack(of_heads) if maps else state.new_zeros(0, heads, len(inputs)),
            rest=direct(state - states.sum(0)),
            constant=constant,
        )


def _keep(store: dict, name: str, x: Tensor) -> None:
    store[name] = x.detach().clone()


def _at_its_scale(norm: nn.Module, name: str, state: Float[Tensor, "batch width"]) -> tuple[Callable, Tensor]:
    """The linear map that the norm is at the scale of this state, and the bias that it adds."""
    weight, shift = getattr(norm, "weight", None), getattr(norm, "bias", None)
    weight = torch.ones_like(state[0]) if weight is None else weight
    shift = torch.zeros_like(state[0]) if shift is None else shift
    normed = norm(state) - shift
    for centred in (False, True):
        stretched = (state - state.mean(-1, keepdim=True) if centred else state) * weight
        scale = stretched.square().sum(-1) / (stretched * normed).sum(-1)  # least squares of one number a state
        if torch.allclose(stretched / scale[:, None], normed, rtol=1e-3, atol=1e-3):

            def scaled(vectors: Tensor, centred=centred, scale=scale) -> Tensor:
                vectors = vectors - vectors.mean(-1, keepdim=True) if centred else vectors
                return vectors * weight / scale[:, None]

            return scaled, shift
    raise ValueError(
        f"norm must divide a state, or its deviations from their mean, by one number, as {name!r}, "
        f"a {type(norm).__name__}, does not"
    )
