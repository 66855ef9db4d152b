"""The notebooks of the book as files: canonical form, execution, editing as text."""

from tools.notebooks.canonical import NotebookError, canonicalise
from tools.notebooks.execution import execute
from tools.notebooks.files import chapter_paths, read, write
from tools.notebooks.review import deviations
from tools.notebooks.text import export_text, import_text

__all__ = [
    "NotebookError",
    "canonicalise",
    "chapter_paths",
    "deviations",
    "execute",
    "export_text",
    "import_text",
    "read",
    "write",
]
