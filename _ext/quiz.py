"""Self-check questions: standard admonitions with dropdowns in the notebook, a quiz in the rendered page.

The author writes one ``{admonition}`` of class ``quiz`` for a question and one ``{dropdown}`` for an option, so that
JupyterLab and paper show something sensible without us. Here the notebook's questions are checked, and in HTML
each option becomes a native ``<details>``: it opens by mouse or keyboard, with or without JavaScript, and says in
words whether it is right and why. ``_static/quiz.js`` only counts first tries.
"""

from __future__ import annotations

from chapter_warnings import warn_about
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from tools.chapter.quiz import RIGHT, problems


class quiz_question(nodes.General, nodes.Element):  # noqa: N801 - docutils names nodes in lower case
    """A question: a title, text, and its options."""


class quiz_option(nodes.General, nodes.Element):  # noqa: N801
    """An option that opens: its choice, then its explanation."""


class quiz_choice(nodes.General, nodes.TextElement):  # noqa: N801
    """The visible line of an option."""


class RenderQuiz(SphinxPostTransform):
    """Turn the admonitions into questions, and gather all answers at the end of the page for paper."""

    default_priority = 190  # references are resolved by now; sphinx-design turns dropdowns into cards at 199
    formats = ("html",)

    def run(self, **kwargs) -> None:
        found = [node for node in self.document.findall(nodes.admonition) if "quiz" in node["classes"]]
        answers = nodes.container(classes=["quiz-answers"])
        for number, admonition in enumerate(found, start=1):
            title, *body = admonition.children
            name = nodes.paragraph("", "", *title.children, classes=["quiz-title"], ids=[f"quiz-{number}-title"])
            question = quiz_question("", name, *body, classes=["quiz"], ids=[f"quiz-{number}"])
            answers += nodes.paragraph("", f"Answers to {title.astext()}", classes=["quiz-title"])
            for dropdown in [node for node in question if node.get("design_component") == "dropdown"]:
                option = _option(dropdown)
                question.replace(dropdown, option)
                answers += _printed(option)
            admonition.replace_self(question)
        if found:
            next(self.document.findall(nodes.section)).append(answers)


def _option(dropdown: nodes.Element) -> quiz_option:
    title, *explanation = dropdown.children
    letter, _, _ = title.astext().partition(".")
    verdict = next((node for paragraph in explanation[:1] for node in paragraph.findall(nodes.strong)), None)
    right = verdict is not None and verdict.astext() == RIGHT.strip("*")
    if verdict is not None:
        verdict["classes"].append("quiz-verdict")
    return quiz_option(
        "",
        quiz_choice("", "", nodes.inline("", "", *title.children)),
        nodes.container("", *explanation, classes=["quiz-explanation"]),
        letter=letter,
        verdict="right" if right else "wrong",
    )


def _printed(option: quiz_option) -> nodes.container:
    """A copy of the explanation after its letter, without the ids that may stand only once on a page."""
    printed = option[1].deepcopy()
    printed["classes"] = ["quiz-answer"]
    for node in printed.findall(nodes.Element):
        node["ids"] = []
    lead = nodes.strong("", f"{option['letter']}. ")
    if isinstance(printed[0], nodes.paragraph):
        printed[0].insert(0, lead)
    else:
        printed.insert(0, nodes.paragraph("", "", lead))
    return printed


def _visit_question(self, node) -> None:
    title = node[0]["ids"][0]
    self.body.append(self.starttag(node, "div", role="group", **{"aria-labelledby": title}))


def _visit_option(self, node) -> None:
    self.body.append(self.starttag(node, "details", CLASS="quiz-option", **{"data-verdict": node["verdict"]}))


def _visit_choice(self, node) -> None:
    self.body.append(self.starttag(node, "summary", ""))


def _depart(tag: str):
    return lambda self, node: self.body.append(f"</{tag}>\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    warn_about(app, "quiz", problems)
    app.add_node(quiz_question, html=(_visit_question, _depart("div")))
    app.add_node(quiz_option, html=(_visit_option, _depart("details")))
    app.add_node(quiz_choice, html=(_visit_choice, _depart("summary")))
    app.add_post_transform(RenderQuiz)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
