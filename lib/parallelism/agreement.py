"""Before ranks exchange numbers: do they mean the same exchange?

A transport moves bytes. When one rank sends twelve and its neighbour expects sixteen, gloo ends a process or
waits for ever, and says nothing that helps. So ranks first tell each other what they are about to do.
"""

import json
from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["check_agreement", "check_tensor", "place_in_group", "require_agreement", "share"]

# One fixed length, because a rank cannot know how much another has to say. Room for 64 axes.
_BYTES = 512


def place_in_group(group: dist.ProcessGroup | None = None) -> tuple[int, int]:
    """This process's rank in the group, and how many ranks the group has (None is the group of all).

    Raises:
        ValueError: there is no process group yet, or this process is not a member of it.
    """
    if not dist.is_initialized():
        raise ValueError("a process group must exist, got none: call this inside a function given to run_ranks")
    rank = dist.get_rank(group)
    if rank < 0:
        raise ValueError(f"group must include the rank that calls, got one without rank {dist.get_rank()}")
    return rank, dist.get_world_size(group)


def share(
    fields: Sequence[str | int], *, group: dist.ProcessGroup | None = None, device: torch.device | str = "cpu"
) -> list[list[str | int]]:
    """Tell every rank a few words and numbers; what each rank told, in rank order.

    Raises:
        ValueError: more than 512 bytes of JSON; as :func:`place_in_group`.
    """
    _, ranks = place_in_group(group)
    text = json.dumps(list(fields)).encode()
    if len(text) > _BYTES:
        raise ValueError(f"fields must fit into {_BYTES} bytes of JSON, got {len(text)}")
    if ranks == 1:
        return [json.loads(text)]
    # Blanks after the end are no part of a JSON text.
    mine = torch.tensor(list(text.ljust(_BYTES)), dtype=torch.uint8, device=device)
    everyone = [torch.empty_like(mine) for _ in range(ranks)]
    dist.all_gather(everyone, mine, group=group)
    return [json.loads(bytes(told.tolist())) for told in everyone]


def check_agreement(call: str, x: Tensor, *, group: dist.ProcessGroup | None = None) -> None:
    """Require all ranks to make the same ``call`` on tensors of one shape and dtype; each rank learns of it.

    Raises:
        TypeError: not a tensor.
        ValueError: ranks differ in call, shape or dtype; the message lists who has what.
    """
    check_tensor(call, x)
    told = share([f"{call} of {x.dtype} {tuple(x.shape)}"], group=group, device=x.device)
    require_agreement([description for (description,) in told])


def check_tensor(call: str, x: Tensor) -> None:
    """Require a tensor for ``call``.

    Raises:
        TypeError: anything else.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"{call} needs a torch.Tensor, got {type(x).__name__}")


def require_agreement(descriptions: Sequence[str]) -> None:
    """Require the descriptions, one a rank, to be equal.

    Raises:
        ValueError: two of them differ; the message lists who has what.
    """
    ranks_of: dict[str, list[str]] = {}
    for rank, description in enumerate(descriptions):
        ranks_of.setdefault(description, []).append(str(rank))
    if len(ranks_of) > 1:
        received = ", ".join(
            f"rank{'s' * (len(ranks) > 1)} {' '.join(ranks)}: {description}" for description, ranks in ranks_of.items()
        )
        raise ValueError(f"ranks must agree on call, shape and dtype, got {received}")
