"""Where the parameters of a model lie, and what follows from it: checkpoints, norms, clipping, equal copies.

A layer that holds parts says so in ``placements``, a dict from the parameter's name. What no layer places is whole on
every rank.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked

from .agreement import compare_lists, place_in_group
from .conjugate_pairs import gather_from_ranks, reduce_from_ranks

__all__ = [
    "Placement",
    "assert_replicas_equal",
    "clip_gradients",
    "cut_among",
    "described",
    "gather_state_dict",
    "gradient_norm",
    "own_part",
    "placements",
    "shard_state_dict",
]


@dataclass(frozen=True)
class Placement:
    """Cut into equal parts along ``axis`` of ``size``, with zeros behind its end where ranks do not divide it; or whole."""

    axis: int | None = None
    size: int = 0
    group: dist.ProcessGroup | None = None


WHOLE = Placement()


@checked
def placements(model: nn.Module) -> dict[nn.Parameter, Placement]:
    """The placement of each parameter, also of those inside wrappers and under several names.

    >>> [placement.axis for placement in placements(nn.Linear(2, 3)).values()]  # whole on every rank
    [None, None]
    """
    found = dict.fromkeys(model.parameters(), WHOLE)
    for module in model.modules():
        for name, placement in getattr(module, "placements", {}).items():
            if (parameter := getattr(module, name)) is not None:
                found[parameter] = placement
    return found


def own_part(whole: Tensor, placement: Placement) -> Tensor:
    """This rank's part of a tensor, as a tensor of its own."""
    if placement.axis is None:
        return whole.detach().clone()
    rank, ranks = place_in_group(placement.group)
    length = -(-placement.size // ranks)
    start, end = min(rank * length, placement.size), min((rank + 1) * length, placement.size)
    part = whole.detach().narrow(placement.axis, start, end - start)
    padding = [*part.shape]
    padding[placement.axis] = length - (end - start)
    return torch.cat([part, part.new_zeros(padding)], placement.axis)


def shard_state_dict(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """This rank's part of an unsharded state dict, for a ``model`` whose layers are cut. Names are the same in both.

    >>> from lib.parallelism import run_ranks
    >>> from lib.parallelism import ColumnParallelLinear
    >>> def part():
    ...     state = {"weight": torch.tensor([[1.0], [2.0]])}
    ...     return shard_state_dict(state, ColumnParallelLinear(1, 2, bias=False))["weight"].tolist()
    >>> run_ranks(part, 2)
    [[[1.0]], [[2.0]]]

    Raises:
        ValueError: a tensor of another size than the model's whole one along the axis that is cut; no process group.
    """
    place_in_group()
    where, own = placements(model), model.state_dict(keep_vars=True)
    parts = {}
    for name, whole in state.items():
        placement = where.get(own.get(name), WHOLE)
        if placement.axis is not None and whole.shape[placement.axis] != placement.size:
            raise ValueError(
                f"{name} must have size {placement.size} on axis {placement.axis}, got shape {tuple(whole.shape)}"
            )
        parts[name] = own_part(whole, placement)
    return parts


def gather_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """The unsharded state dict, on every rank: undoes :func:`shard_state_dict`. All ranks must call it.

    >>> from lib.parallelism import run_ranks
    >>> from lib.parallelism import ColumnParallelLinear
    >>> run_ranks(lambda: [*gather_state_dict(ColumnParallelLinear(4, 2))["weight"].shape], 2)  # of 1 × 4 a rank
    [[2, 4], [2, 4]]

    Raises:
        ValueError: ranks whose models differ, where ranks check each other; no process group.
    """
    place_in_group()
    where = placements(model)
    return {name: _whole(value, where.get(value, WHOLE)) for name, value in model.state_dict(keep_vars=True).items()}


def _whole(value: Tensor, placement: Placement) -> Tensor:
    if placement.axis is None:
        return value.detach().clone()
    whole = gather_from_ranks(value.detach(), dim=placement.axis, group=placement.group)
    return whole.narrow(placement.axis, 0, placement.size).clone()


def gradient_norm(model: nn.Module) -> Float[Tensor, ""]:
    """Length of the whole gradient, as one process would have it: parts add up over the ranks, copies count once.

    >>> from lib.parallelism import run_ranks
    >>> def norm():
    ...     layer = nn.Linear(2, 1, bias=False)
    ...     layer.weight.grad = torch.tensor([[3.0, 4.0]])
    ...     return gradient_norm(layer).item()
    >>> run_ranks(norm, 2)
    [5.0, 5.0]

    Raises:
        ValueError: no gradient; no process group.
    """
    place_in_group()
    squares: dict[dist.ProcessGroup | None, Tensor] = {}
    for parameter, placement in placements(model).items():
        if parameter.grad is not None:
            key = placement.group if placement.axis is not None else "whole"
            squares[key] = squares.get(key, 0) + parameter.grad.square().sum()
    if not squares:
        raise ValueError("model must have gradients, got none: call this after backward")
    return sum(
        square if group == "whole" else reduce_from_ranks(square, group=group) for group, square in squares.items()
    ).sqrt()


def clip_gradients(model: nn.Module, max_norm: float) -> Float[Tensor, ""]:
    """Shorten the whole gradient to ``max_norm`` if it is longer; its length before. All ranks must call it.

    :func:`torch.nn.utils.clip_grad_norm_` would measure each rank's own part, and shorten the copies differently.

    >>> from lib.parallelism import run_ranks
    >>> def clip():
    ...     layer = nn.Linear(2, 1, bias=False)
    ...     layer.weight.grad = torch.tensor([[3.0, 4.0]])
    ...     return clip_gradients(layer, 1.0).item(), round(layer.weight.grad.norm().item(), 4)
    >>> run_ranks(clip, 2)
    [(5.0, 1.0), (5.0, 1.0)]

    Raises:
        ValueError: a max_norm that is not positive; as :func:`gradient_norm`.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm must be positive, got {max_norm}")
    norm = gradient_norm(model)
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad *= (max_norm / (norm + 1e-6)).clamp(max=1.0)
    return norm


def assert_replicas_equal(model: nn.Module, *, group: dist.ProcessGroup | None = None) -> None:
    """Require parameters and buffers that the ranks hold alike to be equal bit for bit; what is cut is left out.

    >>> from lib.parallelism import run_ranks
    >>> run_ranks(lambda: assert_replicas_equal(nn.Linear(1, 1)), 2)  # drawn from two seeds
    Traceback (most recent call last):
        ...
    RuntimeError: ...

    Raises:
        ValueError: two ranks hold different numbers, and which; no process group.
    """
    where = placements(model)
    alike = {p for p, placement in where.items() if not cut_among(placement, group)}
    compare_lists("replicas", described(model, values=alike), group=group)


def described(model: nn.Module, values: set[Tensor] = frozenset()) -> list[str]:
    """A line for each parameter and buffer: name, kind, dtype, shape; a digest of its numbers if it is one of ``values``."""
    lines = []
    for kind, tensors in {"": model.named_parameters(), "buffer ": model.named_buffers()}.items():
        for name, tensor in tensors:
            frozen = "" if tensor.requires_grad or kind else "frozen "
            line = f"{name} ({frozen}{kind}{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
            if (tensor in values or (values and kind)) and not tensor.is_meta:
                numbers = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
                line += f", numbers {hashlib.sha256(numbers).hexdigest()[:12]}"
            lines.append(f"{line})")
    return lines


def cut_among(placement: Placement, group: dist.ProcessGroup | None) -> bool:
    """Whether the ranks of the group hold different parts rather than copies."""
    ranks = [set(dist.get_process_group_ranks(g or dist.group.WORLD)) for g in (placement.group, group)]
    return placement.axis is not None and len(set.intersection(*ranks)) > 1
