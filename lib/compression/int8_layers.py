"""Layers that multiply integers: weight and input in eight bits each."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.validation import check_finite

from .calibration_data import check_inputs
from .grids import Grid, affine_grid, at_least_single, dequantize, quantize, symmetric_grid
from .integer_product import affine_product, integer_product
from .packed import PackedLayer
from .ranges import Limits, ends_of, min_max

__all__ = ["Int8Layer", "int8_dynamic", "int8_static"]


@checked
def int8_dynamic(layer: nn.Module) -> "Int8Layer":
    """Eight-bit weights per channel; each row of the input gets a grid of its own when it comes.

    Of a convolution, a row is the patch under its window.

    >>> int8_dynamic(nn.Linear(64, 8))(torch.zeros(2, 64)).shape
    torch.Size([2, 8])

    Raises:
        TypeError: not a Linear or Conv2d.
        ValueError: a weight with NaN or infinity, a convolution of several groups.
    """
    return Int8Layer(layer)


@checked
def int8_static(
    layer: nn.Module, inputs: Float[Tensor, "samples features"], *, limits: Limits = min_max
) -> "Int8Layer":
    """Eight-bit weights per channel and one affine grid for all inputs, set by inputs seen before.

    ``inputs`` as :func:`~lib.compression.recorded_inputs.record_inputs` keeps them; ``limits`` sets the range, as in :func:`~lib.compression.ranges.grid_for`. What later
    lies outside is clipped.

    >>> int8_static(nn.Linear(64, 8), torch.randn(100, 64)).input_grid.scale.shape
    torch.Size([])

    Raises:
        TypeError: not a Linear or Conv2d.
        ValueError: inputs with NaN or infinity, of one value only, or with other features than the layer has.
    """
    check_inputs(layer, inputs)
    return Int8Layer(layer, input_grid=grid_of_inputs(inputs, limits))


class Int8Layer(PackedLayer):
    """Integers times integers, added up in int32; scales and zero points come in afterwards.

    Without ``input_grid`` each row of the input is divided by its largest magnitude over 127 (dynamic); with it all
    share one grid (static). ``input_factor``, one number for each input, is taken out of the inputs and put into the
    weight before both are rounded. Half precision is computed in float32. Gradients of the input pass straight
    through its rounding.

    Raises:
        TypeError: not a Linear or Conv2d.
        ValueError: a weight with NaN or infinity, a convolution of several groups; in the call NaN or infinity.
    """

    def __init__(
        self,
        layer: nn.Module,
        *,
        input_grid: Grid | None = None,
        input_factor: Float[Tensor, " features"] | None = None,
    ) -> None:
        super().__init__(layer)
        if self.geometry.groups > 1:
            raise ValueError(f"an int8 product needs one matrix, got a convolution of {self.geometry.groups} groups")
        weight = at_least_single(layer.weight.detach()).flatten(1)
        if input_factor is not None:
            weight = weight * input_factor
        grid = symmetric_grid(weight.abs().amax(1, keepdim=True), bits=8)
        self.register_buffer("codes", quantize(weight, grid))
        self.register_buffer("scale", grid.scale)
        self.register_buffer("input_factor", input_factor)
        self.register_buffer("input_scale", None if input_grid is None else input_grid.scale)
        self.register_buffer("input_zero_point", None if input_grid is None else input_grid.zero_point)

    @property
    def grid(self) -> Grid:
        """The grid of the weight, one step for each channel."""
        return Grid(self.scale, torch.zeros_like(self.scale, dtype=torch.int32), -127, 127)

    @property
    def input_grid(self) -> Grid | None:
        """The grid of the inputs, if it is static."""
        return None if self.input_scale is None else Grid(self.input_scale, self.input_zero_point, 0, 255)

    def unpacked(self) -> Float[Tensor, "out_features *in_features"]:
        weight = dequantize(self.codes, self.grid)
        if self.input_factor is not None:
            weight = weight / self.input_factor
        return weight.reshape(self.weight_shape)

    def forward(self, x: Float[Tensor, "*batch_and_features"]) -> Float[Tensor, "*batch_and_outputs"]:
        rows = self.geometry.rows(x)
        y = self._product(at_least_single(rows.detach())).to(x.dtype)
        if rows.requires_grad and torch.is_grad_enabled():
            straight = rows @ self.unpacked().flatten(1).T.to(x.dtype)
            y = y + (straight - straight.detach())
        if self.bias is not None:
            y = y + self.bias.to(x.dtype)
        return self.geometry.from_rows(y, x)

    def _product(self, rows: Tensor) -> Tensor:
        if self.input_factor is not None:
            rows = rows / self.input_factor
        if self.input_grid is not None:
            return affine_product(quantize(rows, self.input_grid), self.input_grid, self.codes, self.grid)
        # Each row's own largest number is on its grid, so nothing is clipped, and NaN shows in it.
        largest = rows.abs().amax(1, keepdim=True)
        check_finite("the largest number of each row of x", largest)
        scale = symmetric_grid(largest, bits=8).scale
        return integer_product((rows / scale).round_().to(torch.int8), self.codes) * scale * self.scale.T


def grid_of_inputs(inputs: Tensor, limits: Limits = min_max) -> Grid:
    """One affine grid of eight bits for all inputs."""
    return affine_grid(*ends_of(inputs.flatten(), limits), bits=8)
