"""Convolution as one matrix product ("im2col"), in blocks that stay in the cache."""

import torch
from torch import Tensor

from .windows import Window

__all__ = ["BlockedIm2col"]

BLOCK_BYTES = 2**20  # patches of about 1 MiB: larger copies leave the second-level cache and cost twice


class BlockedIm2col(torch.autograd.Function):
    """Cross-correlate by multiplying a matrix of filters with a matrix of patches.

    The windows of a few images are copied into a matrix with one column a position, multiplied, and
    forgotten. The backward pass copies them again rather than keep them: they are rows × columns times
    as large as the input. Used by :func:`lib.architectures.convolution.conv2d`, which checks the arguments.
    """

    @staticmethod
    def forward(x: Tensor, weight: Tensor, window: Window, groups: int) -> Tensor:
        padded = window.pad(x)
        filters = _filters(weight, groups)
        height, width = window.over(padded).shape[2:4]
        y = x.new_empty(len(x), groups, filters.shape[1], height * width)
        for images in _blocks(padded, window):
            torch.matmul(filters, _patches(padded[images], window, groups), out=y[images])
        return y.view(len(x), len(weight), height, width)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        x, weight, ctx.window, ctx.groups = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, weight = ctx.saved_tensors
        # Unlike the forward pass, which writes its products in place, these are recorded operations: a second derivative,
        # where one is asked for, comes by itself.
        grad_x = _input_gradient(x, weight, ctx.window, ctx.groups, grad) if ctx.needs_input_grad[0] else None
        grad_weight = _weight_gradient(x, weight, ctx.window, ctx.groups, grad) if ctx.needs_input_grad[1] else None
        return grad_x, grad_weight, None, None


def _input_gradient(x: Tensor, weight: Tensor, window: Window, groups: int, grad: Tensor) -> Tensor:
    """Send each output's gradient back through the filter and add it up where windows overlap."""
    backwards = _filters(weight, groups).mT
    grad_padded = x.new_zeros(window.padded_shape(x.shape))
    for images in _blocks(grad_padded, window):
        grad_patches = backwards @ grad[images].reshape(-1, groups, backwards.shape[2], grad[0, 0].numel())
        by_cell = grad_patches.view(-1, x.shape[1], weight[0, 0].numel(), *grad.shape[2:]).unbind(2)
        for target, source in zip(window.cells(grad_padded[images]), by_cell, strict=True):
            target += source
    return window.crop(grad_padded)


def _weight_gradient(x: Tensor, weight: Tensor, window: Window, groups: int, grad: Tensor) -> Tensor:
    """Correlate each output's gradient with the patch that it came from, over all positions and images."""
    padded = window.pad(x)
    grad_filters = torch.zeros_like(_filters(weight, groups))
    for images in _blocks(padded, window):
        grad_outputs = grad[images].reshape(-1, *grad_filters.shape[:2], grad[0, 0].numel())
        grad_filters += (grad_outputs @ _patches(padded[images], window, groups).mT).sum(0)
    return grad_filters.view_as(weight)


def _blocks(padded: Tensor, window: Window) -> list[slice]:
    """Cut the batch into runs of images whose patches fill one block."""
    image_bytes = window.over(padded[:1]).numel() * padded.element_size()
    step = max(1, BLOCK_BYTES // image_bytes)
    return [slice(start, start + step) for start in range(0, len(padded), step)]


def _filters(weight: Tensor, groups: int) -> Tensor:
    """Flatten each filter to a row: ``[groups, out_per_group, cells]``."""
    return weight.reshape(groups, len(weight) // groups, -1)


def _patches(padded: Tensor, window: Window, groups: int) -> Tensor:
    """Copy the windows into matrices, a column a position: ``[images, groups, cells, positions]``."""
    windows = window.over(padded)  # n c h w u v
    n, c, h, w, u, v = windows.shape
    return windows.permute(0, 1, 4, 5, 2, 3).reshape(n, groups, c // groups * u * v, h * w)
