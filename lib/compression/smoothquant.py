"""Move what is hard to round from the inputs, where single channels are large, into the weight."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.rules import Share
from lib.core.validation import check_finite

from .calibration_data import check_inputs
from .grids import at_least_single
from .int8_layers import Int8Layer, grid_of_inputs

__all__ = ["smoothing_factors", "smoothquant"]


@checked
def smoothing_factors(
    largest_inputs: Float[Tensor, " features"], largest_weights: Float[Tensor, " features"], strength: Share = 0.5
) -> Float[Tensor, " features"]:
    """By what each input is divided and each column of the weight multiplied: f_j = max\\|x_j\\|^α / max\\|W_j\\|^(1−α).

    At α = ½ the largest input and the largest weight of a channel become equal. An input that is always 0, or meets
    only weights of 0, is left as it is. Source: Xiao et al. 2023, equation 4.

    >>> smoothing_factors(torch.tensor([100.0, 1.0]), torch.tensor([0.01, 1.0]))
    tensor([100.,   1.])

    Raises:
        ValueError: α outside 0 … 1, vectors of different length, magnitudes that are negative, NaN or infinite.
    """
    for name, largest in (("largest_inputs", largest_inputs), ("largest_weights", largest_weights)):
        check_finite(name, largest)
        if (largest < 0).any():
            raise ValueError(f"{name} must be magnitudes, at least 0, got {largest.min().item()}")
    factors = largest_inputs**strength / largest_weights ** (1 - strength)
    return torch.where((largest_inputs > 0) & (largest_weights > 0), factors, 1)


@checked
def smoothquant(
    layer: nn.Module, inputs: Float[Tensor, "samples features"], *, strength: Share = 0.5, static: bool = False
) -> Int8Layer:
    """An :class:`~lib.compression.int8_layers.Int8Layer` whose inputs are divided by :func:`~lib.compression.smoothquant.smoothing_factors` before they are rounded.

    ``inputs`` as :func:`~lib.compression.recorded_inputs.record_inputs` keeps them. The published method multiplies the factors into the layer before,
    which then costs nothing; here each layer divides for itself. ``static`` as in :func:`~lib.compression.int8_layers.int8_static`.

    >>> smoothquant(nn.Linear(64, 8), torch.randn(100, 64)).input_factor.shape
    torch.Size([64])

    Raises:
        TypeError: not a Linear or Conv2d.
        ValueError: inputs with NaN or infinity, of one value only, or with other features than the layer has; α
            outside 0 … 1; a convolution of several groups.
    """
    check_inputs(layer, inputs)
    weight = at_least_single(layer.weight.detach()).flatten(1)
    factor = smoothing_factors(inputs.abs().amax(0).to(weight), weight.abs().amax(0), strength)
    return Int8Layer(layer, input_factor=factor, input_grid=grid_of_inputs(inputs / factor) if static else None)
