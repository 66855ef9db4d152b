"""A cell that has drawn something, without drawing."""

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_output

# One transparent pixel: the smallest valid PNG.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==\n"


def figure_cell(source: str = "draw()", *, alt: str | None = "A line that rises.", png: str = PIXEL) -> NotebookNode:
    """A code cell that has shown one picture."""
    metadata = {"mystnb": {"image": {"alt": alt}}} if alt is not None else {}
    output = new_output("display_data", data={"image/png": png, "text/plain": "<Figure>"})
    return new_code_cell(source, metadata=metadata, outputs=[output], execution_count=7)
