"""Does an explanation depend on what the model has learned?"""

import copy
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .gradients import check_inputs

__all__ = ["cascading_randomization", "rank_correlation"]


@torch.no_grad()
def cascading_randomization(
    model: nn.Module, explain: Callable[[nn.Module], Tensor], *, generator: torch.Generator
) -> dict[str, Tensor]:
    """Explain a copy of the model while its layers are randomised from the top down, one after the other.

    Adebayo et al. 2018: an explanation that stays the same does not depend on the weights. Returns
    layer name → ``explain(copy)`` in that order; the first entry, under ``""``, is the trained model's. Each
    parameter tensor of a layer is drawn anew from a normal distribution with its own mean and standard
    deviation, so that the scale survives and the learned pattern does not. Buffers stay. The model itself
    is never changed.

    Raises:
        TypeError: a model that is not a module.
        ValueError: a model without parameters.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module to have layers, got {type(model).__name__}")
    randomised = copy.deepcopy(model)
    layers = {
        name: list(module.parameters(recurse=False))
        for name, module in randomised.named_modules()
        if any(True for _ in module.parameters(recurse=False))
    }
    if not layers:
        raise ValueError(f"model must have parameters to randomise, got {type(model).__name__} without any")
    with torch.enable_grad():
        explanations = {"": explain(randomised)}
    for name, parameters in reversed(layers.items()):
        for parameter in parameters:
            draw = torch.randn(parameter.shape, generator=generator, device=generator.device, dtype=parameter.dtype)
            parameter.copy_(parameter.mean() + parameter.std(correction=0) * draw.to(parameter.device))
        with torch.enable_grad():
            explanations[name or "(root)"] = explain(randomised)
    return explanations


def rank_correlation(
    first: Float[Tensor, "batch *features"], second: Float[Tensor, "batch *features"]
) -> Float[Tensor, " batch"]:
    """Spearman's correlation of two explanations of the same examples, over all entries of an example.

    Equation: eq-rank-correlation. Tied values share their mean rank. In [-1, 1]; NaN where one of the
    two is constant and so ranks nothing.

    Raises:
        TypeError: values that are not floating point.
        ValueError: shapes that differ, nothing to rank, NaN or infinity.
    """
    for name, values in (("first", first), ("second", second)):
        check_inputs(values, name)
    if first.shape != second.shape:
        raise ValueError(
            f"first and second must have the same shape, got {tuple(first.shape)} and {tuple(second.shape)}"
        )
    # On the CPU in double precision: ranks of a photograph are large numbers, and not every device has doubles.
    ranks = torch.stack([_mean_ranks(values.detach().cpu().flatten(1)) for values in (first, second)])
    ranks -= ranks.mean(dim=2, keepdim=True)
    covariance = (ranks[0] * ranks[1]).sum(dim=1)
    correlation = covariance / ranks.square().sum(dim=2).prod(dim=0).sqrt()
    return correlation.to(first)


def _mean_ranks(values: Tensor) -> Tensor:
    """Rank of each value in its row, counted from half; ties get the middle of the ranks they cover."""
    ordered = values.sort(dim=1).values
    below = torch.searchsorted(ordered, values, right=False)
    up_to = torch.searchsorted(ordered, values, right=True)
    return (below + up_to).double() / 2
