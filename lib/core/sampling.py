"""Random numbers that repeat, without touching anybody else's."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from .validation import check_non_negative_int

__all__ = ["fixed_seed", "seeded"]


def seeded(seed: int, device: str | torch.device = "cpu") -> torch.Generator:
    """Return a fresh generator, to be passed on to whatever draws random numbers.

    Raises:
        ValueError: a negative seed.
    """
    check_non_negative_int("seed", seed)
    return torch.Generator(device=device).manual_seed(seed)


@contextmanager
def fixed_seed(seed: int) -> Iterator[None]:
    """Seed torch's default generators inside the block and put their old states back after it.

    Layers draw their first weights from the default generator, which takes no argument. This makes
    such a draw repeatable and leaves the caller's random numbers as they were, also after an error.

    Raises:
        ValueError: a negative seed.
    """
    check_non_negative_int("seed", seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
