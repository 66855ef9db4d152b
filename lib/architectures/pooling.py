"""Pooling: each window of a feature map becomes one number, channel by channel, nothing learned."""

import math
from collections.abc import Callable
from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.precision import in_float32, is_transformed
from lib.core.validation import values_can_be_read

from .windows import Padding, Pair, Window

__all__ = ["AvgPool2d", "GlobalAvgPool2d", "MaxPool2d", "avg_pool2d", "global_avg_pool2d", "max_pool2d"]


@checked
def max_pool2d(
    x: Float[Tensor, "batch channels height width"],
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Padding = 0,
) -> Float[Tensor, "batch channels out_height out_width"]:
    """Keep the largest value of each window; windows touch but do not overlap unless ``stride`` says so.

    Equation: eq-max-pool

    The maximum of a rectangle is the maximum over columns of the maxima over rows, so the two axes are
    done one after the other. Padding counts as −∞ and never wins; NaN always wins. Where several cells
    tie, the first in reading order takes the whole gradient.

    >>> max_pool2d(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), 2)
    tensor([[[[4.]]]])

    Raises:
        TypeError: integer input.
        ValueError: wrong rank, empty batch, a window that does not fit, padding above half the window.
    """
    window = _window(kernel_size, stride, padding)
    if is_transformed(x):
        return window.copied(window.pad(x, -torch.inf)).flatten(-2).max(-1).values
    return _MaxPool.apply(x, window)


@checked
@in_float32
def avg_pool2d(
    x: Float[Tensor, "batch channels height width"],
    kernel_size: Pair,
    *,
    stride: Pair | None = None,
    padding: Padding = 0,
) -> Float[Tensor, "batch channels out_height out_width"]:
    """Average each window; padded zeros count as values, as in torch's default.

    Equation: eq-average-pool

    >>> avg_pool2d(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), 2)
    tensor([[[[2.5000]]]])

    Raises:
        TypeError: as :func:`max_pool2d`.
        ValueError: as :func:`max_pool2d`.
    """
    window = _window(kernel_size, stride, padding)
    if is_transformed(x):
        return window.copied(window.pad(x)).mean((-2, -1))
    return _AvgPool.apply(x, window)


@checked
@in_float32
def global_avg_pool2d(x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels"]:
    """Average each channel over all its positions (Lin, Chen & Yan 2014, section 3.2).

    Equation: eq-global-average-pool

    >>> global_avg_pool2d(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    tensor([[2.5000]])

    Raises:
        TypeError: integer input.
        ValueError: wrong rank or empty batch.
    """
    return x.mean(dim=(-2, -1))


class _Pool2d(nn.Module):
    """A pooling function that remembers its window."""

    _pool: staticmethod

    @checked
    def __init__(self, kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0) -> None:
        super().__init__()
        _window(kernel_size, stride, padding)  # a wrong window is an error here, not at the first batch
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels out_height out_width"]:
        return self._pool(x, self.kernel_size, stride=self.stride, padding=self.padding)

    def extra_repr(self) -> str:
        return f"{self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(_Pool2d):
    """:func:`max_pool2d` as a layer; what raises there for its window raises at construction.

    >>> MaxPool2d(2)(torch.zeros(1, 3, 4, 4)).shape
    torch.Size([1, 3, 2, 2])
    """

    _pool = staticmethod(max_pool2d)


class AvgPool2d(_Pool2d):
    """:func:`avg_pool2d` as a layer; what raises there for its window raises at construction.

    >>> AvgPool2d(2)(torch.zeros(1, 3, 4, 4)).shape
    torch.Size([1, 3, 2, 2])
    """

    _pool = staticmethod(avg_pool2d)


class GlobalAvgPool2d(nn.Module):
    """:func:`global_avg_pool2d` as a layer.

    >>> GlobalAvgPool2d()(torch.zeros(1, 3, 4, 4)).shape
    torch.Size([1, 3])
    """

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels"]:
        return global_avg_pool2d(x)


class _MaxPool(torch.autograd.Function):
    """Separable maximum; the gradient goes where the maximum came from."""

    @staticmethod
    def forward(x: Tensor, window: Window) -> Tensor:
        return _rows_then_columns(torch.maximum, window.pad(x, -torch.inf), window)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        x, ctx.window = inputs
        ctx.save_for_backward(x, output)

    @staticmethod
    def backward(ctx, grad: Tensor):
        window = ctx.window
        x, y = ctx.saved_tensors
        # Equality decides who won. Padding must never claim a gradient, not even in a window of −∞, so it is NaN.
        winners = (cell == y for cell in window.cells(window.pad(x, torch.nan)))
        if values_can_be_read(y) and y.isnan().any():
            # Where NaN won, which equals nothing, a NaN of x's own takes the gradient.
            nan_cells = window.cells(window.pad(x.isnan()))
            winners = (won | (nan & y.isnan()) for won, nan in zip(winners, nan_cells, strict=True))
        grad_padded = x.new_zeros(window.padded_shape(x.shape))
        unclaimed = grad
        for won, target in zip(winners, window.cells(grad_padded), strict=True):
            share = unclaimed * won
            target += share
            unclaimed = unclaimed - share
        return window.crop(grad_padded), None


class _AvgPool(torch.autograd.Function):
    """Separable mean; the gradient is spread back the same way, columns first."""

    @staticmethod
    def forward(x: Tensor, window: Window) -> Tensor:
        return _rows_then_columns(torch.add, window.pad(x), window) / math.prod(window.kernel)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        x, ctx.window = inputs
        ctx.padded_shape = ctx.window.padded_shape(x.shape)

    @staticmethod
    def backward(ctx, grad: Tensor):
        window = ctx.window
        grad_rows = grad.new_zeros(*grad.shape[:-1], ctx.padded_shape[-1])
        for target in window.columns(grad_rows):
            target += grad / math.prod(window.kernel)
        grad_padded = grad.new_zeros(ctx.padded_shape)
        for target in window.rows(grad_padded):
            target += grad_rows
        return window.crop(grad_padded), None


def _rows_then_columns(combine: Callable[[Tensor, Tensor], Tensor], padded: Tensor, window: Window) -> Tensor:
    """Reduce each window with an associative ``combine``: first over its rows, then over its columns."""
    return reduce(combine, window.columns(reduce(combine, window.rows(padded))))


def _window(kernel_size: Pair, stride: Pair | None, padding: Pair) -> Window:
    """Hold the window against its rules; without a stride, windows touch."""
    window = Window.of(kernel_size, stride=kernel_size if stride is None else stride, padding=padding)
    for pad, cells in zip(window.padding, window.kernel, strict=True):
        if 2 * pad > cells:
            raise ValueError(
                f"padding {pad} must be at most half of the window's {cells} cells, or a window could see padding only"
            )
    return window
