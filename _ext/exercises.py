"""Exercises: each has a rating, minutes, an objective, a hint, a starter, a hidden solution and a check.

sphinx-exercise numbers and renders them; here the notebook's exercises are checked, and the rating, drawn in
circles, is given words for those who hear the page.
"""

from __future__ import annotations

import re

from chapter_warnings import warn_about
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from tools.chapter.exercises import RATINGS, problems

_CIRCLES = re.compile("|".join(RATINGS))


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
