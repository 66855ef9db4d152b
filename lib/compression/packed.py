"""A layer whose weight is stored in another form."""

from abc import abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from .layers import Geometry

__all__ = ["PackedLayer"]


class PackedLayer(nn.Module):
    """In place of a dense layer or a convolution: it stores a packed form and computes with the weight this stands for.

    A kind of packing keeps its form in buffers and makes the dense weight of it in :meth:`unpacked`, at each call and in
    the input's dtype: what is stored gets smaller, what is computed does not get less. The bias stays as it is.

    Raises:
        TypeError: anything but a Linear or Conv2d of lib.architectures or torch.nn.
        ValueError: a weight that holds NaN or infinity; a padding mode other than zeros and circular.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.geometry = Geometry.of(layer)
        self.weight_shape = layer.weight.shape
        self.bias = layer.bias

    @abstractmethod
    def unpacked(self) -> Float[Tensor, "out_features *in_features"]:
        """The dense weight that the packed form stands for."""

    @property
    def weight(self) -> Float[Tensor, "out_features *in_features"]:
        """As :meth:`unpacked`, for code that reads a layer's weight."""
        return self.unpacked()

    def forward(self, x: Float[Tensor, "*batch_and_features"]) -> Float[Tensor, "*batch_and_outputs"]:
        return self.geometry.apply(x, self.unpacked(), self.bias)

    def extra_repr(self) -> str:
        return f"weight {tuple(self.weight_shape)}"
