"""The page of errata: its number of entries, and what is printed told apart from what is right.

Each entry opens with its target, ``(erratum-003-17)=``, and has the parts **Printed**, **Right.** and **Shown in**, each a
paragraph or in one. Another page gets the number by ``{{ errata_count }}``.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

ERRATA = "chapters/faq/source_errata.md"
_ENTRY = re.compile(r"^\(erratum-[\w-]+\)=\s*$", re.MULTILINE)
_PARTS = {"Printed": "printed", "Printed.": "printed", "Right.": "right", "Shown in": "shown"}


def count(page: Path) -> int:
    """The number of entries; a book without the page has none."""
    return len(_ENTRY.findall(page.read_text(encoding="utf-8"))) if page.exists() else 0


def offer(app: Sphinx, config: Config) -> None:
    """Hand the number to the Markdown pages, before MyST reads its settings."""
    number = count(Path(app.srcdir) / ERRATA)
    config.myst_substitutions = {**config.myst_substitutions, "errata_count": number}


def mark(app: Sphinx, document: nodes.document) -> None:
    """Give each part of an entry a paragraph and a class of its own, ``erratum-printed`` and so on."""
    if f"{app.env.docname}.md" != ERRATA:
        return
    for paragraph in [*document.findall(nodes.paragraph)]:
        children = [child for child in paragraph.children if child.astext()]  # MyST begins with an empty text
        starts = [index for index, child in enumerate(children) if _part(child)]
        if starts[:1] == [0]:
            parts = [children[start:end] for start, end in pairwise([*starts, len(children)])]
            paragraph.replace_self(
                [nodes.paragraph("", "", *part, classes=[f"erratum-{_part(part[0])}"]) for part in parts]
            )


def _part(node: nodes.Node) -> str | None:
    return _PARTS.get(node.astext()) if isinstance(node, nodes.strong) else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("config-inited", offer)
    app.connect("doctree-read", mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
