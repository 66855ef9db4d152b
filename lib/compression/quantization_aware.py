"""Train a layer while its weight, and its input if asked, are rounded on the way forward."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.rules import Share
from lib.core.validation import check_finite, check_not_empty

from .granularity import Granularity, grouped
from .grids import affine_grid, check_bits
from .int8_layers import Int8Layer
from .layers import Geometry
from .packed import PackedLayer
from .ranges import grid_for
from .straight_through import fake_quantize
from .weight_only import weight_only

__all__ = ["QuantizationAware"]


class QuantizationAware(nn.Module):
    """A dense layer or a convolution that computes as its packed form will, and learns by the straight-through estimator.

    The weight is rounded anew in each call, on the grid of its present range. With ``inputs`` they are rounded too, to
    eight bits on one grid, whose ends follow those of the training batches by an exponential mean with this
    ``momentum``. :meth:`packed` gives the packed layer; as a plan: ``plan_for(model, QuantizationAware.packed,
    kinds=QuantizationAware)``.

    >>> layer = QuantizationAware(nn.Linear(64, 8), bits=4, per=32)
    >>> x = torch.randn(2, 64)
    >>> torch.allclose(layer(x), layer.packed()(x), atol=1e-6)
    True

    Raises:
        TypeError: not a Linear or Conv2d.
        ValueError: bits outside 2 … 8, a group that does not divide the inputs, a weight with NaN or infinity; inputs
            together with anything but 8 symmetric bits per channel; in evaluation mode an input before any training.
    """

    @checked
    def __init__(
        self,
        layer: nn.Module,
        bits: int = 8,
        *,
        per: Granularity = "channel",
        symmetric: bool = True,
        inputs: bool = False,
        momentum: Share = 0.1,
    ) -> None:
        super().__init__()
        self.geometry = Geometry.of(layer)
        check_bits(bits)
        grouped(layer.weight, per)
        if inputs and (bits, per, symmetric) != (8, "channel", True):
            raise ValueError(
                f"rounded inputs go with 8 symmetric bits per channel, as int8 products do, got {bits} bits, {per=}, {symmetric=}"
            )
        self.layer, self.bits, self.per, self.symmetric, self.momentum = layer, bits, per, symmetric, momentum
        self.register_buffer("input_ends", torch.full((2,), torch.nan) if inputs else None)

    def forward(self, x: Float[Tensor, "*batch_and_features"]) -> Float[Tensor, "*batch_and_outputs"]:
        if self.input_ends is not None:
            self.geometry.check_input(x)
            x = fake_quantize(x, self._input_grid(x.detach()))
        numbers = grouped(self.layer.weight, self.per)
        grid = grid_for(numbers.detach(), self.bits, symmetric=self.symmetric)
        return self.geometry.apply(x, fake_quantize(numbers, grid).reshape(self.layer.weight.shape), self.layer.bias)

    def packed(self) -> PackedLayer:
        """What is stored after training."""
        if self.input_ends is None:
            return weight_only(self.layer, self.bits, per=self.per, symmetric=self.symmetric)
        return Int8Layer(self.layer, input_grid=self._grid())

    def _input_grid(self, x: Tensor):
        if self.training:
            check_not_empty("x", x)
            check_finite("x", x)
            ends = torch.stack([x.amin(), x.amax()]).to(self.input_ends)
            first = self.input_ends.isnan().any()
            self.input_ends.copy_(ends if first else self.input_ends.lerp(ends, self.momentum))
        return self._grid()

    def _grid(self):
        if self.input_ends.isnan().any():
            raise ValueError("the range of the inputs is not known: the layer must first see a batch in training mode")
        return affine_grid(*self.input_ends, bits=8)
