"""Train through a rounding, whose own derivative is 0 almost everywhere."""

import torch
from jaxtyping import Float
from torch import Tensor

from lib.core.boundary import checked
from lib.core.differentiable import Differentiable

from .grids import Grid

__all__ = ["fake_quantize"]


@checked
def fake_quantize(x: Float[Tensor, "*shape"], grid: Grid) -> Float[Tensor, "*shape"]:
    """What is left of x after :func:`~lib.compression.grids.quantize` and :func:`~lib.compression.grids.dequantize`, with the straight-through estimator as gradient.

    Equation: eq-straight-through

    Backward, the rounding counts as the identity inside the grid's range, and where x was clipped the gradient is 0.
    Scale and zero point get none. Source: Bengio, Léonard and Courville 2013, section 2; Jacob et al. 2018, section 3.

    >>> from lib.compression import symmetric_grid
    >>> x = torch.tensor([0.4, 1.6, 9.0], requires_grad=True)
    >>> torch.autograd.grad(fake_quantize(x, symmetric_grid(torch.tensor(3.0), bits=3)).sum(), x)
    (tensor([1., 1., 0.]),)

    Raises:
        TypeError: a tensor that is not floating point.
        ValueError: a grid whose steps do not broadcast against it.
    """
    grid.check_fits(x)
    return _StraightThrough.apply(x, grid.scale.detach(), grid.zero_point, grid.low, grid.high)


class _StraightThrough(Differentiable):
    @staticmethod
    def forward(x: Tensor, scale: Tensor, zero_point: Tensor, low: int, high: int) -> Tensor:
        codes = ((x / scale).round() + zero_point).clamp(low, high)
        return (scale * (codes - zero_point)).to(x.dtype)

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: Tensor) -> None:
        x, scale, zero_point, low, high = inputs
        codes = (x / scale).round() + zero_point
        inside = (low <= codes) & (codes <= high)
        ctx.save_for_backward(inside)
        ctx.save_for_forward(inside)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple:
        (inside,) = ctx.saved_tensors
        return torch.where(inside, grad, 0), None, None, None, None

    @staticmethod
    def jvp(ctx, tangent: Tensor, *_) -> Tensor:
        (inside,) = ctx.saved_tensors
        return torch.where(inside, tangent, 0)
