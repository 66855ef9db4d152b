"""A chapter as notebook programs show it best, and back again."""

import copy
from collections.abc import Callable

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell

from tools.chapter.markup import directives
from tools.plain.labels import Labels
from tools.plain.text import Reader, plain_text

MADE = "made_for_reading"  # the key of a cell's metadata that remembers what this module made of it


def for_jupyterlab(notebook: nbformat.NotebookNode, docname: str, labels: Labels, has: Callable[[str], bool]):
    """The chapter for JupyterLab with jupyterlab-myst: roles as text, captions below figures, solutions folded whole.

    `from_jupyterlab` makes the stored form of it again, also when cells have been edited meanwhile.
    """
    shown = copy.deepcopy(notebook)
    solving = False
    cells = []
    for cell in shown.cells:
        if cell.cell_type == "markdown":
            stored, reader = cell.source, Reader(labels, docname, has)
            text = plain_text(stored, reader, in_full=False)
            if solving and not any(directive.name.startswith("solution") for directive in directives(stored)):
                fence = "`" * (3 + _longest_fence(text))
                text = f"{fence}{{dropdown}} Solution: the explanation\n{text}\n{fence}"
            solving = _still_solving(stored, solving)
            if text != stored:
                cell.source = text
                cell.metadata[MADE] = {"of": stored, "text": text, "parts": [list(pair) for pair in reader.made]}
            cells.append(cell)
        else:
            cells += [cell, *_caption(cell, Reader(labels, docname, has))]
    shown.cells = cells
    return shown


def from_jupyterlab(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The stored form: a cell as it was when nobody touched it, an edited one with its roles back in their places."""
    stored = copy.deepcopy(notebook)
    stored.cells = [cell for cell in stored.cells if cell.metadata.get(MADE) != "caption"]
    for cell in stored.cells:
        made = cell.metadata.pop(MADE, None)
        if not made:
            continue
        if cell.source == made["text"]:
            cell.source = made["of"]
        else:
            cell.source = _with_roles(_unfolded(cell.source), made["parts"])
    return stored


def for_anywhere(
    notebook: nbformat.NotebookNode, docname: str, labels: Labels, has: Callable[[str], bool], first: str
) -> nbformat.NotebookNode:
    """The chapter for any notebook program: no markup but Markdown, and a first cell that brings what is missing."""
    shown = copy.deepcopy(notebook)
    solving, cells = False, [new_code_cell(first, id="install")]
    for cell in shown.cells:
        if cell.cell_type == "markdown":
            text = plain_text(cell.source, Reader(labels, docname, has), in_full=True)
            begins_or_ends = any(directive.name.startswith("solution") for directive in directives(cell.source))
            if solving and not begins_or_ends:
                text = f"<details><summary>Solution</summary>\n\n{text}\n\n</details>"
            solving = _still_solving(cell.source, solving)
            cell.source = text
            cells += [cell] if text.strip() else []
        else:
            cells += [cell, *_caption(cell, Reader(labels, docname, has))]
    for cell in cells:
        if cell.metadata.get(MADE):
            del cell.metadata[MADE]
    shown.cells = cells
    return shown


def _still_solving(source: str, solving: bool) -> bool:
    for directive in directives(source):
        if directive.name in ("solution-start", "solution-end"):
            solving = directive.name == "solution-start"
    return solving


def _caption(cell: nbformat.NotebookNode, reader: Reader) -> list[nbformat.NotebookNode]:
    """A Markdown cell with the caption of the figure that a code cell draws, if it draws one."""
    figure = cell.metadata.get("mystnb", {}).get("figure", {})
    if not figure.get("caption"):
        return []
    _, number = reader.labels.figures.get(figure.get("name", ""), ("", ""))
    caption = plain_text(figure["caption"], reader, in_full=True)
    made = new_markdown_cell(f"**Fig. {number}** {caption}" if number else caption)
    made.id = f"{cell.id[:50]}-caption"
    made.metadata[MADE] = "caption"
    return [made]


def _longest_fence(text: str) -> int:
    return max((len(line) - len(line.lstrip("`")) for line in text.split("\n")), default=0)


def _unfolded(text: str) -> str:
    """Without the fold that was put around a solution's explanation."""
    first, *rest = text.split("\n")
    if first.endswith("{dropdown} Solution: the explanation") and rest and set(rest[-1]) == {"`"}:
        return "\n".join(rest[:-1])
    return text


def _with_roles(text: str, parts: list[list[str]]) -> str:
    """Put back each role where the text made of it still stands, in order."""
    kept, place = [], 0
    for made, role in parts:
        found = text.find(made, place)
        if found >= 0:
            kept += [text[place:found], role]
            place = found + len(made)
    return "".join(kept) + text[place:]
