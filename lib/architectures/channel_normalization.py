"""Normalization of channels: of ``x[batch, channels, *space]``, numbers that belong together get mean 0 and variance 1.

Batch norm takes together those of one channel, group norm those of one example and one group of channels.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.precision import in_float32
from lib.core.rules import PositiveFloat, PositiveInt, Share
from lib.core.validation import check_divisible

from .standardization import Standardize, stretched

__all__ = ["BatchNorm", "GroupNorm", "batch_norm", "group_norm"]


@checked
@in_float32
def batch_norm(
    x: Float[Tensor, "batch channels *space"],
    weight: Float[Tensor, " channels"] | None = None,
    bias: Float[Tensor, " channels"] | None = None,
    *,
    mean: Float[Tensor, " channels"] | None = None,
    variance: Float[Tensor, " channels"] | None = None,
    eps: PositiveFloat = 1e-5,
) -> Float[Tensor, "batch channels *space"]:
    """Centre and scale each channel, then stretch and shift it (Ioffe & Szegedy 2015, algorithm 1).

    Equation: eq-batch-norm

    Mean and (biased) variance are taken over the batch and its space, so that each example's result depends on the
    others; given ``mean`` and ``variance``, the map is affine and each example is by itself (algorithm 2).

    >>> batch_norm(torch.tensor([[1.0], [3.0]])).T
    tensor([[-1.0000,  1.0000]])

    Raises:
        TypeError: integer tensors, or tensors of different dtype.
        ValueError: fewer than two numbers a channel to normalize by, a mean without a variance or the reverse, an eps
            that is not positive, sizes that do not match.
    """
    if (mean is None) != (variance is None):
        given = "mean" if variance is None else "variance"
        raise ValueError(f"mean and variance must be given together, got {given} alone")
    if mean is None:
        return _normalized_by_batch(x, weight, bias, eps)
    scale = torch.rsqrt(variance + eps) if weight is None else torch.rsqrt(variance + eps) * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    return torch.addcmul(_by_channel(shift, x), x, _by_channel(scale, x))


@checked
@in_float32
def group_norm(
    x: Float[Tensor, "batch channels *space"],
    groups: PositiveInt,
    weight: Float[Tensor, " channels"] | None = None,
    bias: Float[Tensor, " channels"] | None = None,
    *,
    eps: PositiveFloat = 1e-5,
) -> Float[Tensor, "batch channels *space"]:
    """Centre and scale each group of channels of each example, then stretch and shift each channel (Wu & He 2018, eq. 7).

    Equation: eq-group-norm

    One group normalizes a whole example; as many groups as channels is the instance normalization of style transfer.

    >>> group_norm(torch.tensor([[1.0, 3.0, 5.0, 5.0]]), 2)
    tensor([[-1.0000,  1.0000,  0.0000,  0.0000]])

    Raises:
        TypeError: as :func:`batch_norm`.
        ValueError: groups that do not divide the channels, a group of one number, which would always become 0.
    """
    check_divisible("channels", x.shape[1], "groups", groups)
    if x.shape[1] // groups * math.prod(x.shape[2:]) < 2:
        raise ValueError(f"a group must hold at least two numbers, got {groups} groups for x of shape {tuple(x.shape)}")
    y, _ = Standardize.apply(x.unflatten(1, (groups, -1)).flatten(2), (-1,), eps)
    y = y.reshape(x.shape)
    return stretched(y, *(each if each is None else _by_channel(each, x) for each in (weight, bias)))


class BatchNorm(nn.Module):
    """:func:`batch_norm` by the batch in training mode, by running statistics in evaluation mode.

    The state dict is that of :class:`torch.nn.BatchNorm2d`; ``[batch, channels]`` and signals are taken as well. After
    each batch in training mode, ``running ← (1 − momentum) · running + momentum · batch``, with the unbiased variance,
    although the batch itself is normalized by the biased one. Under ``torch.func`` only evaluation mode works: nothing
    can be kept there.

    >>> BatchNorm(2).eval()(torch.tensor([[1.0, 3.0]])).detach()
    tensor([[1.0000, 3.0000]])

    Raises:
        TypeError: channels that are not an int; in the call as :func:`batch_norm`.
        ValueError: channels below 1, a momentum outside 0 … 1; in the call as :func:`batch_norm`.
    """

    @checked
    def __init__(
        self, channels: PositiveInt, eps: PositiveFloat = 1e-5, *, momentum: Share = 0.1, affine: bool = True
    ) -> None:
        super().__init__()
        self.channels, self.eps, self.momentum = channels, eps, momentum
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    @checked
    def forward(self, x: Float[Tensor, "batch channels *space"]) -> Float[Tensor, "batch channels *space"]:
        _check_channels(x, self.channels)
        if self.training:
            return _normalized_by_batch(x, self.weight, self.bias, self.eps, self._keep)
        return batch_norm(x, self.weight, self.bias, mean=self.running_mean, variance=self.running_var, eps=self.eps)

    @torch.no_grad()
    def _keep(self, mean: Tensor, variance: Tensor) -> None:
        for running, batch in ((self.running_mean, mean), (self.running_var, variance)):
            running.lerp_(batch.to(running.dtype), self.momentum)
        self.num_batches_tracked += 1

    def extra_repr(self) -> str:
        return f"{self.channels}, eps={self.eps}, momentum={self.momentum}, affine={self.weight is not None}"


class GroupNorm(nn.Module):
    """:func:`group_norm` with a learned stretch and shift; the state dict is that of :class:`torch.nn.GroupNorm`.

    >>> GroupNorm(2, 4)(torch.tensor([[1.0, 3.0, 5.0, 5.0]])).detach()
    tensor([[-1.0000,  1.0000,  0.0000,  0.0000]])

    Raises:
        TypeError: sizes that are not ints; in the call as :func:`group_norm`.
        ValueError: sizes below 1, groups that do not divide the channels; in the call as :func:`group_norm`.
    """

    @checked
    def __init__(
        self, groups: PositiveInt, channels: PositiveInt, eps: PositiveFloat = 1e-5, *, affine: bool = True
    ) -> None:
        super().__init__()
        check_divisible("channels", channels, "groups", groups)
        self.groups, self.channels, self.eps = groups, channels, eps
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    @checked
    def forward(self, x: Float[Tensor, "batch channels *space"]) -> Float[Tensor, "batch channels *space"]:
        _check_channels(x, self.channels)
        return group_norm(x, self.groups, self.weight, self.bias, eps=self.eps)

    def extra_repr(self) -> str:
        return f"{self.groups}, {self.channels}, eps={self.eps}, affine={self.weight is not None}"


@checked
@in_float32
def _normalized_by_batch(
    x: Float[Tensor, "batch channels *space"],
    weight: Float[Tensor, " channels"] | None,
    bias: Float[Tensor, " channels"] | None,
    eps: float,
    keep: Callable[[Tensor, Tensor], None] | None = None,
) -> Float[Tensor, "batch channels *space"]:
    """Normalize channels by the batch; ``keep`` is told the mean and the unbiased variance, in float32 at least."""
    axes = (0, *range(2, x.ndim))
    count = x.numel() // x.shape[1]
    if count < 2:
        raise ValueError(
            "batch norm by the batch needs at least two numbers a channel, "
            f"got x of shape {tuple(x.shape)}; use running statistics, eval()"
        )
    y, variance = Standardize.apply(x, axes, eps)
    if keep is not None:
        keep(x.detach().mean(axes), variance.detach().flatten() * (count / (count - 1)))
    return stretched(y, *(each if each is None else _by_channel(each, x) for each in (weight, bias)))


def _by_channel(each: Tensor, x: Tensor) -> Tensor:
    """View one number a channel so that it stretches over the space of x."""
    return each.view(-1, *[1] * (x.ndim - 2))


def _check_channels(x: Tensor, channels: int) -> None:
    if x.shape[1] != channels:
        raise ValueError(f"x must have {channels} channels on its second axis, got shape {tuple(x.shape)}")
