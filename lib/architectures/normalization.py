"""Normalization of one position by itself: a mean of 0 and a variance of 1, or a mean square of 1, over the last axis.

Layer norm and RMS norm take ``x[*leading, width]``; the norms of channels are in
:mod:`lib.architectures.channel_normalization`.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.precision import in_float32
from lib.core.rules import PositiveFloat, PositiveInt

from .standardization import Standardize, UnitPower, stretched

__all__ = ["LayerNorm", "RMSNorm", "layer_norm", "rms_norm"]


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

    Equation: eq-layer-norm

    ``(x − mean) / √(variance + eps) · weight + bias``, with the biased variance, which divides by width.
    Unlike the batch normalization of images, no example sees another one, so training and use agree.

    >>> layer_norm(torch.tensor([1.0, 3.0]))
    tensor([-1.0000,  1.0000])

    Raises:
        TypeError: integer tensors, or tensors of different dtype.
        ValueError: an input without elements, an eps that is not positive, a weight or bias of another width.
    """
    y, _ = Standardize.apply(x, (-1,), eps)
    return stretched(y, weight, bias)


@checked
@in_float32
def rms_norm(
    x: Float[Tensor, "*leading width"],
    weight: Float[Tensor, " width"] | None = None,
    *,
    eps: PositiveFloat = 1e-5,
) -> Float[Tensor, "*leading width"]:
    """Divide the last axis by its root mean square, then stretch each feature (Zhang & Sennrich 2019, eq. 4).

    Equation: eq-rms-norm

    ``x / √(mean(x²) + eps) · weight``: layer norm without centring and without a shift. The paper has no eps.

    >>> rms_norm(torch.tensor([1.0, 7.0]))
    tensor([0.2000, 1.4000])

    Raises:
        TypeError: as :func:`layer_norm`.
        ValueError: as :func:`layer_norm`.
    """
    y, _ = UnitPower.apply(x, (-1,), eps)
    return stretched(y, weight, None)


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
        _check_width(x, self.width)
        return layer_norm(x, self.weight, self.bias, eps=self.eps)

    def extra_repr(self) -> str:
        return f"{self.width}, eps={self.eps}, affine={self.weight is not None}"


class RMSNorm(nn.Module):
    """:func:`rms_norm` with a learned stretch, which starts as 1; the state dict is that of :class:`torch.nn.RMSNorm`.

    >>> RMSNorm(2)(torch.tensor([1.0, 7.0])).detach()
    tensor([0.2000, 1.4000])

    Raises:
        TypeError: as :class:`LayerNorm`.
        ValueError: as :class:`LayerNorm`.
    """

    @checked
    def __init__(self, width: PositiveInt, eps: PositiveFloat = 1e-5, *, affine: bool = True) -> None:
        super().__init__()
        self.width, self.eps = width, eps
        self.weight = nn.Parameter(torch.ones(width)) if affine else None

    def forward(self, x: Float[Tensor, "*leading width"]) -> Float[Tensor, "*leading width"]:
        _check_width(x, self.width)
        return rms_norm(x, self.weight, eps=self.eps)

    extra_repr = LayerNorm.extra_repr


@checked
def _check_width(x: Float[Tensor, "*leading width"], width: int) -> None:
    if x.shape[-1:] != (width,):
        raise ValueError(f"x must have {width} features on its last axis, got shape {tuple(x.shape)}")
