"""Folded code says what is in the fold: imports, the code of a figure, or what was checked of a section."""

from __future__ import annotations

from html import escape

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode, depart_HideCellInput
from sphinx.application import Sphinx

from tools.chapter.kinds import label


def name_folds(app: Sphinx, document: nodes.document) -> None:
    """Give each folded cell its label, but for those that the author named (``mystnb.code_prompt_show``)."""
    for cell in document.findall(nodes.container):
        if cell.get("nb_element") != "cell_code" or cell.get("prompt_show") != app.config.nb_code_prompt_show:
            continue
        tags = [name.removeprefix("tag_") for name in cell["classes"] if name.startswith("tag_")]
        source = next((code.astext() for code in cell.findall(nodes.literal_block)), "")
        cell["prompt_show"] = label(tags, source, shows_figure=next(cell.findall(nodes.image), None) is not None)


def _visit_fold(self, node: HideCodeCellNode) -> None:
    """One line that stays the same open and closed; its triangle and the browser say which."""
    classes = " ".join(["admonition", "hide", *node["classes"]])
    title = f'<p class="admonition-title">{escape(node["prompt_show"])}</p>'
    self.body.append(f'<details class="{classes}">\n<summary>\n{title}\n</summary>\n')


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("doctree-read", name_folds)
    app.add_node(HideCodeCellNode, override=True, html=(_visit_fold, depart_HideCellInput))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
