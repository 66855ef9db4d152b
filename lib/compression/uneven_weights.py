"""Weights on uneven grids: eight-bit floats and NF4, with a scale for each channel or group."""

from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked

from .granularity import Granularity, grouped
from .packed import PackedLayer
from .packing import pack_bits, unpack_bits
from .uneven_grids import FLOAT8, Float8, float8, nearest, normal_float_levels, scaled_to_one

__all__ = ["Float8Layer", "NormalFloatLayer"]


class Float8Layer(PackedLayer):
    """A layer whose weight is stored in eight-bit floats (:func:`~lib.compression.uneven_grids.float8`), with a scale for each channel or group.

    >>> Float8Layer(nn.Linear(4, 2)).codes.dtype
    torch.uint8

    Raises:
        TypeError: not a Linear or Conv2d.
        ValueError: another kind, a group that does not divide the inputs of a channel, NaN or infinity.
    """

    @checked
    def __init__(self, layer: nn.Module, kind: Float8 = "e4m3", *, per: Granularity = "channel") -> None:
        super().__init__(layer)
        self.kind = kind
        codes, scale = float8(grouped(layer.weight.detach(), per), kind)
        # As bytes: a buffer that counts as floating point would be widened when the model changes its dtype.
        self.register_buffer("codes", codes)
        self.register_buffer("scale", scale)

    def unpacked(self) -> Float[Tensor, "out_features *in_features"]:
        return (self.codes.view(FLOAT8[self.kind]).to(self.scale.dtype) * self.scale).reshape(self.weight_shape)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, {self.kind}"


class NormalFloatLayer(PackedLayer):
    """A layer whose weight is stored as NF4: the nearest of :func:`~lib.compression.uneven_grids.normal_float_levels`, times a scale for each group.

    Source: Dettmers et al. 2023, section 3, without their second quantization, of the scales.

    >>> NormalFloatLayer(nn.Linear(64, 2)).codes.shape
    torch.Size([64])

    Raises:
        TypeError: not a Linear or Conv2d.
        ValueError: a group that does not divide the inputs of a channel, NaN or infinity.
    """

    @checked
    def __init__(self, layer: nn.Module, *, per: Granularity = 64) -> None:
        super().__init__(layer)
        scaled, scale = scaled_to_one(grouped(layer.weight.detach(), per))
        self.grouped_shape = scaled.shape
        self.register_buffer("codes", pack_bits(nearest(scaled, normal_float_levels().to(scaled)), 4))
        self.register_buffer("scale", scale)

    def unpacked(self) -> Float[Tensor, "out_features *in_features"]:
        codes = unpack_bits(self.codes, 4, self.grouped_shape.numel()).view(self.grouped_shape)
        levels = normal_float_levels().to(self.scale)
        return (levels[codes.int()] * self.scale).reshape(self.weight_shape)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, NF4, {self.scale.numel()} steps"
