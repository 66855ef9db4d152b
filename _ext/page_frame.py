"""The frame around every page: MathJax from the site itself and only where there is a formula, lists that announce themselves as lists."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.fileutil import copy_asset

# Copied next to the pages, never under the book's own `_static`: Jupyter Book would load each script there on every page.
MATHJAX_PARTS = ("tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions", "a11y", "sre")


def mathjax_folder() -> Path:
    """Where the package sphinx-mathjax-offline keeps MathJax."""
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise ExtensionError("MathJax is missing: install the package sphinx-mathjax-offline")
    return Path(spec.origin).parent / "static" / "mathjax"


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    """Copy what a page may ask for (3 MB of the package's 15)."""
    if exception is not None or app.builder.format != "html":
        return
    for part in MATHJAX_PARTS:
        source = mathjax_folder() / part
        target = Path(app.outdir, "_static", "mathjax", part)
        copy_asset(str(source), str(target if source.is_dir() else target.parent))


def use_own_mathjax(app: Sphinx, config) -> None:
    """Point every page at the copy."""
    config.mathjax_path = "mathjax/tex-chtml.js"


def lighten_page(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Drop MathJax (1.2 MB) from pages without a formula: Sphinx loads it on each page that has one somewhere below it."""
    body = context.get("body", "")
    if 'class="math' not in body and "script_files" in context:
        context["script_files"] = [file for file in context["script_files"] if "mathjax" not in str(file).lower()]
    # An entry of a bibliography is no list item to a screen reader, so what holds the entries is no list.
    context["body"] = body.replace('<div role="list" class="citation-list">', '<div class="citation-list">')


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("config-inited", use_own_mathjax)
    app.connect("html-page-context", lighten_page, priority=900)  # after MathJax and the theme have had their say
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
