"""What takes too long for one sitting: made once by the chapter's own code, stored, and read back."""

import os
import pickle
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from .boundary import checked

__all__ = ["checkpoint"]

FOLDER = Path("..", "checkpoints")  # seen from a chapter's folder, in which its kernel runs
LARGEST = 2 * 1024**2  # bytes: a small language model; most take a hundredth
REMAKE = "INSIDE_LARGE_MODELS_REMAKE"  # set by `make checkpoints`: 1 for all, or names with commas between them


@checked
def checkpoint(
    name: str, make: Callable[[], Mapping[str, Tensor]], *, folder: str | Path = FOLDER
) -> dict[str, Tensor]:
    """The tensors that ``make()`` returned when the book was made, read from ``folder/name.pt``.

    Training differs in its last digits from one processor to the next, and a long experiment does not fit
    into one sitting; what a chapter says of such results it says of these. ``make checkpoints`` (``STORE=name``
    for one of several) runs ``make()`` anew and stores what it returns, such as a `state_dict`. Where there
    is no file, as outside the repository, it is run on the spot, which a line on stderr says, and nothing is stored.

    Raises:
        TypeError: ``make`` returned something else than tensors by name.
        ValueError: a file that does not hold tensors by name, or more than 2 MB to store.
    """
    file = Path(folder, f"{name}.pt")
    if {"1", name} & set(os.environ.get(REMAKE, "").split(",")):
        _store(_made(make), file)
    elif not file.exists():
        place = Path.cwd().name
        print(f"{name} is made anew, which may take minutes: {file} is not seen from {place}", file=sys.stderr)
        return _made(make)
    return _read(file)


def _made(make: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
    made = make()
    if not _is_table(made):
        raise TypeError(f"make must return a dict of tensors by name, got {type(made).__name__}")
    return {key: value.detach().cpu().clone() for key, value in made.items()}


def _store(made: dict[str, Tensor], file: Path) -> None:
    file.parent.mkdir(exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    try:
        torch.save(made, unfinished)
        if unfinished.stat().st_size > LARGEST:
            size = unfinished.stat().st_size / 1024
            raise ValueError(f"{file.name} must take at most {LARGEST // 1024} KB, got {size:.0f} KB")
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def _read(file: Path) -> dict[str, Tensor]:
    try:
        table = torch.load(file, map_location="cpu", weights_only=True)
    except (EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise ValueError(f"{file} must hold tensors by name; make it anew with `make checkpoints`") from error
    if not _is_table(table):
        raise ValueError(f"{file} must hold tensors by name, got {type(table).__name__}")
    return dict(table)


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(key, str) and isinstance(entry, Tensor) for key, entry in value.items()
    )
