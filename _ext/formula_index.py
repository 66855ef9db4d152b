"""Each labelled equation of the book beside the function that computes it and the test that holds it true.

The three corners are found without running anything: equations in the pages under ``chapters/``, functions in
``lib/`` by the docstring line ``Equation: eq-…``, tests by the mark ``@pytest.mark.equation("eq-…")``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from fresh_pages import facts, note_facts
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from tools.chapter.markup import tokens
from tools.chapter.model import Chapter, read_book

logger = logging.getLogger(__name__)

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
    """All equations that any of the three corners names, in the order of the chapters."""
    formulas: dict[str, Formula] = {}

    def at(label: str) -> Formula:
        return formulas.setdefault(label, Formula(label))

    for chapter in read_book(root):
        for label, latex in equations(chapter):
            at(label).chapter, at(label).latex = chapter, latex
    for path, tree in _python_files(root, "lib"):
        for name, node in _definitions(tree):
            for label in _named_in_docstring(node):
                at(label).functions.append(Place(path, name, _role(name, node)))
    for path, tree in _python_files(root, "tests"):
        for name, node in _definitions(tree):
            for label in _named_in_marks(node):
                at(label).tests.append(Place(path, name))
    return list(formulas.values())


def _facts(root: Path) -> list[tuple]:
    """All that the index shows but for the text of functions and tests, which are included as files."""
    return [
        (
            formula.label,
            formula.latex,
            formula.chapter and (formula.chapter.docname, formula.chapter.title),
            formula.functions,
            formula.tests,
        )
        for formula in find_formulas(root)
    ]


def equations(chapter: Chapter) -> Iterator[tuple[str, str]]:
    """Label and LaTeX of each equation that a page labels ``eq-…``, also inside margin notes and the like."""
    for cell in chapter.markdown:
        for token in tokens(cell.source):
            if token.type == "math_block_label" and token.info.startswith("eq-"):
                yield token.info, token.content.strip()


def _python_files(root: Path, folder: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((root / folder).rglob("*.py")):
        yield path.relative_to(root).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


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


class FormulaIndex(SphinxDirective):
    """``{formula-index}``: for each chapter its equations, typeset, with links to function and test."""

    def run(self) -> list[nodes.Node]:
        note_facts(self.env, "formulas")
        formulas, here = find_formulas(Path(self.env.srcdir)), self.get_location()
        for formula in formulas:
            for fault in formula.missing:
                logger.warning(f"{formula.label}: {fault}", location=here, type="book", subtype="formula")
        chapters = {formula.chapter.docname: formula.chapter for formula in formulas if formula.chapter}
        return [self._section(chapter, formulas) for chapter in chapters.values()]

    def _section(self, chapter: Chapter, formulas: Iterable[Formula]) -> nodes.section:
        """A chapter's title, and below it the chapter's formulas in its own order."""
        label = nodes.make_id(f"formulas-{chapter.docname}")
        section = nodes.section("", nodes.title("", chapter.title), ids=[label], names=[label])
        self.state.document.note_explicit_target(section, section)
        for formula in formulas:
            if formula.chapter is chapter:
                entry = nodes.container(classes=["formula"])
                self.state.nested_parse(StringList(_entry(formula).splitlines(), self.env.docname), 0, entry)
                section += entry
        return section


def _entry(formula: Formula) -> str:
    """One formula as the Markdown that one would write by hand: the equation, below it function and test side by side."""
    functions = ", ".join(f"{{{place.role}}}`{place.full_name}`" for place in formula.functions)
    lines = ["$$", formula.latex, "$$", "", f"Equation {{eq}}`{formula.label}`, computed by {functions}."]
    code = [("Computed by", place) for place in formula.functions]
    code += [("Held to the truth by", place) for place in formula.tests]
    lines += ["", "::::::{grid} 1 1 1 2", ":gutter: 2", ""]
    for says, place in code:
        # Coloured code weighs twice its text: the page has one of each formula, and the library's is what is read.
        language = "python" if place in formula.functions else "text"
        lines += [
            ":::::{grid-item}",
            "",
            f"::::{{dropdown}} {says} `{place.name}`",
            "",
            f":::{{literalinclude}} /{place.path}",
            f":caption: {place.path}",
            f":language: {language}",
            f":pyobject: {place.name}",
            ":::",
            "::::",
            ":::::",
        ]
    return "\n".join([*lines, "::::::"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.setup_extension("fresh_pages")
    facts("formulas", _facts)
    app.add_directive("formula-index", FormulaIndex)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
