"""Grids whose steps are not even: floating point with 8 bits, and the quantiles of a normal distribution."""

from functools import cache
from typing import Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from lib.core.boundary import checked
from lib.core.validation import check_finite, values_can_be_read

from .grids import at_least_single

__all__ = ["FLOAT8", "Float8", "float8", "nearest", "normal_float_levels", "scaled_to_one"]

Float8 = Literal["e4m3", "e5m2"]
FLOAT8 = {"e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2}


@checked
def float8(
    x: Float[Tensor, "*groups members"], kind: Float8 = "e4m3"
) -> tuple[UInt8[Tensor, "*groups members"], Float[Tensor, "*groups 1"]]:
    """Eight-bit floats (as bytes) and the scale of each row, which puts its largest magnitude on the largest float.

    ``e4m3`` has 4 bits of exponent and 3 of mantissa and ends at 448, ``e5m2`` 5 and 2 and ends at 57,344. The step
    grows with the number, so the *relative* error is bounded: 1/16 and 1/8 for normal numbers. Source: Micikevicius
    et al. 2022, section 3. ``codes.view(torch.float8_e4m3fn)`` reads the bytes as numbers.

    >>> codes, scale = float8(torch.tensor([[0.3, -448.0]]))
    >>> (codes.view(torch.float8_e4m3fn).float() * scale).tolist()
    [[0.3125, -448.0]]

    Raises:
        ValueError: NaN or infinity, another kind.
    """
    largest = torch.finfo(FLOAT8[kind]).max
    scaled, magnitude = scaled_to_one(x)
    return (scaled * largest).to(FLOAT8[kind]).view(torch.uint8), magnitude / largest


@cache
def normal_float_levels() -> Float[Tensor, "16"]:
    """The 16 levels of NF4: quantiles of a standard normal distribution, scaled to −1 … 1, one of them 0.

    Seven quantiles below 0, eight above, evenly spaced in probability from 1/2 to 1 − (1/32 + 1/30)/2. Source:
    Dettmers et al. 2023, section 3 and appendix E.

    >>> normal_float_levels()[[0, 7, 15]]
    tensor([-1.,  0.,  1.])
    """
    outermost = 1 - (1 / 32 + 1 / 30) / 2
    below = -torch.special.ndtri(torch.linspace(outermost, 0.5, 8, dtype=torch.float64)[:-1])
    above = torch.special.ndtri(torch.linspace(outermost, 0.5, 9, dtype=torch.float64)[:-1])
    levels = torch.cat([below, torch.zeros(1, dtype=torch.float64), above]).sort().values
    return (levels / levels.abs().max()).float()


@checked
def nearest(x: Float[Tensor, "*shape"], levels: Float[Tensor, " levels"]) -> UInt8[Tensor, "*shape"]:
    """The number of the nearest of rising levels, at most 256 of them.

    >>> nearest(torch.tensor([-5.0, 0.1, 0.6]), torch.tensor([0.0, 1.0]))
    tensor([0, 0, 1], dtype=torch.uint8)

    Raises:
        ValueError: NaN or infinity, more than 256 levels, levels that do not rise.
    """
    if len(levels) > 256:
        raise ValueError(f"levels must be at most 256, whose numbers a byte holds, got {len(levels)}")
    if values_can_be_read(x):
        check_finite("x", x)
        check_finite("levels", levels)
        if not (levels[1:] > levels[:-1]).all():
            raise ValueError(f"levels must rise, got {levels.tolist()}")
    middles = (levels[1:] + levels[:-1]) / 2
    return torch.bucketize(x, middles).to(torch.uint8)


def scaled_to_one(x: Tensor) -> tuple[Tensor, Tensor]:
    """Rows divided by their largest magnitude, and that magnitude (1 for a row of zeros).

    Raises:
        ValueError: NaN or infinity.
    """
    if values_can_be_read(x):
        check_finite("x", x)
    x = at_least_single(x)
    magnitude = x.abs().amax(-1, keepdim=True)
    magnitude = torch.where(magnitude == 0, 1, magnitude)
    return x / magnitude, magnitude
