"""How long steps take by the clock, in one process or among ranks."""

import time
from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from lib.core.validation import check_positive_int

from .agreement import compare_lists

__all__ = ["step_seconds"]


def step_seconds(
    steps: Sequence[Callable[[], object]], *, repeats: int = 5, rounds: int = 1, group: dist.ProcessGroup | None = None
) -> Float[Tensor, "repeat step"]:
    """Seconds that each step takes: in each of ``repeats`` the fastest of ``rounds``, since other programs only add time.

    The steps take turns, so that a busy moment of the machine does not fall on one of them alone. Among ranks, all call
    this with the same number of steps, a rank that has no part in a step with one that does nothing; a step then lasts
    from one barrier to the next, until the last rank is through. A step on an accelerator waits for its device itself.

    >>> step_seconds([lambda: None, lambda: sum(range(9))], repeats=3).shape
    torch.Size([3, 2])

    Raises:
        TypeError: repeats or rounds is not an int.
        ValueError: no steps, repeats or rounds below 1, or ranks that differ in any of the three.
    """
    check_positive_int("repeats", repeats)
    check_positive_int("rounds", rounds)
    if not steps:
        raise ValueError("steps must hold at least one step, got none")
    ranks_wait = dist.is_initialized()
    if ranks_wait:
        compare_lists("timing", [f"{len(steps)} steps, {repeats} repeats, {rounds} rounds"], group=group)
    fastest = torch.full((repeats, len(steps)), torch.inf)
    for repeat in range(repeats):
        for _ in range(rounds):
            for place, step in enumerate(steps):
                if ranks_wait:
                    dist.barrier(group)
                start = time.perf_counter()
                step()
                if ranks_wait:
                    dist.barrier(group)
                seconds = time.perf_counter() - start
                fastest[repeat, place] = min(fastest[repeat, place].item(), seconds)
    return fastest
