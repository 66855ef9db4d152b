"""Each labelled equation of the book beside the function that computes it and the test that holds it true.

The three corners are found without running anything: equations in the pages under ``chapters/``, functions in
``lib/`` by the docstring line ``Equation: eq-…``, tests by the mark ``@pytest.mark.equation("eq-…")``.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from fresh_pages import facts, note_facts
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from tracks import read_tracks

from tools.chapter.markup import tokens
from tools.chapter.model import Chapter, read_book

logger = logging.getLogger(__name__)

SHOWS = "formula-index"  # the key of a page's metadata under which stands the track that it shows
EVERY_TRACK = ""
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
    for path, tree in _python_files(root, "lib"):
        for name, node in _definitions(tree):
            for label in _named_in_docstring(node):
                at(label).functions.append(Place(path, name, _role(name, node)))
    for path, tree in _python_files(root, "tests"):
        for name, node in _definitions(tree):
            for label in _named_in_marks(node):
                at(label).tests.append(Place(path, name))
    return list(formulas.values())


def _in_order(root: Path) -> list[Chapter]:
    """The chapters, track by track; what stands in no table of contents comes last."""
    tracks = read_tracks(root) if (root / "_toc.yml").is_file() else {}
    order = {chapter.docname: place for place, chapter in enumerate(itertools.chain(*tracks.values()))}
    return sorted(read_book(root), key=lambda chapter: order.get(chapter.docname, len(order)))


def _facts(root: Path) -> list[tuple]:
    """All that the index shows but for the text of functions and tests, which are included as files."""
    return [
        (
            formula.label,
            formula.latex,
            formula.chapter and (formula.chapter.docname, formula.chapter.title, formula.track),
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
    """``{formula-index} TRACK``: for each chapter of a track its equations, typeset, with function and test; without a name, of all."""

    optional_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        note_facts(self.env, "formulas")
        track = self.arguments[0] if self.arguments else EVERY_TRACK
        self.env.metadata[self.env.docname][SHOWS] = track
        formulas = find_formulas(Path(self.env.srcdir))
        if track == EVERY_TRACK:
            _report_missing(formulas, self.get_location())
        formulas = [formula for formula in formulas if formula.chapter and track in (EVERY_TRACK, formula.track)]
        if not formulas and track != EVERY_TRACK:
            raise self.error(f"formula-index must name a track that has labelled equations, got {track!r}")
        return [self._section(chapter, entries) for chapter, entries in _by_chapter(formulas)]

    def _section(self, chapter: Chapter, formulas: list[Formula]) -> nodes.section:
        """A chapter's title, and below it the chapter's formulas in its own order."""
        label = _anchor(chapter)
        section = nodes.section("", nodes.title("", chapter.title), ids=[label], names=[label])
        self.state.document.note_explicit_target(section, section)
        for formula in formulas:
            entry = nodes.container(classes=["formula"])
            self.state.nested_parse(StringList(_entry(formula).splitlines(), self.env.docname), 0, entry)
            section += entry
        return section


class FormulaList(SphinxDirective):
    """``{formula-list}``: each track with its chapters, linked to their place in the index, and their equations' numbers.

    Here a missing corner of any formula is reported.
    """

    def run(self) -> list[nodes.Node]:
        note_facts(self.env, "formulas")
        formulas = find_formulas(Path(self.env.srcdir))
        for formula in formulas:
            for fault in formula.missing:
                logger.warning(
                    f"{formula.label}: {fault}", location=self.get_location(), type="book", subtype="formula"
                )
        lines: list[str] = []
        for track in dict.fromkeys(formula.track for formula in formulas if formula.chapter):
            lines += ["", f"**{track[:1].upper()}{track[1:]}**", ""]
            for chapter, entries in _by_chapter([formula for formula in formulas if formula.track == track]):
                numbers = ", ".join(f"{{eq}}`{formula.label}`" for formula in entries)
                lines.append(f"- {{ref}}`{chapter.title} <{_anchor(chapter)}>`: {numbers}")
        holder = nodes.container(classes=["formula-list"])
        self.state.nested_parse(StringList(lines, self.env.docname), 0, holder)
        return [holder]


def _report_missing(formulas: list[Formula], location: str) -> None:
    for formula in formulas:
        for fault in formula.missing:
            logger.warning(f"{formula.label}: {fault}", location=location, type="book", subtype="formula")


def _anchor(chapter: Chapter) -> str:
    return nodes.make_id(f"formulas-{chapter.docname}")


def _by_chapter(formulas: list[Formula]) -> list[tuple[Chapter, list[Formula]]]:
    chapters = {formula.chapter.docname: formula.chapter for formula in formulas if formula.chapter}
    return [(chapter, [f for f in formulas if f.chapter is chapter]) for chapter in chapters.values()]


def every_track_is_shown(_app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of a track whose formulas stand on no page of the index."""
    shown = {facts[SHOWS] for facts in env.metadata.values() if SHOWS in facts}
    if shown and EVERY_TRACK not in shown:
        tracks = {formula.track for formula in find_formulas(Path(env.srcdir)) if formula.chapter}
        for track in sorted(tracks - shown):
            logger.warning(
                f"no page of the formula index shows the track {track!r}: write one with {{formula-index}} {track}",
                type="book",
                subtype="formula",
            )


def _entry(formula: Formula) -> str:
    """One formula as the Markdown that one would write by hand: the equation, below it function and test side by side."""
    functions = ", ".join(f"{{{place.role}}}`{place.full_name}`" for place in formula.functions)
    lines = ["$$", formula.latex, "$$", "", f"Equation {{eq}}`{formula.label}`, computed by {functions}."]
    code = [("Computed by", place) for place in formula.functions]
    code += [("Held to the truth by", place) for place in formula.tests]
    lines += ["", "::::::{grid} 1 1 1 2", ":gutter: 2", ""]
    for says, place in code:
        lines += [
            ":::::{grid-item}",
            "",
            f"::::{{dropdown}} {says} `{place.name}`",
            "",
            f":::{{literalinclude}} /{place.path}",
            f":caption: {place.path}",
            ":language: python",
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
    app.add_directive("formula-list", FormulaList)
    app.connect("env-check-consistency", every_track_is_shown)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
