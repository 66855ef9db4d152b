"""Chapters for programs that do not know the book's markup: JupyterLab, Colab, a notebook downloaded by itself."""

from tools.plain.first_cell import command_to_install, first_cell, peers
from tools.plain.labels import Labels
from tools.plain.notebook import for_anywhere, for_jupyterlab, from_jupyterlab
from tools.plain.text import plain_text

__all__ = [
    "Labels",
    "command_to_install",
    "first_cell",
    "for_anywhere",
    "for_jupyterlab",
    "from_jupyterlab",
    "peers",
    "plain_text",
]
