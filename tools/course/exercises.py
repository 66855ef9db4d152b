"""The exercises of a notebook, refused where their form has a fault: it could leak a solution."""

import nbformat

from tools.chapter import exercises
from tools.chapter.exercises import Exercise
from tools.chapter.model import Chapter
from tools.notebooks import NotebookError

__all__ = ["Exercise", "find_exercises"]


def find_exercises(notebook: nbformat.NotebookNode) -> list[Exercise]:
    """The exercises of the chapter in their order. Raises NotebookError with every fault of their form."""
    chapter = Chapter.from_notebook("", notebook)
    faults = list(exercises.problems(chapter))
    if faults:
        raise NotebookError("\n".join(faults))
    return exercises.exercises(chapter)
