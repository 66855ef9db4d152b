"""Normalization: give the numbers of each position a mean of 0 and a variance of 1."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import PositiveFloat, PositiveInt, checked
from lib.core.differentiable import Differentiable
from lib.core.precision import in_float32

__all__ = ["LayerNorm", "layer_norm"]


@checked
@in_float32
def layer_norm(
    x: Float[Tensor, "*leading width"],
    weight: Float[Tensor, " width"] | None = None,
    bias: Float[Tensor, " width"] | None = None,
    *,
    eps: PositiveFloat = 1e-5,
) -> Float[Tensor, "*leading width"]:
    """Centre and scale the last axis, then stretch and shift each feature (Ba, Kiros & Hinton 2016, eq. 4).

    ``(x − mean) / √(variance + eps) · weight + bias``, with the biased variance, which divides by width.
    Unlike the batch normalization of images, no example sees another one, so training and use agree.

    >>> layer_norm(torch.tensor([1.0, 3.0]))
    tensor([-1.0000,  1.0000])

    Raises:
        TypeError: integer tensors, or tensors of different dtype.
        ValueError: an input without elements, an eps that is not positive, a weight or bias of another width.
    """
    y, _ = _Standardize.apply(x, eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


class LayerNorm(nn.Module):
    """:func:`layer_norm` with a learned stretch and shift; the state dict is that of :class:`torch.nn.LayerNorm`.

    They start as 1 and 0, which leaves the normalized numbers as they are; ``affine=False`` does without.

    >>> LayerNorm(2)(torch.tensor([1.0, 3.0])).detach()
    tensor([-1.0000,  1.0000])

    Raises:
        TypeError: a width that is not an int; in the call as :func:`layer_norm`.
        ValueError: a width below 1, an eps that is not positive; in the call as :func:`layer_norm`.
    """

    @checked
    def __init__(self, width: PositiveInt, eps: PositiveFloat = 1e-5, *, affine: bool = True) -> None:
        super().__init__()
        self.width, self.eps = width, eps
        self.weight = nn.Parameter(torch.ones(width)) if affine else None
        self.bias = nn.Parameter(torch.zeros(width)) if affine else None

    def forward(self, x: Float[Tensor, "*leading width"]) -> Float[Tensor, "*leading width"]:
        if x.shape[-1:] != (self.width,):
            raise ValueError(f"x must have {self.width} features on its last axis, got shape {tuple(x.shape)}")
        return layer_norm(x, self.weight, self.bias, eps=self.eps)

    def extra_repr(self) -> str:
        return f"{self.width}, eps={self.eps}, affine={self.weight is not None}"


class _Standardize(Differentiable):
    """y = (x − mean) r with r = 1 / √(variance + eps), and r beside it.

    Mean and variance move with x: they take out of a gradient what lies along 1 and along y.
    """

    @staticmethod
    def forward(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        centred = x - x.mean(-1, keepdim=True)
        variance = centred.square().mean(-1, keepdim=True)
        variance = variance.nan_to_num(nan=math.nan, posinf=math.nan)  # past the dtype's range nothing is known of it
        rate = torch.rsqrt(variance + eps)
        return centred * rate, rate

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(*output)
        ctx.save_for_forward(*output)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, grad: Tensor | None, rate_grad: Tensor | None) -> tuple[Tensor | None, None]:
        y, rate = ctx.saved_tensors
        parts = []
        if grad is not None:
            along = (grad * y).mean(-1, keepdim=True)
            parts.append((grad - grad.mean(-1, keepdim=True) - y * along) * rate)
        if rate_grad is not None:  # when this is differentiated once more: ∂r/∂x = −r² y / width
            parts.append(-rate_grad * rate.square() * y / y.shape[-1])
        return sum(parts[1:], parts[0]) if parts else None, None

    @staticmethod
    def jvp(ctx, tangent: Tensor, _: None) -> tuple[Tensor, Tensor]:
        y, rate = ctx.saved_tensors
        along = (tangent * y).mean(-1, keepdim=True)
        return (tangent - tangent.mean(-1, keepdim=True) - y * along) * rate, -rate.square() * along
