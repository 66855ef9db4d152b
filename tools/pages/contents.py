"""The pages of the book in the order of its table of contents."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def pages(root: Path = ROOT) -> list[tuple[int, str]]:
    """The rendered pages in their order; each with its depth, 1 for a chapter of a part."""
    return [
        (depth, f"{name}.html") for depth, name in _files(yaml.safe_load((root / "_toc.yml").read_text("utf-8")), 0)
    ]


def _files(entry: object, depth: int) -> list[tuple[int, str]]:
    if isinstance(entry, list):
        return [found for part in entry for found in _files(part, depth)]
    if not isinstance(entry, dict):
        return []
    own = [(depth, re.sub(r"\.(md|ipynb)$", "", str(entry[key]))) for key in ("root", "file") if key in entry]
    return own + [found for key, value in entry.items() for found in _files(value, depth + (key == "sections"))]
