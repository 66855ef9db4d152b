"""Do the ranks mean the same exchange?

A transport moves bytes. When one rank sends twelve and its neighbour expects sixteen, gloo ends a process or
waits for ever, and says nothing that helps. So each rank notes in a ledger what it is about to call. The process that
started the ranks reads the notes, which costs them no message; with ``run_ranks(check=True)`` the ranks also tell
each other before each collective, and a call that does not fit is refused on all of them.
"""

import struct
from collections.abc import Container, Sequence
from itertools import zip_longest

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = [
    "NOTE_BYTES",
    "Group",
    "Ledger",
    "announce",
    "check_agreement",
    "check_tensor",
    "compare_lists",
    "disagreement",
    "keep_ledger",
    "place_in_group",
    "share",
]

Group = dist.ProcessGroup | None

# One fixed length, because a rank cannot know how much another has to say. Room for 64 axes.
NOTE_BYTES = 512
_COUNT = struct.Struct("<Q")


class Ledger:
    """What this rank has called last, as how manieth collective of all ranks; ``page`` is shared with its caller."""

    def __init__(self, page: memoryview | None, check: bool) -> None:
        self.page, self.check, self.count = page, check, 0

    def note(self, call: str) -> None:
        """Write the call down. The count is 0 while the words are being written, and read before and after them."""
        self.count += 1
        if self.page is not None:
            _COUNT.pack_into(self.page, 0, 0)
            self.page[_COUNT.size :] = call.encode()[: NOTE_BYTES - _COUNT.size].ljust(NOTE_BYTES - _COUNT.size)
            _COUNT.pack_into(self.page, 0, self.count)


_ledger: Ledger | None = None


def keep_ledger(ledger: Ledger | None) -> Ledger | None:
    """Make it this process's ledger; the one before."""
    global _ledger
    before, _ledger = _ledger, ledger
    return before


def disagreement(pages: Sequence[memoryview], returned: Container[int] = ()) -> str | None:
    """What the notes say if two ranks can never meet: another call as the same collective, or one after a rank ``returned``."""
    noted = {}
    for rank, page in enumerate(pages):
        (count,) = _COUNT.unpack_from(page)
        words = bytes(page[_COUNT.size :]).decode(errors="replace").rstrip()
        if count == _COUNT.unpack_from(page)[0] and (count or rank in returned):
            noted[rank] = count, words
    last = max((count for count, _ in noted.values()), default=0)
    calls = {rank: words for rank, (count, words) in noted.items() if count == last}
    calls |= {rank: "nothing more" for rank, (count, _) in noted.items() if count < last and rank in returned}
    return _differences(calls)


def place_in_group(group: Group = None) -> tuple[int, int]:
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


def announce(call: str, *, group: Group = None, device: torch.device | str = "cpu") -> int:
    """Note the collective that follows, and where ranks check each other require the same of all; bytes sent for it.

    Raises:
        ValueError: a rank calls something else; the message lists who calls what.
    """
    _, ranks = place_in_group(group)
    if _ledger is None or ranks == 1:
        return 0
    if group is None:
        _ledger.note(call)
    if not _ledger.check:
        return 0
    told = share(call, group=group, device=device)
    if different := _differences(dict(enumerate(told))):
        raise ValueError(different)
    return NOTE_BYTES * (ranks - 1)


def compare_lists(what: str, mine: list[str], *, group: Group = None, only_if_checking: bool = False) -> None:
    """Require one list of words on all ranks, such as the parameters of a model.

    Raises:
        ValueError: two lists differ; the first difference is named.
    """
    _, ranks = place_in_group(group)
    if only_if_checking and not (_ledger and _ledger.check):
        return
    announce(f"comparison of {what}", group=group)
    everyone: list[list[str]] = [[]] * ranks
    dist.all_gather_object(everyone, mine, group=group)
    for rank, theirs in enumerate(everyone):
        for first, other in zip_longest(everyone[0], theirs, fillvalue="nothing more"):
            if first != other:
                raise ValueError(
                    f"{what} must be the same on all ranks, got {first} on rank 0 and {other} on rank {rank}"
                )


def check_agreement(call: str, x: Tensor, *, group: Group = None) -> int:
    """:func:`announce` a ``call`` on a tensor, with its dtype and shape.

    Raises:
        TypeError: not a tensor.
        ValueError: ranks differ in call, shape or dtype; the message lists who has what.
    """
    check_tensor(call, x)
    return announce(f"{call} of {x.dtype} {tuple(x.shape)}", group=group, device=x.device)


def share(words: str, *, group: Group = None, device: torch.device | str = "cpu") -> list[str]:
    """Tell every rank some words, of which 512 bytes arrive; what each rank told, in rank order."""
    _, ranks = place_in_group(group)
    mine = torch.tensor(list(words.encode()[:NOTE_BYTES].ljust(NOTE_BYTES)), dtype=torch.uint8, device=device)
    everyone = [torch.empty_like(mine) for _ in range(ranks)]
    dist.all_gather(everyone, mine, group=group)
    return [bytes(told.tolist()).decode(errors="replace").rstrip() for told in everyone]


def check_tensor(call: str, x: Tensor) -> None:
    """Require a tensor for ``call``.

    Raises:
        TypeError: anything else.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"{call} needs a torch.Tensor, got {type(x).__name__}")


def _differences(calls: dict[int, str]) -> str | None:
    ranks_of: dict[str, list[str]] = {}
    for rank, call in sorted(calls.items()):
        ranks_of.setdefault(call, []).append(str(rank))
    if len(ranks_of) < 2:
        return None
    received = ", ".join(f"rank{'s' * (len(ranks) > 1)} {' '.join(ranks)}: {call}" for call, ranks in ranks_of.items())
    return f"ranks must agree on call, shape and dtype, got {received}"
