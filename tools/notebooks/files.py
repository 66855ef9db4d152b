"""Reading and writing notebooks: clear errors, and never a half-written file."""

import json
import os
import stat
import tempfile
from pathlib import Path

import nbformat

from tools.notebooks.canonical import NotebookError, canonicalise, serialise

ROOT = Path(__file__).resolve().parents[2]


def chapter_paths() -> list[Path]:
    """Every notebook of the book, in the order of their paths."""
    found = sorted((ROOT / "chapters").rglob("*.ipynb"))
    return [path for path in found if ".ipynb_checkpoints" not in path.parts]


def read(path: Path) -> nbformat.NotebookNode:
    """The notebook in the file. Raises NotebookError when there is none."""
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
    except FileNotFoundError:
        raise NotebookError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise NotebookError(f"{path}: is a folder, a notebook was expected") from None
    except ValueError as error:  # not UTF-8, or not JSON
        raise NotebookError(f"{path}: not a notebook ({error})") from None
    if not isinstance(content, dict) or content.get("nbformat") != 4 or "cells" not in content:
        raise NotebookError(f"{path}: not a notebook of format 4")
    for number, cell in enumerate(content["cells"], start=1):
        if not isinstance(cell, dict) or not isinstance(cell.get("source"), str | list):
            raise NotebookError(f"{path}: cell {number} has no source")
    return nbformat.reads(text, as_version=4)


def write(path: Path, notebook: nbformat.NotebookNode) -> None:
    """Put the canonical form of the notebook in the file, wholly or not at all."""
    replace_text(path, serialise(canonicalise(notebook)))


def replace_text(path: Path, text: str) -> None:
    """Write beside the file, then move into its place: a reader sees the old or the new text, never a half."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, _mode(path))
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _mode(path: Path) -> int:
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
