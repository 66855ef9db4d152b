"""What dense and convolutional layers have in common: a weight that is one matrix, and how inputs meet it."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lib.architectures import Conv2d, Linear
from lib.architectures.windows import check_fits
from lib.core.boundary import checked
from lib.core.validation import check_finite, check_rank

__all__ = ["CONVOLUTION", "DENSE", "DENSE_AND_CONVOLUTION", "Geometry", "check_layer"]

#: Kinds of dense layers: the library's and torch's.
#:
#: :meta hide-value:
DENSE = (Linear, nn.Linear)
#: Kinds of convolutions: the library's and torch's.
#:
#: :meta hide-value:
CONVOLUTION = (Conv2d, nn.Conv2d)
#: Both kinds of layers with a weight matrix.
#:
#: :meta hide-value:
DENSE_AND_CONVOLUTION = (*DENSE, *CONVOLUTION)


def check_layer(layer: Any) -> None:
    """Require a dense layer or a two-dimensional convolution, of :mod:`lib.architectures` or torch.

    Raises:
        TypeError: anything else.
        ValueError: a weight that holds NaN or infinity.
    """
    if not isinstance(layer, DENSE_AND_CONVOLUTION):
        raise TypeError(
            f"layer must be a Linear or Conv2d of lib.architectures or torch.nn, got {type(layer).__name__}"
        )
    check_finite("weight", layer.weight)


@dataclass(frozen=True)
class Geometry:
    """How a layer's weight meets its input: ``x Wᵀ`` for a dense layer, else the options of a convolution."""

    features: int  # of a convolution, its channels
    stride: tuple[int, int] | None = None  # None: a dense layer
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # left, right, top, bottom
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    kernel: tuple[int, int] = (1, 1)
    circular: bool = False

    @classmethod
    def of(cls, layer: nn.Module) -> "Geometry":
        """Read it off a layer.

        Raises:
            TypeError: as :func:`~lib.compression.layers.check_layer`.
            ValueError: as :func:`~lib.compression.layers.check_layer`; a padding mode other than zeros and circular.
        """
        if isinstance(geometry := getattr(layer, "geometry", None), cls):  # a packed layer keeps it
            return geometry
        check_layer(layer)
        if isinstance(layer, DENSE):
            return cls(layer.weight.shape[1])
        if layer.padding_mode not in ("zeros", "circular"):
            raise ValueError(f"padding_mode must be 'zeros' or 'circular', got {layer.padding_mode!r}")
        return cls(
            layer.weight.shape[1] * layer.groups, _pair(layer.stride), _paddings(layer), _pair(layer.dilation),
            layer.groups, tuple(layer.weight.shape[2:]), layer.padding_mode == "circular",
        )  # fmt: skip

    @checked
    def check_input(self, x: Float[Tensor, "..."]) -> None:
        """Require what the layer takes: its features along the last axis, or images of its channels in which its window fits.

        Raises:
            TypeError: anything but a dense floating-point tensor.
            ValueError: other axes or sizes; circular padding wider than the image.
        """
        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            return
        if self.stride is not None:
            check_rank("x", x, "batch channels height width")
        kind, axis = ("features", -1) if self.stride is None else ("channels", 1)
        if not x.ndim or x.shape[axis] != self.features:
            raise ValueError(
                f"x must have the layer's {self.features} {kind} along axis {axis}, got shape {tuple(x.shape)}"
            )
        if self.stride is None:
            return
        left, right, top, bottom = self.padding
        for name, size, ends, taps, dilation in zip(
            ("height", "width"), x.shape[2:], ((top, bottom), (left, right)), self.kernel, self.dilation, strict=True
        ):
            check_fits(name, size + sum(ends), dilation * (taps - 1) + 1)
            if self.circular and max(ends) > size:
                raise ValueError(f"circular padding {max(ends)} must not exceed the {name} {size} that it wraps")

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """What the layer computes with this weight, in the dtype of ``x``, which :meth:`check_input` has looked at."""
        self.check_input(x)
        weight, bias = weight.to(x.dtype), None if bias is None else bias.to(x.dtype)
        if self.stride is None:
            return F.linear(x, weight, bias)
        return F.conv2d(self._padded(x), weight, bias, self.stride, 0, self.dilation, self.groups)

    def rows(self, x: Float[Tensor, "..."]) -> Float[Tensor, "samples features"]:
        """The inputs that the weight, flattened to ``[outputs, features]``, is multiplied with, one a row.

        Of a convolution these are the patches under its window, at all positions of all images.
        """
        self.check_input(x)
        if self.stride is None:
            return x.reshape(-1, x.shape[-1])
        patches = F.unfold(self._padded(x), self.kernel, self.dilation, 0, self.stride)  # batch features positions
        return patches.transpose(1, 2).flatten(0, 1)

    def from_rows(self, y: Float[Tensor, "samples outputs"], x: Tensor) -> Float[Tensor, "..."]:
        """Put the outputs for the :meth:`rows` of ``x`` where the layer would have them."""
        if self.stride is None:
            return y.reshape(*x.shape[:-1], y.shape[-1])
        left, right, top, bottom = self.padding
        sizes = (x.shape[2] + top + bottom, x.shape[3] + left + right)
        height, width = (
            (size - dilation * (taps - 1) - 1) // stride + 1
            for size, dilation, taps, stride in zip(sizes, self.dilation, self.kernel, self.stride, strict=True)
        )
        return y.reshape(len(x), height, width, y.shape[-1]).permute(0, 3, 1, 2).contiguous()

    def _padded(self, x: Tensor) -> Tensor:
        if not any(self.padding):
            return x
        return F.pad(x, self.padding, mode="circular" if self.circular else "constant")


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return tuple(value) if isinstance(value, tuple) else (value, value)


def _paddings(layer: nn.Module) -> tuple[int, int, int, int]:
    """Left, right, top, bottom, as :func:`torch.nn.functional.pad` takes them."""
    if isinstance(layer, nn.Conv2d):  # which has worked out "same" and "valid"
        return tuple(layer._reversed_padding_repeated_twice)
    vertical, horizontal = _pair(layer.padding)
    return horizontal, horizontal, vertical, vertical
