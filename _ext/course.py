"""The book as a course: learning paths with the minutes that they take, and an index of all exercises.

A path is a list of steps, a line each: a title, a bar, the chapters. ``{learning-path}`` adds up what the chapters say of
themselves, so that no page holds a figure that grows old.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from fresh_pages import facts, note_facts
from kept_facts import kept
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective
from tracks import read_tracks

from tools.chapter.exercises import RATINGS, Exercise, exercises
from tools.chapter.model import Cell, Chapter

FACTS = "minutes and exercises"
_KINDS = {
    "●○○": "One idea of the chapter",
    "●●○": "Two ideas together",
    "●●●": "An idea of your own",
}


@dataclass(frozen=True)
class Effort:
    """What a chapter takes: minutes of reading, and its exercises."""

    title: str
    reading: int
    exercises: tuple[Exercise, ...]

    @property
    def practice(self) -> int:
        """Minutes of all exercises."""
        return sum(exercise.minutes for exercise in self.exercises)


def efforts(root: Path) -> dict[str, Effort]:
    """Each chapter of the book, in the order of the tracks."""
    chapters = [chapter for track in read_tracks(root).values() for chapter in track]
    return {chapter.docname: _effort(chapter) for chapter in chapters}


def _effort(chapter: Chapter) -> Effort:
    return Effort(chapter.title, chapter.book.get("reading_minutes") or 0, _exercises(chapter.cells))


@kept
def _exercises(cells: tuple[Cell, ...]) -> tuple[Exercise, ...]:
    return tuple(exercises(Chapter("", {}, cells)))


def read_path(content: list[str], known: dict[str, Effort]) -> list[tuple[str, list[str]]]:
    """The steps of a path: title and docnames.

    Raises:
        ExtensionError: a line without a bar, or a chapter that the book does not have.
    """
    steps = []
    for line in filter(str.strip, content):
        title, bar, names = line.partition("|")
        if not bar:
            raise ExtensionError(f"a step must be a title, a bar and chapters, got {line!r}")
        docnames = [f"chapters/{name.strip()}" for name in names.split(",")]
        for docname in docnames:
            if docname not in known:
                raise ExtensionError(f"a learning path names {docname}, which is no chapter of a track")
        steps.append((title.strip(), docnames))
    return steps


def in_words(minutes: int) -> str:
    """Minutes up to an hour and a half, then hours and halves."""
    return f"{minutes} min" if minutes <= 90 else f"{round(minutes / 30) / 2:g} h"


class LearningPath(SphinxDirective):
    """``{learning-path}``: steps with their chapters, the time that each takes, and the sum."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        note_facts(self.env, FACTS)
        known = efforts(Path(self.env.srcdir))
        try:
            steps = read_path(list(self.content), known)
        except ExtensionError as error:
            raise self.error(str(error)) from None
        lines = []
        for number, (title, docnames) in enumerate(steps, start=1):
            links = ", ".join(f"{{doc}}`/{docname}`" for docname in docnames)
            lines += [f"{number}. **{title}** {links}. *{_time([known[name] for name in docnames])}*"]
        everything = [known[docname] for _, docnames in steps for docname in docnames]
        lines += ["", f"In all {_time(everything)}"]
        holder = nodes.container(classes=["learning-path"])
        self.state.nested_parse(StringList(lines, self.env.docname), 0, holder)
        return [holder]


def _time(chapters: list[Effort]) -> str:
    count = sum(len(chapter.exercises) for chapter in chapters)
    reading = f"{in_words(sum(chapter.reading for chapter in chapters))} of reading"
    practice = sum(chapter.practice for chapter in chapters)
    return f"{reading}, {count} exercises in {in_words(practice)}." if count else f"{reading}."


class ExerciseIndex(SphinxDirective):
    """``{exercise-index}``: all exercises by difficulty, the shortest first."""

    def run(self) -> list[nodes.Node]:
        note_facts(self.env, FACTS)
        known = efforts(Path(self.env.srcdir))
        lines = []
        for rating in RATINGS:
            found = [
                (e.minutes, e.title, e.label, name)
                for name, o in known.items()
                for e in o.exercises
                if e.rating == rating
            ]
            if not found:
                continue
            lines += [f"**{rating} {_KINDS[rating]}**", ""]
            lines += [
                f"- {minutes} min: {{ref}}`{title} <{label}>`, {{doc}}`/{name}`"
                for minutes, title, label, name in sorted(found)
            ]
            lines += [""]
        holder = nodes.container(classes=["exercise-index"])
        self.state.nested_parse(StringList(lines, self.env.docname), 0, holder)
        return [holder]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("learning-path", LearningPath)
    app.add_directive("exercise-index", ExerciseIndex)
    app.setup_extension("kept_facts")
    facts(FACTS, efforts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
