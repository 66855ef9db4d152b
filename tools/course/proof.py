"""Does each check fail on the starter? Asked of the kernel that is verifying the chapter, at every exercise.

The kernel has run the chapter as it is, solutions and all, so that every exercise meets the names the chapter has
defined by then. At a starter a forked copy of it goes on as a student would who writes nothing: starter, then check,
no solution. That the check passes with the solution in place, the kernel itself shows, a few cells later.
"""

from dataclasses import dataclass
from pathlib import Path

import nbformat

from tools.course.exercises import Exercise, find_exercises
from tools.notebooks import NotebookError
from tools.notebooks.kernel import WatchedKernel

PATIENCE = 60  # seconds for a starter and its check
_REHEARSAL = Path(__file__).with_name("rehearsal.py")
_WRONG_REASONS = ("NameError", "ImportError", "ModuleNotFoundError", "SyntaxError", "IndentationError")


@dataclass
class Verdict:
    """How the check of one exercise took the untouched starter; `flaw` is empty when it did its work."""

    label: str
    error: str
    flaw: str


def exercises_by_starter(notebook: nbformat.NotebookNode) -> dict[int, Exercise]:
    """Each exercise at the position of its starter. Raises NotebookError when the exercises are ill-formed."""
    return {exercise.positions("starter")[0]: exercise for exercise in find_exercises(notebook)}


def try_starter(
    kernel: WatchedKernel, notebook: nbformat.NotebookNode, exercise: Exercise, *, patience: int = PATIENCE
) -> Verdict:
    """Let a copy of the kernel, which has run all cells before the starter, try the starter and the check.

    Raises NotebookError when they end the copy, or take longer than `patience` seconds.
    """
    [starter], [check] = exercise.positions("starter"), exercise.positions("check")
    between = [cell for cell in notebook.cells[starter:check] if cell.cell_type == "code"]
    cells = [cell.source for cell in between if "solution" not in cell.metadata.get("tags", [])]
    cells.append(notebook.cells[check].source)
    told = kernel.ask(_REHEARSAL, "rehearse", cells=cells, patience=patience, timeout=2 * patience)
    if "status" in told:
        raise NotebookError(
            f"{exercise.label}: starter and check ended with wait status {told['status']}; "
            f"at most {patience} seconds are allowed"
        )
    return Verdict(exercise.label, told["error"], _flaw(told["failed"], told["error"], check=len(cells) - 1))


def _flaw(failed: int | None, error: str, check: int) -> str:
    if failed is None:
        return "the check passes on the starter"
    if failed < check:
        return "the starter itself does not run"
    if error.startswith(_WRONG_REASONS):
        return "the check fails on the starter for a reason that is not the student's"
    return ""
