"""A chapter as its author wrote it: metadata, cells, directives, objectives, before anything is rendered."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path, PurePosixPath

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.front_matter import front_matter_plugin
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)

PARTS = ("background", "concepts", "formulas", "code", "future_trends", "faq")
OBJECTIVES_HEADING = "What you will be able to do"
# Bodies of these are code: a formula or a directive shown in them is an example, not part of the chapter.
VERBATIM = {"code", "code-block", "code-cell", "literalinclude", "raw", "eval-rst"}

_MARKDOWN = (
    MarkdownIt("commonmark").use(front_matter_plugin).use(colon_fence_plugin).use(dollarmath_plugin, double_inline=True)
)
_DIRECTIVE = re.compile(r"\{([\w:-]+)\}[ \t]*(.*)")
_OPTION = re.compile(r":([\w-]+):[ \t]*(.*)")


@dataclass(frozen=True)
class Directive:
    """A MyST directive: ```{name} argument, its options, and its body as Markdown."""

    name: str
    argument: str
    options: dict[str, str]
    body: str
    cell: int

    @property
    def classes(self) -> list[str]:
        return self.options.get("class", "").split()

    def inner(self) -> Iterator[Directive]:
        """The directives directly inside the body."""
        return directives(self.body, self.cell)


@dataclass(frozen=True)
class Cell:
    """One cell of a notebook, numbered from 1."""

    number: int
    kind: str
    source: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chapter:
    """A page of the book, read from its file."""

    docname: str
    metadata: dict
    cells: tuple[Cell, ...] = field(repr=False)

    @classmethod
    def read(cls, path: Path, root: Path) -> Chapter:
        """Read ``path``, a notebook or a Markdown page of the book that lives in ``root``."""
        docname = path.relative_to(root).with_suffix("").as_posix()
        text = path.read_text(encoding="utf-8")
        return cls.from_notebook(docname, text) if path.suffix == ".ipynb" else cls.from_markdown(docname, text)

    @classmethod
    def from_notebook(cls, docname: str, text: str) -> Chapter:
        notebook = json.loads(text)
        cells = tuple(
            Cell(number, cell["cell_type"], "".join(cell["source"]), tuple(cell["metadata"].get("tags", ())))
            for number, cell in enumerate(notebook["cells"], start=1)
        )
        return cls(docname, notebook["metadata"], cells)

    @classmethod
    def from_markdown(cls, docname: str, text: str) -> Chapter:
        first = next(iter(_MARKDOWN.parse(text)), None)
        front_matter = yaml.safe_load(first.content) if first and first.type == "front_matter" else None
        return cls(docname, front_matter or {}, (Cell(1, "markdown", text),))

    @property
    def book(self) -> dict:
        """What the chapter says of itself under the metadata key ``book``."""
        return self.metadata.get("book") or {}

    @cached_property
    def title(self) -> str:
        """The first heading."""
        found = (
            inline.content
            for cell in self.markdown
            for heading, inline in pairwise(_MARKDOWN.parse(cell.source))
            if heading.type == "heading_open"
        )
        return next(found, self.docname)

    @property
    def markdown(self) -> Iterator[Cell]:
        return (cell for cell in self.cells if cell.kind == "markdown")

    def directives(self) -> Iterator[Directive]:
        """The outermost directives, in reading order."""
        for cell in self.markdown:
            yield from directives(cell.source, cell.number)

    @cached_property
    def objectives(self) -> int:
        """How many learning objectives the chapter promises: the numbered list under its heading."""
        count, below_heading = 0, False
        found = [token for cell in self.markdown for token in _MARKDOWN.parse(cell.source)]
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


def directives(markdown: str, cell: int = 1) -> Iterator[Directive]:
    """The outermost directives of a Markdown text."""
    for token in _MARKDOWN.parse(markdown):
        if directive := _as_directive(token, cell):
            yield directive


def tokens(markdown: str) -> Iterator[Token]:
    """Every Markdown token, followed by those inside it when it is a directive such as a margin note."""
    for token in _MARKDOWN.parse(markdown):
        yield token
        directive = _as_directive(token, 1)
        if directive and directive.name not in VERBATIM:
            yield from tokens(directive.body)


def _as_directive(token: Token, cell: int) -> Directive | None:
    head = _DIRECTIVE.fullmatch(token.info.strip()) if token.type in ("fence", "colon_fence") else None
    if head is None:
        return None
    options, body = _split_options(token.content)
    return Directive(head[1], head[2].strip(), options, body, cell)


def _split_options(content: str) -> tuple[dict[str, str], str]:
    """Separate a directive's options, in either of MyST's two forms, from its body."""
    if content.startswith("---\n"):
        block, _, body = content.removeprefix("---\n").partition("---\n")
        return {key: str(value) for key, value in (yaml.safe_load(block) or {}).items()}, body
    options, lines = {}, content.splitlines(keepends=True)
    while lines and (option := _OPTION.fullmatch(lines[0].strip())):
        options[option[1]] = option[2]
        lines.pop(0)
    return options, "".join(lines)


def warn_about(app: Sphinx, rule: str, problems: Callable[[Chapter], Iterable[str]]) -> None:
    """Make each problem that ``problems(chapter)`` yields a Sphinx warning of type ``book.<rule>``."""

    def check(app: Sphinx, docname: str, content: list[str]) -> None:
        if is_chapter(docname) and app.env.doc2path(docname).endswith(".ipynb"):
            for problem in problems(Chapter.from_notebook(docname, content[0])):
                logger.warning(problem, location=docname, type="book", subtype=rule)

    app.connect("source-read", check)
