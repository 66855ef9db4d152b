"""Random numbers that repeat, without touching anybody else's."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Int64
from torch import Tensor

from .boundary import checked
from .rules import NonNegativeInt

__all__ = ["fixed_seed", "seeded", "shuffled", "stratified_split"]


@checked
def seeded(seed: NonNegativeInt, device: str | torch.device = "cpu") -> torch.Generator:
    """Return a fresh generator, to be passed on to whatever draws random numbers.

    >>> torch.equal(torch.rand(3, generator=seeded(0)), torch.rand(3, generator=seeded(0)))
    True

    Raises:
        ValueError: a negative seed, or one of 2**63 or more, a device that torch does not know.
    """
    try:
        return torch.Generator(device=device).manual_seed(seed)
    except RuntimeError as error:
        raise ValueError(f"device must be one that torch knows here, got {device!r}") from error


@checked
@contextmanager
def fixed_seed(seed: NonNegativeInt) -> Iterator[None]:
    """Seed torch's default generators inside the block and put their old states back after it.

    Layers draw their first weights from the default generator, which takes no argument. This makes
    such a draw repeatable and leaves the caller's random numbers as they were, also after an error.

    >>> with fixed_seed(0):
    ...     first = torch.nn.Linear(2, 2)
    >>> with fixed_seed(0):
    ...     torch.equal(torch.nn.Linear(2, 2).weight, first.weight)
    True

    Raises:
        ValueError: a negative seed.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@checked
def shuffled(rows: Int64[Tensor, " rows"], generator: torch.Generator) -> Int64[Tensor, " rows"]:
    """Return the same row numbers in random order."""
    return rows[torch.randperm(len(rows), generator=generator)]


@checked
def stratified_split(
    labels: Int64[Tensor, " examples"], sizes: Callable[[int], Sequence[int]], *, generator: torch.Generator
) -> list[Int64[Tensor, " rows"]]:
    """Divide row numbers into parts at random, class by class; a class of n rows gives ``sizes(n)`` to the parts.

    Within a part the classes follow one another; :func:`shuffled` mixes them.

    Raises:
        ValueError: sizes that do not add up to the rows of a class.
    """
    by_class = []
    for label in labels.unique():
        rows = shuffled((labels == label).nonzero().squeeze(1), generator)
        parts = list(sizes(len(rows)))
        if sum(parts) != len(rows) or min(parts) < 0:
            raise ValueError(f"the parts must add up to the {len(rows)} rows of class {label.item()}, got {parts}")
        by_class.append(rows.split(parts))
    return [torch.cat(part) for part in zip(*by_class, strict=True)]
