"""The three corners of each labelled equation of the book, found without running or rendering anything.

Equations stand in the pages under ``chapters/``, functions in ``lib/`` name them by the docstring line ``Equation: eq-…``,
tests in ``tests/`` by the mark ``@pytest.mark.equation("eq-…")``.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kept_facts import kept
from tracks import read_tracks

from tools.chapter.markup import tokens
from tools.chapter.model import Chapter, read_book

LABEL = r"eq-[a-z0-9]+(?:-[a-z0-9]+)*"
_EQUATION_LINE = re.compile(rf"^\s*Equations?: ({LABEL}(?:(?:, | and ){LABEL})*)", re.MULTILINE)


@dataclass(frozen=True)
class Place:
    """A function, class or test: the file, the name inside it, and the role that links to it."""

    path: str
    name: str
    role: str = "func"

    @property
    def full_name(self) -> str:
        return f"{self.path.removesuffix('.py').replace('/', '.')}.{self.name}"


@dataclass
class Formula:
    """A labelled equation and what was found of its three corners."""

    label: str
    chapter: Chapter | None = None
    latex: str = ""
    functions: list[Place] = field(default_factory=list)
    tests: list[Place] = field(default_factory=list)

    @property
    def track(self) -> str:
        """The track of its chapter."""
        return str(self.chapter.book.get("track", "")) if self.chapter else ""

    @property
    def missing(self) -> list[str]:
        """The corners that are not there, in words."""
        named = ", ".join(f"{place.path} in {place.name}" for place in (*self.functions, *self.tests))
        corners = {
            f"no chapter labels an equation `$$ … $$ ({self.label})`; named by {named}": self.chapter,
            f"no docstring in lib has the line `Equation: {self.label}`": self.functions,
            f'no test is marked `@pytest.mark.equation("{self.label}")`': self.tests,
        }
        return [words for words, found in corners.items() if not found]


def find_formulas(root: Path) -> list[Formula]:
    """All equations that any of the three corners names, chapter by chapter as the tracks lead through them."""
    formulas: dict[str, Formula] = {}

    def at(label: str) -> Formula:
        return formulas.setdefault(label, Formula(label))

    for chapter in _in_order(root):
        for label, latex in equations(chapter):
            at(label).chapter, at(label).latex = chapter, latex
    for label, function in _places(root, "lib", "Equation", _functions_in):
        at(label).functions.append(function)
    for label, test in _places(root, "tests", "mark.equation", _tests_in):
        at(label).tests.append(test)
    return list(formulas.values())


def _in_order(root: Path) -> list[Chapter]:
    """The chapters, track by track; what stands in no table of contents comes last."""
    tracks = read_tracks(root) if (root / "_toc.yml").is_file() else {}
    order = {chapter.docname: place for place, chapter in enumerate(itertools.chain(*tracks.values()))}
    return sorted(read_book(root), key=lambda chapter: order.get(chapter.docname, len(order)))


def equations(chapter: Chapter) -> Iterator[tuple[str, str]]:
    """Label and LaTeX of each equation that a page labels ``eq-…``, also inside margin notes and the like."""
    for cell in chapter.markdown:
        if "eq-" in cell.source:
            yield from _equations_in(cell.source)


@kept
def _equations_in(markdown: str) -> list[tuple[str, str]]:
    return [
        (token.info, token.content.strip())
        for token in tokens(markdown)
        if token.type == "math_block_label" and token.info.startswith("eq-")
    ]


_Places = Iterable[tuple[str, Place]]


def _places(root: Path, folder: str, words: str, find: Callable[[str, str], _Places]) -> _Places:
    """Each label that a definition names, with the definition; where these words do not stand, none does."""
    for path in sorted((root / folder).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if words in text:
            yield from find(path.relative_to(root).as_posix(), text)


@kept
def _functions_in(path: str, text: str) -> list[tuple[str, Place]]:
    definitions = _definitions(ast.parse(text))
    return [
        (label, Place(path, name, _role(name, node)))
        for name, node in definitions
        for label in _named_in_docstring(node)
    ]


@kept
def _tests_in(path: str, text: str) -> list[tuple[str, Place]]:
    definitions = _definitions(ast.parse(text))
    return [(label, Place(path, name)) for name, node in definitions for label in _named_in_marks(node)]


def _definitions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    """Functions, classes and their methods, each with its dotted name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from _definitions(node, f"{prefix}{node.name}.")


def _role(name: str, node: ast.AST) -> str:
    return "class" if isinstance(node, ast.ClassDef) else "meth" if "." in name else "func"


def _named_in_docstring(node: ast.FunctionDef | ast.ClassDef) -> list[str]:
    lines = _EQUATION_LINE.findall(ast.get_docstring(node) or "")
    return [label for line in lines for label in re.findall(LABEL, line)]


def _named_in_marks(node: ast.FunctionDef | ast.ClassDef) -> list[str]:
    """The labels in ``@pytest.mark.equation("eq-…")`` above a test or a class of tests."""
    return [
        argument.value
        for mark in node.decorator_list
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.equation"
        for argument in mark.args
        if isinstance(argument, ast.Constant)
    ]
