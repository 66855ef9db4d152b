"""Before rounding, enlarge the columns of the weight that meet large inputs."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.rules import PositiveInt

from .calibration_data import check_second_moments, output_error
from .granularity import Granularity, grouped
from .grids import at_least_single, dequantize, quantize
from .ranges import Limits, grid_for, min_max
from .weight_only import IntegerLayer

__all__ = ["awq"]


@checked
def awq(
    layer: nn.Module,
    second_moments: Float[Tensor, "features features"],
    bits: int = 4,
    *,
    per: Granularity = "channel",
    symmetric: bool = True,
    limits: Limits = min_max,
    candidates: PositiveInt = 8,
) -> IntegerLayer:
    """Round W diag(f) and divide by f afterwards, f_j = (mean x_j²)^(a/2), with the a of least output error.

    Tried are a = 0, which rounds W itself, 1/candidates, … 1; the error is :func:`~lib.compression.calibration_data.output_error`. The factors are
    scaled so that the largest times the smallest is 1. Source: Lin et al. 2024, section 3.2, who take the mean of
    \\|x_j\\|; here it is the root of the mean square, which ``second_moments`` H hold on their diagonal.

    >>> awq(nn.Linear(64, 8), torch.eye(64), bits=4, per=32).input_factor.shape
    torch.Size([64])

    Raises:
        TypeError: not a Linear or Conv2d.
        ValueError: bits outside 2 … 8, a group that does not divide the inputs, moments of another size, not finite
            or all 0.
    """
    check_second_moments(second_moments, layer)
    weight = at_least_single(layer.weight.detach()).flatten(1)
    squares = second_moments.diagonal().to(weight)
    squares = torch.where(squares > 0, squares, squares[squares > 0].min())  # an input that never came
    best, least = None, torch.inf
    for share in range(candidates + 1):
        factor = squares ** (share / candidates / 2)
        factor = factor / (factor.max() * factor.min()).sqrt()
        numbers = grouped(weight * factor, per)
        grid = grid_for(numbers, bits, symmetric=symmetric, limits=limits)
        codes = quantize(numbers, grid)
        rounded = dequantize(codes, grid).reshape(weight.shape) / factor
        if (error := output_error(weight, rounded, second_moments)) < least:
            best, least = IntegerLayer(layer, codes, grid, bits, input_factor=factor), error
    return best
