"""A chapter as a student gets it: the solutions gone, the starters and checks still there."""

import copy

import nbformat

from tools.chapter.markup import directives
from tools.course.exercises import find_exercises
from tools.notebooks import canonicalise


def student_edition(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The chapter without its solutions, with no outputs from the first exercise on.

    Everything before the exercises keeps what it showed, so that the chapter can be read before
    it is run. The notebook given stays as it is. Raises NotebookError for flawed exercises.
    """
    find_exercises(notebook)  # a chapter with a flaw could leak a solution
    edition = copy.deepcopy(notebook)
    inside, practising = False, False
    kept = []
    for cell in edition.cells:
        if cell.cell_type == "markdown":
            practising |= any(directive.name == "exercise" for directive in directives(cell.source))
            cell.source, inside = _outside_solutions(cell.source, inside)
        elif inside:
            continue
        elif practising:
            cell.outputs, cell.execution_count = [], None
        kept.append(cell)
    edition.cells = kept
    return canonicalise(edition)


def _outside_solutions(source: str, inside: bool) -> tuple[str, bool]:
    """What stands outside the solutions, and whether one is still open at the end."""
    lines = source.split("\n")
    kept: list[str] = []
    place = 0
    for directive in directives(source):
        if directive.name == "solution-start":
            kept += lines[place : directive.lines.start]
            inside = True
        elif directive.name == "solution-end":
            place = directive.lines.stop
            inside = False
    if not inside:
        kept += lines[place:]
    return "\n".join(kept).strip("\n"), inside
