"""Exercises: each has a rating, minutes, an objective, a hint, a starter, a hidden solution and a check.

sphinx-exercise numbers and renders them; here the notebook's exercises are checked, and the rating, drawn in
circles, is given words for those who hear the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from chapter_source import Cell, Chapter, Directive, directives, warn_about
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

RATINGS = {"●○○": 1, "●●○": 2, "●●●": 3}
ORDER = ("hint", "starter", "solution", "check")
_TERMS = re.compile(r"\*(\d+) min · objectives? (\d+(?:(?:, | and )\d+)*)\.\*")
_CIRCLES = re.compile("|".join(RATINGS))


@dataclass(frozen=True)
class Exercise:
    """An exercise with the cells that belong to it: all up to the next exercise or second-level heading."""

    directive: Directive
    cells: tuple[Cell, ...]

    @property
    def label(self) -> str:
        return self.directive.options.get("label", "")

    def parts(self) -> list[str]:
        """The order in which hint, starter, solution and check follow the exercise, each time one begins."""
        found: list[str] = []
        in_solution = False
        for cell in self.cells:
            if cell.kind == "code":
                found += [tag for tag in cell.tags if tag in ORDER and (tag != "solution" or in_solution)]
                continue
            for directive in directives(cell.source):
                if directive.name == "admonition" and directive.argument == "Hint" and "dropdown" in directive.classes:
                    found.append("hint")
                elif directive.name == "solution-start":
                    in_solution = directive.argument == self.label and "dropdown" in directive.classes
                elif directive.name == "solution-end":
                    in_solution = False
        return [part for index, part in enumerate(found) if part not in found[:index]]


def exercises(chapter: Chapter) -> list[Exercise]:
    """The exercises of a chapter, in reading order."""
    found: list[tuple[Directive, list[Cell]]] = []
    belongs = False
    for cell in chapter.cells:
        if cell.kind == "markdown":
            begun = [block for block in directives(cell.source, cell.number) if block.name == "exercise"]
            belongs = bool(begun) or (belongs and not re.search(r"^##? ", cell.source, re.MULTILINE))
            found += [(block, []) for block in begun]
        if belongs:
            found[-1][1].append(cell)
    return [Exercise(directive, tuple(cells)) for directive, cells in found]


def problems(chapter: Chapter) -> Iterator[str]:
    """What is wrong with a chapter's exercises, one sentence for each fault."""
    for exercise in exercises(chapter):
        title, body = exercise.directive.argument, exercise.directive.body.strip()
        where = f"cell {exercise.directive.cell}, exercise {title!r}:"
        if not title.endswith(tuple(f" {circles}" for circles in RATINGS)):
            yield f"{where} the title must end with a rating, one of {' '.join(RATINGS)}"
        if not exercise.label.startswith("ex-"):
            yield f"{where} needs a label that begins with ex-, got {exercise.label!r}"
        terms = _TERMS.match(body)
        if terms is None:
            yield f"{where} must begin with its terms, as in *5 min · objective 2.*"
        for number in [int(number) for number in re.findall(r"\d+", terms[2])] if terms else []:
            if not 1 <= number <= chapter.objectives:
                yield f"{where} names objective {number}; the chapter has {chapter.objectives}"
        parts = exercise.parts()
        missing = [part for part in ORDER if part not in parts]
        if missing:
            yield f"{where} lacks its {', '.join(missing)}"
        elif parts != list(ORDER):
            yield f"{where} must run {', '.join(ORDER)}; it runs {', '.join(parts)}"


class difficulty(nodes.Inline, nodes.TextElement):  # noqa: N801 - docutils names nodes in lower case
    """A rating in circles that is read out as words."""


class RenderExercises(SphinxPostTransform):
    """Name the ratings in titles, and take out the id that sphinx-exercise gives to every exercise alike."""

    default_priority = 30  # sphinx-exercise has put its titles together by 22

    def run(self, **kwargs) -> None:
        for title in list(self.document.findall(nodes.title)):
            for text in list(title.findall(nodes.Text)):
                text.parent.replace(text, _named(text))
        for section in self.document.findall(nodes.section):
            if section["ids"] in (["exercise-content"], ["solution-content"]):
                section["classes"] += section["ids"]
                section["ids"] = []


def _named(text: nodes.Text) -> list[nodes.Node]:
    found: list[nodes.Node] = []
    end = 0
    for circles in _CIRCLES.finditer(text):
        found += [nodes.Text(text[end : circles.start()]), difficulty("", circles[0], classes=["difficulty"])]
        end = circles.end()
    return [*found, nodes.Text(text[end:])]


def _visit_difficulty(self, node) -> None:
    words = f"difficulty {RATINGS[node.astext()]} of {len(RATINGS)}"
    self.body.append(self.starttag(node, "span", "", role="img", title=words, **{"aria-label": words}))


def _depart_difficulty(self, node) -> None:
    self.body.append("</span>")


def _as_text(self, node) -> None:
    """Other writers print the circles as they are."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    warn_about(app, "exercise", problems)
    app.add_node(
        difficulty,
        html=(_visit_difficulty, _depart_difficulty),
        latex=(_as_text, _as_text),
        text=(_as_text, _as_text),
        gettext=(_as_text, _as_text),
    )
    app.add_post_transform(RenderExercises)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
