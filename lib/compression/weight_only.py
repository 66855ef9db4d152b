"""Weights in few bits: stored as integers, multiplied as real numbers."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked

from .granularity import Granularity, grouped
from .grids import Grid, check_bits, dequantize, quantize
from .layers import check_layer
from .packed import PackedLayer
from .packing import pack_bits, unpack_bits
from .ranges import Limits, grid_for, min_max

__all__ = ["IntegerLayer", "weight_only"]


@checked
def weight_only(
    layer: nn.Module,
    bits: int = 8,
    *,
    per: Granularity = "channel",
    symmetric: bool = True,
    limits: Limits = min_max,
    scales: torch.dtype = torch.float32,
) -> "IntegerLayer":
    """Round a layer's weight to the nearest code of a grid for the tensor, each channel or each group.

    ``limits`` sets the grid's range, as in :func:`~lib.compression.ranges.grid_for`; ``scales`` is the dtype in which the steps are stored,
    and the codes are chosen for the steps as stored.

    >>> layer = weight_only(nn.Linear(64, 8), bits=4, per=32)
    >>> layer.codes.shape, layer.scale.shape
    (torch.Size([256]), torch.Size([8, 2, 1]))

    Raises:
        TypeError: not a Linear or Conv2d, scales that are not floating point.
        ValueError: bits outside 2 … 8, a group that does not divide the inputs of a channel, NaN or infinity,
            steps that the dtype of the scales does not hold.
    """
    check_layer(layer)
    numbers = grouped(layer.weight.detach(), per)
    grid = stored_as(grid_for(numbers, bits, symmetric=symmetric, limits=limits), scales)
    return IntegerLayer(layer, quantize(numbers, grid), grid, bits)


class IntegerLayer(PackedLayer):
    """A layer that stores the codes of its weight, packed without gaps, and the grid that they belong to.

    ``codes`` and ``grid`` are as :func:`~lib.compression.grids.quantize` took them, of shape [rows, groups, members] (:func:`~lib.compression.granularity.grouped`).
    ``input_factor``, one number for each input, divides the columns of the weight again that were multiplied with it
    before they were rounded.
    """

    def __init__(
        self,
        layer: nn.Module,
        codes: Tensor,
        grid: Grid,
        bits: int,
        input_factor: Float[Tensor, " inputs"] | None = None,
    ) -> None:
        super().__init__(layer)
        check_bits(bits)
        self.bits, self.low, self.grouped_shape = bits, grid.low, codes.shape
        self.register_buffer("codes", pack_bits((codes.short() - grid.low).to(torch.uint8), bits))
        self.register_buffer("scale", grid.scale)
        # A symmetric grid has its zero in the middle, which needs no storing.
        self.register_buffer("zero_point", None if grid.low < 0 else grid.zero_point.to(torch.uint8))
        self.register_buffer("input_factor", input_factor)

    @property
    def grid(self) -> Grid:
        """The grid of the weight."""
        zero = torch.zeros_like(self.scale, dtype=torch.int32) if self.zero_point is None else self.zero_point.int()
        return Grid(self.scale, zero, self.low, self.low + 2**self.bits - 1 - (self.low < 0))

    def unpacked(self) -> Float[Tensor, "out_features *in_features"]:
        codes = unpack_bits(self.codes, self.bits, self.grouped_shape.numel()).view(self.grouped_shape)
        weight = dequantize(codes.short() + self.low, self.grid).reshape(self.weight_shape[0], -1)
        if self.input_factor is not None:
            weight = weight / self.input_factor
        return weight.reshape(self.weight_shape)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, {self.bits} bits, {self.scale.numel()} steps"


def stored_as(grid: Grid, dtype: torch.dtype) -> Grid:
    """The grid with its steps rounded to the dtype in which they are stored; a step that is too short gets the shortest there is.

    Raises:
        TypeError: a dtype that is not floating point.
        ValueError: a step that becomes infinite, or all of them 0.
    """
    if not dtype.is_floating_point:
        raise TypeError(f"scales must be a floating-point dtype, got {dtype}")
    if torch.promote_types(grid.scale.dtype, dtype) == dtype:
        return grid
    scale = grid.scale.to(dtype)
    if not scale.any() or not scale.isfinite().all():
        raise ValueError(f"scales as {dtype} must hold the longest step, got {grid.scale.max().item():.3g}")
    # Of a channel that is nearly dead beside the others.
    shortest = torch.finfo(dtype).tiny * torch.finfo(dtype).eps
    return Grid(scale.clamp(min=shortest), grid.zero_point, grid.low, grid.high)
