"""Convolution as neural networks compute it: cross-correlation with many channels."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.precision import autocasts, in_float32, is_transformed
from lib.core.rules import NonNegativeInt, PositiveInt
from lib.core.validation import check_divisible, check_floating, check_rank

from .im2col import BlockedIm2col
from .initialization import uniform_by_fan_in
from .windows import Padding, Pair, Window, check_fits

__all__ = ["Conv1d", "Conv2d", "conv1d", "conv2d", "conv2d_formula", "conv_output_size"]


@checked
def conv_output_size(
    size: PositiveInt,
    kernel_size: PositiveInt,
    *,
    stride: PositiveInt = 1,
    padding: NonNegativeInt = 0,
    dilation: PositiveInt = 1,
) -> int:
    """Count the positions of a window along one axis of ``size`` pixels (Dumoulin & Visin 2016, relationship 15).

    Equation: eq-conv-output-size

    The division rounds down: pixels at the far end that do not fill a whole stride are never seen.

    >>> conv_output_size(28, 5, stride=2, padding=2)
    14

    Raises:
        TypeError: an argument that is not an int.
        ValueError: a negative padding, anything else below 1, or a window wider than the padded axis.
    """
    span = dilation * (kernel_size - 1) + 1
    check_fits("axis", size + 2 * padding, span)
    return (size + 2 * padding - span) // stride + 1


@checked
@autocasts
@in_float32
def conv2d_formula(
    x: Float[Tensor, "batch in_channels height width"],
    weight: Float[Tensor, "out_channels in_per_group rows columns"],
    bias: Float[Tensor, " out_channels"] | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: PositiveInt = 1,
) -> Float[Tensor, "batch out_channels out_height out_width"]:
    """Cross-correlate images with a bank of filters, written as the formula.

    Equation: eq-conv2d

    Each output is the sum of products of one filter with one window of the zero-padded input; ``groups``
    cuts the channels into blocks that do not see one another. The filter is not flipped: what the field
    calls convolution is cross-correlation (Goodfellow et al. 2016, eq. 9.6). Twin: :func:`conv2d`.

    >>> conv2d_formula(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2))[0, 0]
    tensor([[4., 4.],
            [4., 4.]])

    Raises:
        TypeError: integer tensors, or tensors of different dtype.
        ValueError: wrong rank, empty batch, channels that do not match or divide, a window that does not fit.
    """
    window = _check(x, weight, bias, stride, padding, dilation, groups)
    return _sum_of_products(window.over(window.pad(x)), weight, bias, groups)


@checked
@autocasts
@in_float32
def conv2d(
    x: Float[Tensor, "batch in_channels height width"],
    weight: Float[Tensor, "out_channels in_per_group rows columns"],
    bias: Float[Tensor, " out_channels"] | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: PositiveInt = 1,
) -> Float[Tensor, "batch out_channels out_height out_width"]:
    """Cross-correlate images with a bank of filters: the fast twin of :func:`conv2d_formula`.

    The same sums as products of matrices, with the backward pass written out, which saves most of the
    memory traffic. It can be differentiated twice.

    >>> conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2), stride=2)
    tensor([[[[4.]]]])

    Raises:
        TypeError: as :func:`conv2d_formula`.
        ValueError: as :func:`conv2d_formula`.
    """
    window = _check(x, weight, bias, stride, padding, dilation, groups)
    if is_transformed(x, weight) or not len(x):  # no images fill no block either
        return _sum_of_products(window.copied(window.pad(x)), weight, bias, groups)
    y = BlockedIm2col.apply(x, weight, window, groups)
    return y if bias is None else y + bias[:, None, None]


@checked
def conv1d(
    x: Float[Tensor, "batch in_channels time"],
    weight: Float[Tensor, "out_channels in_per_group taps"],
    bias: Float[Tensor, " out_channels"] | None = None,
    *,
    stride: PositiveInt = 1,
    padding: NonNegativeInt = 0,
    dilation: PositiveInt = 1,
    groups: PositiveInt = 1,
) -> Float[Tensor, "batch out_channels out_time"]:
    """Cross-correlate signals with a bank of filters: :func:`conv2d` on images of height 1.

    Equation: eq-conv1d

    >>> conv1d(torch.tensor([[[1.0, 2.0, 4.0]]]), torch.tensor([[[-1.0, 1.0]]]))
    tensor([[[1., 2.]]])

    Raises:
        TypeError: as :func:`conv2d_formula`.
        ValueError: as :func:`conv2d_formula`.
    """
    geometry = {"stride": (1, stride), "padding": (0, padding), "dilation": (1, dilation)}
    return conv2d(x[:, :, None], weight[:, :, None], bias, **geometry, groups=groups)[:, :, 0]


def _sum_of_products(windows: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
    windows = windows.unflatten(1, (groups, -1))  # n g c h w u v
    filters = weight.unflatten(0, (groups, -1))  # g o c u v
    y = torch.einsum("ngchwuv,gocuv->ngohw", windows, filters).flatten(1, 2)
    return y if bias is None else y + bias[:, None, None]


def _check(x, weight, bias, stride, padding, dilation, groups) -> Window:
    """Hold every argument against its rule and return the window that slides."""
    check_divisible("in_channels", x.shape[1], "groups", groups)
    check_divisible("out_channels", weight.shape[0], "groups", groups)
    if weight.shape[1] != x.shape[1] // groups:
        raise ValueError(
            f"weight must have {x.shape[1] // groups} input channels, the {x.shape[1]} of x over {groups} groups, "
            f"got {weight.shape[1]}"
        )
    return Window.of(tuple(weight.shape[2:]), stride=stride, padding=padding, dilation=dilation)


class _Convolution(nn.Module):
    """What layers on signals and on images share: parameters, their first values, the padding mode."""

    _axes: str
    _convolve: staticmethod

    @checked
    def __init__(
        self,
        in_channels: PositiveInt,
        out_channels: PositiveInt,
        kernel_size: Pair,
        *,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Pair = 1,
        groups: PositiveInt = 1,
        bias: bool = True,
        padding_mode: Literal["zeros", "circular"] = "zeros",
    ) -> None:
        super().__init__()
        check_divisible("in_channels", in_channels, "groups", groups)
        check_divisible("out_channels", out_channels, "groups", groups)
        self.window = self._window_of(kernel_size, stride=stride, padding=padding, dilation=dilation)
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation
        self.groups, self.padding_mode = groups, padding_mode
        dimensions = len(self._axes.split()) - 2
        kernel = self.window.kernel[-dimensions:]
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *kernel))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew, in torch\'s order."""
        uniform_by_fan_in(self.weight, self.bias)

    def forward(self, x: Float[Tensor, "batch in_channels *space"]) -> Float[Tensor, "batch out_channels *out_space"]:
        check_rank("x", x, self._axes)
        geometry = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        if self.padding_mode == "circular":
            check_floating("x", x)
            x, geometry["padding"] = _wrap(x, self.window.padding), 0
        return self._convolve(x, self.weight, self.bias, **geometry, groups=self.groups)

    def extra_repr(self) -> str:
        channels = f"{self.weight.shape[1] * self.groups}, {len(self.weight)}"
        names = ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
        return ", ".join([channels, *(f"{name}={getattr(self, name)!r}" for name in names)])


