"""Normalization: give the numbers of each position a mean of 0 and a variance of 1."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import PositiveFloat, PositiveInt, checked
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
    centred = x - x.mean(-1, keepdim=True)
    variance = centred.square().mean(-1, keepdim=True)
    variance = variance.nan_to_num(nan=math.nan, posinf=math.nan)  # past the dtype's range nothing is known of it
    y = centred * torch.rsqrt(variance + eps)
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
