"""Which range of numbers the grid covers: what lies outside is clipped to its ends."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from lib.core.boundary import checked
from lib.core.rules import PositiveInt, Share
from lib.core.validation import check_finite, values_can_be_read

from .grids import Grid, affine_grid, at_least_single, check_bits, dequantize, quantize, symmetric_grid

__all__ = ["Limits", "grid_for", "least_error", "min_max", "percentile"]

Limits = Callable[[Tensor], tuple[Tensor, Tensor]]


@checked
def min_max(x: Float[Tensor, "*groups members"]) -> tuple[Float[Tensor, "*groups"], Float[Tensor, "*groups"]]:
    """The smallest and the largest number along the last axis: nothing is clipped.

    >>> min_max(torch.tensor([[-1.0, 0.0, 4.0]]))
    (tensor([-1.]), tensor([4.]))

    Raises:
        ValueError: no number, NaN or infinity.
    """
    _check_numbers(x)
    return x.amin(-1), x.amax(-1)


@checked
def percentile(
    x: Float[Tensor, "*groups members"], share: Share = 0.999
) -> tuple[Float[Tensor, "*groups"], Float[Tensor, "*groups"]]:
    """The ends between which this share of the numbers lies, equally many left out on either side.

    Quantiles are interpolated between neighbours, as :func:`torch.quantile` does.

    >>> percentile(torch.arange(101.0), share=0.9)
    (tensor(5.), tensor(95.))

    Raises:
        ValueError: no number, NaN or infinity, a share outside 0 … 1.
    """
    _check_numbers(x)
    # torch.quantile stops at 16 million numbers; sorting does not.
    ordered = at_least_single(x).sort(-1).values
    return _quantile(ordered, (1 - share) / 2), _quantile(ordered, (1 + share) / 2)


@checked
def least_error(
    x: Float[Tensor, "*groups members"], bits: int, *, symmetric: bool = True, candidates: PositiveInt = 40
) -> tuple[Float[Tensor, "*groups"], Float[Tensor, "*groups"]]:
    """The ends, each the same share of :func:`~lib.compression.ranges.min_max`'s, with the least squared error after rounding and clipping.

    Equation: eq-clipping-error

    Tried are the shares 1/candidates, 2/candidates … 1, for each row along the last axis by itself.

    >>> least_error(torch.tensor([[-1.0, 1.0, 1.0, 1.0, 1.5]]), bits=2, candidates=3)
    (tensor([-0.6667]), tensor([1.]))

    Raises:
        ValueError: no number, NaN or infinity, bits outside 2 … 8, no candidate.
    """
    check_bits(bits)
    _check_numbers(x)
    low, high = x.amin(-1), x.amax(-1)
    best = torch.full_like(at_least_single(low), torch.inf)
    chosen = torch.ones_like(best)
    for number in range(candidates, 0, -1):
        share = number / candidates
        grid = _grid((share * low)[..., None], (share * high)[..., None], bits, symmetric)
        error = (dequantize(quantize(x, grid), grid) - x).square().mean(-1)
        better = error < best
        best, chosen = torch.where(better, error, best), torch.where(better, share, chosen)
    return (chosen * low).to(x.dtype), (chosen * high).to(x.dtype)


@checked
def grid_for(
    x: Float[Tensor, "*groups members"], bits: int, *, symmetric: bool = True, limits: Limits = min_max
) -> Grid:
    """The grid for numbers that share a step along the last axis, with its range from ``limits``.

    ``limits`` is :func:`~lib.compression.ranges.min_max`, or ``partial(percentile, share=0.99)``, or ``partial(least_error, bits=4)``. A
    symmetric grid reaches as far as the end that is further from 0. Scale and zero point have an axis of length 1
    for the members.

    >>> grid_for(torch.tensor([[-3.0, 1.0], [0.0, 7.0]]), bits=4, symmetric=True).scale
    tensor([[0.4286],
            [1.0000]])

    Raises:
        ValueError: bits outside 2 … 8, and as ``limits``.
    """
    return _grid(*(end[..., None] for end in ends_of(x, limits)), bits, symmetric)


def ends_of(x: Float[Tensor, "*groups members"], limits: Limits) -> tuple[Tensor, Tensor]:
    """What ``limits`` gives for ``x``: the low and the high end of each group.

    Raises:
        TypeError: anything but two tensors.
        ValueError: tensors of another shape.
    """
    ends = limits(x)
    if not (isinstance(ends, tuple | list) and len(ends) == 2 and all(isinstance(end, Tensor) for end in ends)):
        raise TypeError(f"limits must return two tensors, a low and a high end, got {type(ends).__name__}")
    low, high = ends
    try:
        return low.expand(x.shape[:-1]), high.expand(x.shape[:-1])
    except RuntimeError:
        raise ValueError(
            f"limits must return ends of shape {tuple(x.shape[:-1])}, got {tuple(low.shape)} and {tuple(high.shape)}"
        ) from None


def _grid(low: Tensor, high: Tensor, bits: int, symmetric: bool) -> Grid:
    return symmetric_grid(torch.maximum(low.abs(), high.abs()), bits) if symmetric else affine_grid(low, high, bits)


def _quantile(ordered: Tensor, share: float) -> Tensor:
    place = share * (ordered.shape[-1] - 1)
    below = int(place)
    above = min(below + 1, ordered.shape[-1] - 1)
    return torch.lerp(ordered[..., below], ordered[..., above], place - below)


def _check_numbers(x: Tensor) -> None:
    if values_can_be_read(x):
        check_finite("x", x)