class Conv2d(_Convolution):
    """Slide learned filters over images; the state dict is that of :class:`torch.nn.Conv2d`.

    ``padding_mode="circular"`` joins opposite edges instead of adding zeros, which makes a layer of stride
    1 exactly equivariant to rolling the image. Weight and bias start uniform within ±1/√fan_in, as torch's.

    >>> Conv2d(3, 8, 3, padding=1)(torch.zeros(1, 3, 5, 5)).shape
    torch.Size([1, 8, 5, 5])

    Raises:
        TypeError: as :func:`conv2d_formula`.
        ValueError: as :func:`conv2d_formula`, at construction where it can be known then; an unknown padding
            mode; circular padding wider than the image.
    """

    _axes = "batch channels height width"
    _convolve = staticmethod(conv2d)
    _window_of = staticmethod(Window.of)


class Conv1d(_Convolution):
    """Slide learned filters along signals; the state dict is that of :class:`torch.nn.Conv1d`.

    Sizes are ints, everything else is as in :class:`Conv2d`.

    >>> Conv1d(3, 8, 3)(torch.zeros(1, 3, 5)).shape
    torch.Size([1, 8, 3])
    """

    _axes = "batch channels time"
    _convolve = staticmethod(conv1d)
    _window_of = staticmethod(Window.of_signal)


def _wrap(x: Tensor, padding: tuple[int, int]) -> Tensor:
    """Continue the last two axes periodically, by their padding on each side."""
    for axis, width in zip((-2, -1), padding, strict=True):
        size = x.shape[axis]
        if width > size:
            raise ValueError(f"circular padding {width} must not exceed the size {size} of the axis it wraps")
        if width:
            x = torch.cat([x.narrow(axis, size - width, width), x, x.narrow(axis, 0, width)], axis)
    return x
