"""Evenly spaced grids: a real number becomes an integer, an integer becomes a real number again."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from lib.core.boundary import checked
from lib.core.validation import check_finite, values_can_be_read

__all__ = ["Grid", "affine_grid", "at_least_single", "check_bits", "dequantize", "quantize", "symmetric_grid"]


@checked
@dataclass(frozen=True)
class Grid:
    """The numbers s·(q − z) for the integers q = low … high.

    ``scale`` s, the step, and ``zero_point`` z, the integer that stands for 0, broadcast against what is quantized:
    one pair for a tensor, for a channel or for a group.

    Raises:
        TypeError: a scale that is not floating point, a zero point that does not hold integers.
        ValueError: shapes that differ, low above high, a step that is not finite and above 0; in the calls, a grid
            that does not broadcast against the tensor.
    """

    scale: Float[Tensor, "*groups"]
    zero_point: Int[Tensor, "*groups"]
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low must not be above high, got {self.low} and {self.high}")
        if self.scale.device.type != "meta" and not ((self.scale > 0) & self.scale.isfinite()).all():
            raise ValueError(
                f"a step must be finite and above 0, got {self.scale.min().item()} … {self.scale.max().item()}"
            )

    def check_fits(self, x: Tensor) -> None:
        """Require a tensor that has a step for each of its numbers.

        Raises:
            ValueError: another shape, which the steps do not broadcast to.
        """
        sizes, steps = x.shape[::-1], self.scale.shape[::-1]
        if len(steps) > len(sizes) or any(step not in (1, size) for step, size in zip(steps, sizes, strict=False)):
            raise ValueError(
                f"the grid's steps must broadcast to the tensor's shape {tuple(x.shape)}, got {tuple(self.scale.shape)}"
            )


@checked
def affine_grid(low: Float[Tensor, "*groups"], high: Float[Tensor, "*groups"], bits: int) -> Grid:
    """The grid of 2^bits steps over a range, which is widened to hold 0: s = (β − α)/(2^b − 1), z = round(−α/s).

    Equation: eq-affine-grid

    Zero is on the grid, so that padding and pruned weights stay exact. Codes are 0 … 2^b − 1. Source: Jacob et al.
    2018, equation 1 and section 3. A range that is only 0 has the step 1.

    >>> affine_grid(torch.tensor(-1.0), torch.tensor(2.0), bits=2).zero_point
    tensor(1, dtype=torch.int32)

    Raises:
        ValueError: bits outside 2 … 8, a range with NaN or infinity, or whose low end is above its high end.
    """
    check_bits(bits)
    _check_range(low, high)
    low, high = at_least_single(low).clamp(max=0), at_least_single(high).clamp(min=0)
    scale = _step(high / (2**bits - 1) - low / (2**bits - 1))
    return Grid(scale, (-low / scale).round().int(), 0, 2**bits - 1)


@checked
def symmetric_grid(magnitude: Float[Tensor, "*groups"], bits: int) -> Grid:
    """The grid around 0 that reaches to ±magnitude: s = m/(2^(b−1) − 1), z = 0.

    Equation: eq-symmetric-grid

    Codes are −(2^(b−1) − 1) … 2^(b−1) − 1: the one more that b bits would hold on the negative side is left out, so
    that −x is on the grid whenever x is. A magnitude of 0 has the step 1.

    >>> symmetric_grid(torch.tensor(14.0), bits=4).scale
    tensor(2.)

    Raises:
        ValueError: bits outside 2 … 8, a magnitude that is negative, NaN or infinite.
    """
    check_bits(bits)
    _check_range(torch.zeros_like(magnitude), magnitude)
    most = 2 ** (bits - 1) - 1
    scale = _step(at_least_single(magnitude) / most)
    return Grid(scale, torch.zeros_like(scale, dtype=torch.int32), -most, most)


@checked
def quantize(x: Float[Tensor, "*shape"], grid: Grid) -> Integer[Tensor, "*shape"]:
    """The code of each number: q = clip(round(x/s) + z, low, high); int8 for a symmetric grid, uint8 for an affine one.

    Equation: eq-quantize

    Halves go to the even integer, as torch rounds.

    >>> quantize(torch.tensor([-9.0, -2.2, 0.0, 3.0]), symmetric_grid(torch.tensor(7.0), bits=4))
    tensor([-7, -2,  0,  3], dtype=torch.int8)

    Raises:
        ValueError: NaN or infinity, which no code stands for.
    """
    if values_can_be_read(x):
        check_finite("x", x)
    grid.check_fits(x)
    codes = ((at_least_single(x) / grid.scale).round() + grid.zero_point).clamp(grid.low, grid.high)
    return codes.to(torch.int8 if grid.low < 0 else torch.uint8)


@checked
def dequantize(codes: Integer[Tensor, "*shape"], grid: Grid) -> Float[Tensor, "*shape"]:
    """The number that a code stands for: x̂ = s (q − z).

    Equation: eq-quantize

    Inside the range it is at most s/2 from the number that was quantized; rounding z can clip an end of the range by
    up to another s/2.

    >>> dequantize(torch.tensor([-7, 3]), symmetric_grid(torch.tensor(14.0), bits=4))
    tensor([-14.,   6.])

    Raises:
        TypeError: codes that are not integers.
    """
    grid.check_fits(codes)
    return at_least_single(grid.scale) * (codes.int() - grid.zero_point)


def check_bits(bits: int) -> None:
    """Require 2 … 8 bits: one bit has no symmetric grid, and a code is stored in a byte at most.

    Raises:
        ValueError: outside.
    """
    if not 2 <= bits <= 8:
        raise ValueError(f"bits must lie in 2 … 8, got {bits}")


def at_least_single(x: Tensor) -> Tensor:
    """Half precision as float32, in which a step keeps its digits; other tensors as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _check_range(low: Tensor, high: Tensor) -> None:
    if not values_can_be_read(high):
        return
    check_finite("the low end of the range", low)
    check_finite("the high end of the range", high)
    if (low > high).any():
        wrong = (low > high).nonzero()[0]
        first = tuple(wrong.tolist())
        raise ValueError(
            f"the range's low end must not be above its high end, got {low[first].item()} above {high[first].item()}"
        )


def _step(step: Tensor) -> Tensor:
    """At least the smallest normal number; where the range is only 0, any step will do, and 1 is taken."""
    return torch.where(step == 0, 1, step.clamp(min=torch.finfo(step.dtype).tiny))
