"""A small mark below outputs that another processor changes a little: how far their numbers may lie from what is shown."""

from __future__ import annotations

from types import SimpleNamespace

from docutils import nodes
from sphinx.application import Sphinx

from tools.notebooks.tolerance import EXACT, tolerance


def mark_tolerances(app: Sphinx, document: nodes.document) -> None:
    """Add the line to the output of each cell that declares a tolerance; its text is part of the page."""
    for cell in document.findall(nodes.container):
        if cell.get("nb_element") != "cell_code":
            continue
        within = tolerance(SimpleNamespace(metadata=cell["cell_metadata"]))
        shown = [part for part in cell.children if part.get("nb_element") == "cell_code_output"]
        if within != EXACT and shown:
            shown[0] += nodes.paragraph("", f"{within} on another processor", classes=["tolerance"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("doctree-read", mark_tolerances)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
