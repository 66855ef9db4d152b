"""What a search engine or a link preview says of a page: the first sentences of its own text."""

from __future__ import annotations

import re
from html import escape

from docutils import nodes
from sphinx.application import Sphinx

LONGEST = 200  # letters; what search engines show of it


def first_paragraph(document: nodes.document) -> str:
    """The first paragraph of the text proper: not of the header, a card, a box or a margin note."""
    for paragraph in document.findall(nodes.paragraph):
        inside = paragraph.parent
        is_text = isinstance(inside, nodes.section) or "lede" in inside.get("classes", ())
        if is_text and (words := " ".join(paragraph.astext().split())):
            return words
    return ""


def shortened(text: str, longest: int = LONGEST) -> str:
    """As many whole sentences as fit, or the first one cut between two words."""
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z“])", text)
    kept = sentences[0]
    for sentence in sentences[1:]:
        if len(kept) + 1 + len(sentence) > longest:
            break
        kept += f" {sentence}"
    return kept if len(kept) <= longest else kept[: longest - 1].rsplit(" ", 1)[0].rstrip(",;:") + "…"


def describe(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None) -> None:
    """Put the description in the place of the one that sphinxext-opengraph takes from everything on the page."""
    if doctree is None or not (text := first_paragraph(doctree)):
        return
    content = escape(shortened(text), quote=True)
    context["metatags"] = re.sub(
        r'(<meta (?:property="og:description"|name="description") content=")[^"]*(")',
        lambda found: found[1] + content + found[2],
        context.get("metatags", ""),
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("html-page-context", describe, priority=900)  # after sphinxext.opengraph
    return {"parallel_read_safe": True, "parallel_write_safe": True}
