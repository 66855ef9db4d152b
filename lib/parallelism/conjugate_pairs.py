"""Communication inside a model: what a collective does forward decides what it owes backward.

Two pairs: identity beside all-reduce, own part beside all-gather. Each function is the backward pass of its partner,
so each gradient below is one line.

They call the engine's collectives; the ring of ``collectives`` is there to be read and counted. The convention: what
all ranks hold alike (x before *f*, y after *g*) is one variable, not p of them, and so is the loss that all compute.
"""

import torch
import torch.distributed as dist
from jaxtyping import Shaped
from torch import Tensor
from torch.autograd import Function

from lib.core.validation import check_divisible

from .agreement import check_agreement, check_tensor, place_in_group

__all__ = ["copy_to_ranks", "gather_from_ranks", "reduce_from_ranks", "split_to_ranks"]


def copy_to_ranks(x: Shaped[Tensor, "*shape"], *, group: dist.ProcessGroup | None = None) -> Shaped[Tensor, "*shape"]:
    """Megatron's *f*: hand ``x``, which all ranks hold alike, to each rank's own part of the work.

    Forward nothing happens. Each part sends back its own gradient, and the gradient of ``x`` is their sum
    (Shoeybi et al. 2019, section 3). The backward of :func:`reduce_from_ranks`.

    >>> from lib.parallelism import run_ranks
    >>> run_ranks(lambda: torch.autograd.grad(copy_to_ranks(x := torch.ones(1, requires_grad=True)), x)[0].item(), 2)
    [2.0, 2.0]

    Raises:
        TypeError: not a tensor.
        ValueError: no process group, or one without this rank; in backward, ranks differ in shape or dtype.
    """
    check_tensor("copy_to_ranks", x)
    place_in_group(group)
    return _Copy.apply(x, group)


def reduce_from_ranks(
    x: Shaped[Tensor, "*shape"], *, group: dist.ProcessGroup | None = None
) -> Shaped[Tensor, "*shape"]:
    """Megatron's *g*: add up what the ranks have, so that all hold the sum.

    Each addend's gradient is the gradient of the sum, which all ranks hold alike: backward nothing happens
    (Shoeybi et al. 2019, section 3). The backward of :func:`copy_to_ranks`.

    >>> from lib.parallelism import run_ranks
    >>> run_ranks(lambda: reduce_from_ranks(torch.tensor([3.0])).item(), 2)
    [6.0, 6.0]

    Raises:
        TypeError: not a tensor.
        ValueError: ranks differ in shape or dtype; no process group, or one without this rank.
    """
    return _Reduce.apply(x, group)


def split_to_ranks(
    x: Shaped[Tensor, "*shape"], *, dim: int = -1, group: dist.ProcessGroup | None = None
) -> Shaped[Tensor, "*part"]:
    """Of ``x``, which all ranks hold alike, keep this rank's part of axis ``dim``; the parts are equal in size.

    The gradient of ``x`` is joined from the parts' gradients. Megatron's *scatter*, and the backward of
    :func:`gather_from_ranks`.

    >>> from lib.parallelism import run_ranks
    >>> run_ranks(lambda: split_to_ranks(torch.tensor([3, 4])).tolist(), 2)
    [[3], [4]]

    Raises:
        TypeError: not a tensor.
        ValueError: ``dim`` names no axis, or its size is not divisible by the number of ranks; no process
            group, or one without this rank; in backward, ranks differ in shape or dtype.
    """
    _check_axis("split_to_ranks", x, dim)
    _, ranks = place_in_group(group)
    check_divisible(f"size of axis {dim}", x.shape[dim], "ranks", ranks)
    return _Split.apply(x, dim, group)


def gather_from_ranks(
    x: Shaped[Tensor, "*part"], *, dim: int = -1, group: dist.ProcessGroup | None = None
) -> Shaped[Tensor, "*shape"]:
    """Join the ranks' parts along axis ``dim``, in rank order, so that all hold the whole.

    Each part's gradient is its part of the whole's. Megatron's *gather*, and the backward of :func:`split_to_ranks`.

    >>> from lib.parallelism import run_ranks
    >>> run_ranks(lambda: gather_from_ranks(torch.tensor([dist.get_rank()])).tolist(), 2)
    [[0, 1], [0, 1]]

    Raises:
        TypeError: not a tensor.
        ValueError: ``dim`` names no axis; ranks differ in shape, dtype or ``dim``; no process group, or one
            without this rank.
    """
    _check_axis("gather_from_ranks", x, dim)
    return _Gather.apply(x, dim, group)


class _Copy(Function):
    @staticmethod
    def forward(ctx, x, group):
        ctx.group = group
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return reduce_from_ranks(grad, group=ctx.group), None


class _Reduce(Function):
    @staticmethod
    def forward(ctx, x, group):
        ctx.group = group
        _, ranks = place_in_group(group)
        check_agreement("reduce_from_ranks", x, group=group)
        total = x.clone(memory_format=torch.contiguous_format)
        if ranks > 1:
            dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx, grad):
        return copy_to_ranks(grad, group=ctx.group), None


class _Split(Function):
    @staticmethod
    def forward(ctx, x, dim, group):
        ctx.dim, ctx.group = dim, group
        rank, ranks = place_in_group(group)
        return x.chunk(ranks, dim)[rank].clone(memory_format=torch.contiguous_format)

    @staticmethod
    def backward(ctx, grad):
        return gather_from_ranks(grad, dim=ctx.dim, group=ctx.group), None, None


class _Gather(Function):
    @staticmethod
    def forward(ctx, x, dim, group):
        ctx.dim, ctx.group = dim, group
        _, ranks = place_in_group(group)
        check_agreement(f"gather_from_ranks along axis {dim}", x, group=group)
        x = x.contiguous()
        parts = [torch.empty_like(x) for _ in range(ranks)]
        if ranks > 1:
            dist.all_gather(parts, x, group=group)
        return torch.cat(parts, dim) if ranks > 1 else x.clone()

    @staticmethod
    def backward(ctx, grad):
        return split_to_ranks(grad, dim=ctx.dim, group=ctx.group), None, None


def _check_axis(call: str, x: Tensor, dim: int) -> None:
    check_tensor(call, x)
    if not -x.ndim <= dim < x.ndim:
        raise ValueError(f"dim must name one of the {x.ndim} axes of x, got {dim}")
