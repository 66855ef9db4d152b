"""The document model: a page of the book with its metadata, cells, directives, sections and objectives."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path, PurePosixPath

import yaml

from tools.chapter.kinds import kind
from tools.chapter.markup import Directive, directives, outer_tokens

PARTS = ("background", "concepts", "formulas", "code", "future_trends", "faq")
OBJECTIVES_HEADING = "What you will be able to do"


@dataclass(frozen=True)
class Cell:
    """One cell, numbered from 1; of code, `kind` says what it is there for (`tools.chapter.kinds`)."""

    number: int
    kind: str
    source: str
    tags: tuple[str, ...] = ()

    @property
    def is_code(self) -> bool:
        return self.kind not in ("markdown", "raw")

    def directives(self) -> Iterator[Directive]:
        """The outermost directives; code has none."""
        return directives(self.source) if self.kind == "markdown" else iter(())


@dataclass(frozen=True)
class Section:
    """A heading with its level and the cell in which it stands."""

    title: str
    level: int
    cell: Cell


@dataclass(frozen=True)
class Chapter:
    """A page of the book, read from its file."""

    docname: str
    metadata: dict
    cells: tuple[Cell, ...] = field(repr=False)

    @classmethod
    def read(cls, path: Path, root: Path) -> "Chapter":
        """Read `path`, a notebook or a Markdown page of the book that lives in `root`."""
        docname = path.relative_to(root).with_suffix("").as_posix()
        return _from_text(docname, path.suffix, path.read_text(encoding="utf-8"))

    @classmethod
    def from_notebook(cls, docname: str, notebook: str | dict) -> "Chapter":
        """From the text of a notebook's file, or from the notebook that nbformat has made of it."""
        content = json.loads(notebook) if isinstance(notebook, str) else notebook
        return cls(
            docname, content["metadata"], tuple(map(_cell, range(1, len(content["cells"]) + 1), content["cells"]))
        )

    @classmethod
    def from_markdown(cls, docname: str, text: str) -> "Chapter":
        first = next(iter(outer_tokens(text)), None) if text.startswith("---") else None
        front_matter = yaml.safe_load(first.content) if first and first.type == "front_matter" else None
        return cls(docname, front_matter or {}, (Cell(1, "markdown", text),))

    @property
    def part(self) -> str:
        """The part of the book in which it stands: its folder's name."""
        return PurePosixPath(self.docname).parent.name

    @property
    def book(self) -> dict:
        """What the chapter says of itself under the metadata key `book`."""
        return self.metadata.get("book") or {}

    @property
    def markdown(self) -> Iterator[Cell]:
        return (cell for cell in self.cells if cell.kind == "markdown")

    def directives(self) -> Iterator[tuple[Cell, Directive]]:
        """The outermost directives in reading order, each with its cell."""
        return ((cell, directive) for cell in self.markdown for directive in cell.directives())

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """Every heading, in reading order."""
        return tuple(self._headings())

    @property
    def title(self) -> str:
        """The first heading."""
        first = next(self._headings(), None)
        return first.title if first else self.docname

    def _headings(self) -> Iterator[Section]:
        return (
            Section(inline.content.strip(), int(heading.tag[1]), cell)
            for cell in self.markdown
            for heading, inline in pairwise(outer_tokens(cell.source))
            if heading.type == "heading_open"
        )

    @cached_property
    def objectives(self) -> int:
        """How many learning objectives the chapter promises: the numbered list under its heading."""
        count, below_heading = 0, False
        found = [token for cell in self.markdown for token in outer_tokens(cell.source)]
        for token, following in pairwise(found):
            if token.type == "heading_open":
                below_heading = following.content.strip() == OBJECTIVES_HEADING
            elif below_heading and token.type == "list_item_open" and token.level == 1 and token.info:
                count += 1
        return count


def is_chapter(docname: str) -> bool:
    """Does the page stand in one of the book's six parts?"""
    folder = PurePosixPath(docname).parent
    return folder.parent == PurePosixPath("chapters") and folder.name in PARTS


def read_book(root: Path) -> list[Chapter]:
    """All pages below chapters/, notebooks and Markdown, in alphabetical order."""
    pages = sorted(path for suffix in ("ipynb", "md") for path in (root / "chapters").rglob(f"*.{suffix}"))
    return [Chapter.read(path, root) for path in pages if ".ipynb_checkpoints" not in path.parts]


@lru_cache(maxsize=256)
def _from_text(docname: str, suffix: str, text: str) -> Chapter:
    """The page whose file holds this text; the next to ask for the same one gets the same object."""
    return Chapter.from_notebook(docname, text) if suffix == ".ipynb" else Chapter.from_markdown(docname, text)


def _cell(number: int, cell: dict) -> Cell:
    tags = tuple(cell["metadata"].get("tags", ()))
    what = kind(tags) if cell["cell_type"] == "code" else cell["cell_type"]
    return Cell(number, what, "".join(cell["source"]), tags)
