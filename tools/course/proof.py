"""Does each check fail on the starter? A chapter is run once, and forked at every exercise.

The parent runs the chapter as it is, solutions and all, so that every exercise meets the names the
chapter has defined by then. At a starter it forks: the child, in a copy of everything, goes on as
a student would who writes nothing (starter, then check, no solution) and reports how that ended.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from tools.course.exercises import Exercise, find_exercises
from tools.notebooks import NotebookError, read
from tools.notebooks.environment import KERNEL_ENVIRONMENT
from tools.notebooks.files import ROOT

PATIENCE = 60  # seconds for a starter and its check
_WRONG_REASONS = ("NameError", "ImportError", "ModuleNotFoundError", "SyntaxError", "IndentationError")


@dataclass
class Verdict:
    """How the check of one exercise took the untouched starter; `flaw` is empty when it did its work."""

    label: str
    error: str
    flaw: str


def try_starters(path: Path, *, patience: int = PATIENCE) -> list[Verdict]:
    """Run the chapter in a fresh process and return a verdict on each of its exercises.

    Raises NotebookError when the exercises are ill-formed, when a cell fails with the solutions in
    place, or when a starter and its check take longer than `patience` seconds.
    """
    command = [sys.executable, "-m", "tools.course.proof", str(path.resolve()), str(patience)]
    environment = os.environ | KERNEL_ENVIRONMENT | {"MPLBACKEND": "agg"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [environment.get("PYTHONPATH")])])
    done = subprocess.run(command, cwd=path.parent, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotebookError(f"{path}: {done.stderr.strip()[-3000:]}")
    return [Verdict(**verdict) for verdict in json.loads(done.stdout.splitlines()[-1])]


def _run_chapter(path: Path, patience: int) -> list[Verdict]:
    notebook = read(path)
    exercises = {exercise.positions("starter")[0]: exercise for exercise in find_exercises(notebook)}
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))  # nor its thread
    verdicts = []
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        if position in exercises:
            play = partial(_play_idle_student, shell, notebook, exercises[position])
            verdicts.append(_in_a_copy(play, patience))
        error = _run(shell, cell.source)
        if error:
            raise NotebookError(f"fails with the solutions in place: {error}\n{cell.source}")
    return verdicts


def _run(shell: InteractiveShell, source: str) -> str:
    result = shell.run_cell(source, store_history=False)
    error = result.error_before_exec or result.error_in_exec
    return f"{type(error).__name__}: {error}" if error else ""


def _play_idle_student(shell: InteractiveShell, notebook: dict, exercise: Exercise) -> Verdict:
    [starter], [check] = exercise.positions("starter"), exercise.positions("check")
    for position in range(starter, check):
        cell = notebook.cells[position]
        if cell.cell_type == "code" and "solution" not in cell.metadata.get("tags", []):
            error = _run(shell, cell.source)
            if error:
                return Verdict(exercise.label, error, "the starter itself does not run")
    error = _run(shell, notebook.cells[check].source)
    if not error:
        return Verdict(exercise.label, "", "the check passes on the starter")
    if error.startswith(_WRONG_REASONS):
        return Verdict(exercise.label, error, "the check fails on the starter for a reason that is not the student's")
    return Verdict(exercise.label, error, "")


def _in_a_copy(play: Callable[[], Verdict], patience: int) -> Verdict:
    """Run `play` in a forked copy of this process. One thread a process (OMP_NUM_THREADS=1) makes that safe."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(patience)
        with os.fdopen(writer, "w") as pipe:
            json.dump(asdict(play()), pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if not told:
        raise NotebookError(
            f"starter and check ended with wait status {status}; at most {patience} seconds are allowed"
        )
    return Verdict(**json.loads(told))


def _main() -> int:
    answer = os.dup(1)
    os.dup2(2, 1)  # whatever the chapter prints is not the answer
    try:
        verdicts = _run_chapter(Path(sys.argv[1]), int(sys.argv[2]))
    except NotebookError as error:
        print(error, file=sys.stderr)
        return 1
    os.write(answer, json.dumps([asdict(verdict) for verdict in verdicts]).encode())
    return 0


if __name__ == "__main__":
    sys.exit(_main())
