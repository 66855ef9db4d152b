"""Round one column after the other, and let the columns that are left make up for it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.rules import PositiveFloat, PositiveInt

from .calibration_data import check_second_moments, damped_root
from .granularity import grouped
from .grids import Grid, at_least_single, check_bits, dequantize, quantize
from .ranges import Limits, grid_for, min_max
from .weight_only import IntegerLayer

__all__ = ["gptq"]

_BLOCK = 128  # columns after which the errors are carried to all that are left, in one product


@checked
def gptq(
    layer: nn.Module,
    second_moments: Float[Tensor, "features features"],
    bits: int = 4,
    *,
    group: PositiveInt | None = None,
    symmetric: bool = True,
    limits: Limits = min_max,
    damping: PositiveFloat = 0.01,
) -> IntegerLayer:
    """Round a weight so that its *outputs* stay near: what rounding a column costs is put on the columns left.

    Equation: eq-gptq-update

    ``second_moments`` H, the mean of x xᵀ over the inputs x (:func:`~lib.compression.recorded_inputs.record_inputs`), gets ``damping`` times its mean
    diagonal. Columns are taken from left to right; the grid of a group (of the whole channel without one) is set when
    its first column is reached. Source: Frantar et al. 2023, section 3, without the order by activations.

    >>> gptq(nn.Linear(64, 8), torch.eye(64), bits=4, group=32).scale.shape
    torch.Size([8, 2, 1])

    Raises:
        TypeError: not a Linear or Conv2d.
        ValueError: bits outside 2 … 8, a group that does not divide the inputs; moments of another size, not finite,
            all 0, or negative along some direction, which no inputs have.
    """
    check_bits(bits)
    check_second_moments(second_moments, layer)
    weight = at_least_single(layer.weight.detach()).flatten(1).clone()
    rows, inputs = weight.shape
    shape = grouped(weight, group or "channel").shape
    # The upper Cholesky factor U of H⁻¹: row q says in what proportion an error in column q goes to those after it.
    root = damped_root(second_moments, damping, weight.dtype)
    carry = torch.linalg.cholesky(torch.cholesky_inverse(root), upper=True)
    codes, grids = [], []
    for start in range(0, inputs, group or _BLOCK):
        stop = min(start + (group or _BLOCK), inputs)
        if group or start == 0:
            grids.append(
                grid_for(weight[:, start : start + (group or inputs)], bits, symmetric=symmetric, limits=limits)
            )
        errors = weight.new_zeros(rows, stop - start)
        for column in range(start, stop):
            number = weight[:, column : column + 1]
            codes.append(quantize(number, grids[-1]))
            error = (number - dequantize(codes[-1], grids[-1])) / carry[column, column]
            weight[:, column + 1 : stop] -= error * carry[column, column + 1 : stop]
            errors[:, column - start] = error[:, 0]
        weight[:, stop:] -= errors @ carry[start:stop, stop:]
    scale, zero_point = (torch.stack([getattr(grid, part) for grid in grids], 1) for part in ("scale", "zero_point"))
    grid = Grid(scale, zero_point, grids[0].low, grids[0].high)
    return IntegerLayer(layer, torch.cat(codes, 1).reshape(shape), grid, bits)
