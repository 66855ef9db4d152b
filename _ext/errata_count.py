"""``{{ errata_count }}`` in a page: how many errors of the source documents the book has recorded.

The errata page is the one place that knows. Each entry opens with its target, ``(erratum-003-17)=``.
"""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

ERRATA = "chapters/faq/source_errata.md"
_ENTRY = re.compile(r"^\(erratum-[\w-]+\)=\s*$", re.MULTILINE)


def count(page: Path) -> int:
    """The number of entries; a book without the page has none."""
    return len(_ENTRY.findall(page.read_text(encoding="utf-8"))) if page.exists() else 0


def offer(app: Sphinx, config: Config) -> None:
    """Hand the number to the Markdown pages, before MyST reads its settings."""
    number = count(Path(app.srcdir) / ERRATA)
    config.myst_substitutions = {**config.myst_substitutions, "errata_count": number}


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("config-inited", offer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
