"""What is wrong with a chapter's source, said as warnings of the build."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sphinx.application import Sphinx
from sphinx.util import logging

from tools.chapter.model import Chapter, is_chapter

logger = logging.getLogger(__name__)


def warn_about(app: Sphinx, rule: str, problems: Callable[[Chapter], Iterable[str]]) -> None:
    """Make each problem that ``problems(chapter)`` yields a Sphinx warning of type ``book.<rule>``."""

    def check(app: Sphinx, docname: str, content: list[str]) -> None:
        if is_chapter(docname) and app.env.doc2path(docname).endswith(".ipynb"):
            for problem in problems(Chapter.from_notebook(docname, content[0])):
                logger.warning(problem, location=docname, type="book", subtype=rule)

    app.connect("source-read", check)
