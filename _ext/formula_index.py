"""The formula index: each labelled equation beside the function that computes it and the test that holds it true."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from formula_corners import Formula, find_formulas
from fresh_pages import facts, note_facts
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from tools.chapter.model import PARTS, Chapter

logger = logging.getLogger(__name__)

LIST = "list"
SHOWS = "formula-index"  # the key of a page's metadata under which stand the chapters whose formulas it shows


def _facts(root: Path) -> dict[Hashable, list[tuple]]:
    """What the list shows; and for each track and part what the index shows but for the text of included files."""
    found: dict[Hashable, list[tuple]] = {LIST: []}
    for formula in find_formulas(root):
        chapter = formula.chapter
        listed = formula.label, chapter and (chapter.docname, chapter.title, formula.track)
        found[LIST].append((*listed, formula.missing))
        if chapter:
            shown = *listed, formula.latex, formula.functions, formula.tests
            found.setdefault((formula.track, chapter.part), []).append(shown)
    return found


def _parts(names: str | None) -> list[str]:
    """What the option `parts` names, with commas between them."""
    return [directives.choice(name, PARTS) for name in (names or "").replace(",", " ").split()]


class FormulaIndex(SphinxDirective):
    """``{formula-index} TRACK``: for each chapter of a track its equations, typeset, with function and test.

    With the option ``parts`` (``formulas, code``) of the track's chapters only those in these parts of the book.
    """

    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar = {"parts": _parts}

    def run(self) -> list[nodes.Node]:
        track, parts = self.arguments[0], self.options.get("parts", PARTS)
        note_facts(self.env, "formulas", *((track, part) for part in parts))
        of_track = _by_chapter([found for found in find_formulas(Path(self.env.srcdir)) if found.track == track])
        shown = [(chapter, entries) for chapter, entries in of_track if chapter.part in parts]
        if not shown:
            raise self.error(
                "formula-index must name a track that has labelled equations, "
                f"got {track!r} in {', '.join(parts) or 'no part'}"
            )
        self.env.metadata[self.env.docname][SHOWS] = [chapter.docname for chapter, _ in shown]
        return [self._section(chapter, entries) for chapter, entries in shown]

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
        note_facts(self.env, "formulas", LIST)
        formulas = find_formulas(Path(self.env.srcdir))
        for formula in formulas:
            for fault in formula.missing:
                _warn(f"{formula.label}: {fault}", location=self.get_location())
        lines: list[str] = []
        for track in dict.fromkeys(formula.track for formula in formulas if formula.chapter):
            lines += ["", f"**{track[:1].upper()}{track[1:]}**", ""]
            for chapter, entries in _by_chapter([formula for formula in formulas if formula.track == track]):
                numbers = ", ".join(f"{{eq}}`{formula.label}`" for formula in entries)
                lines.append(f"- {{ref}}`{chapter.title} <{_anchor(chapter)}>`: {numbers}")
        holder = nodes.container(classes=["formula-list"])
        self.state.nested_parse(StringList(lines, self.env.docname), 0, holder)
        return [holder]


def _warn(fault: str, location: str | None = None) -> None:
    logger.warning(fault, location=location, type="book", subtype="formula")


def _anchor(chapter: Chapter) -> str:
    return nodes.make_id(f"formulas-{chapter.docname}")


def _by_chapter(formulas: list[Formula]) -> list[tuple[Chapter, list[Formula]]]:
    chapters = {formula.chapter.docname: formula.chapter for formula in formulas if formula.chapter}
    return [(chapter, [f for f in formulas if f.chapter is chapter]) for chapter in chapters.values()]


def every_chapter_is_shown(_app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of a chapter whose formulas stand on no page of the index."""
    pages = [facts[SHOWS] for facts in env.metadata.values() if SHOWS in facts]
    if pages:
        for chapter, _ in _by_chapter(find_formulas(Path(env.srcdir))):
            if not any(chapter.docname in page for page in pages):
                track = chapter.book.get("track", "TRACK")
                _warn(
                    f"no page of the formula index shows the formulas of {chapter.docname}: "
                    f"write one with {{formula-index}} {track}, or add {chapter.part} to the parts of one"
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
    app.setup_extension("kept_facts")
    facts("formulas", _facts)
    app.add_directive("formula-index", FormulaIndex)
    app.add_directive("formula-list", FormulaList)
    app.connect("env-check-consistency", every_chapter_is_shown)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
