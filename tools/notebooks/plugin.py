"""A pytest plugin, beside nbval: tolerances, pictures, exercises, dead kernels, seconds a chapter.

python -m pytest --nbval -p tools.notebooks.plugin chapters/…     (`tools.notebooks.validation` has all of the options)
"""

import copy
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import nbval.plugin
import pytest
from nbformat import NotebookNode
from nbval.plugin import IPyNbCell

from tools.course.proof import exercises_by_starter, try_starter
from tools.notebooks.canonical import NotebookError, check_text_length
from tools.notebooks.environment import set_kernel_environment
from tools.notebooks.kernel import WatchedKernel
from tools.notebooks.pictures import allowed_share, compare_pictures
from tools.notebooks.record import begin_record, record, texts
from tools.notebooks.tolerance import EXACT, difference, tolerance


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("notebooks")
    group.addoption("--in-kernels", action="append", default=[], metavar="NAME=VALUE", help="set this in every kernel")
    group.addoption("--record", type=Path, metavar="FOLDER", help="note there what each cell showed, and its margins")
    group.addoption(
        "--without-exercises", action="store_true", help="leave out whether each check fails on its starter"
    )


def pytest_configure(config: pytest.Config) -> None:
    set_kernel_environment(dict(setting.split("=", 1) for setting in config.option.in_kernels))
    nbval.plugin.RunningKernel = WatchedKernel


def pytest_itemcollected(item: pytest.Item) -> None:
    if isinstance(item, IPyNbCell):
        item.compare_outputs = partial(_compare_texts, item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Before a starter, let a copy of the kernel try it; after a cell's texts have been compared, compare what it drew."""
    if not isinstance(item, IPyNbCell):
        yield
        return
    flaw = _flaw_of_exercise(item)
    if item.config.option.record:
        begin_record(item)
    try:
        yield
    finally:
        if item.config.option.record:
            record(item, item.config.option.record)
    if item.options["check"] and item.cell.execution_count is not None:
        changed = _compare_pictures(item)
        if changed:
            item.raise_cell_error("Cell pictures differ", changed)
    if flaw:
        item.raise_cell_error("The exercise that begins here has a flaw", flaw)


def _flaw_of_exercise(item: IPyNbCell) -> str:
    """What is wrong with the check of the exercise whose starter this cell is; empty for all other cells."""
    file = item.parent
    if item.config.option.without_exercises or not file.kernel.is_alive():
        return ""
    try:
        if item.cell_num == 0:
            file.exercises = {}
            file.exercises = exercises_by_starter(file.nb)
        exercise = file.exercises.get(_position(item))
        verdict = try_starter(file.kernel, file.nb, exercise) if exercise else None
    except NotebookError as error:
        return str(error)
    return f"{verdict.label}: {verdict.flaw} ({verdict.error})" if verdict and verdict.flaw else ""


def _position(item: IPyNbCell) -> int:
    """Where the cell stands among all cells of its notebook."""
    return next(position for position, cell in enumerate(item.parent.nb.cells) if cell is item.cell)


def _compare_texts(item: IPyNbCell, fresh: list[NotebookNode], stored: list[NotebookNode]) -> bool:
    """nbval's comparison, after each fresh text that says the same as the stored one has taken its place."""
    try:
        check_text_length(fresh)
        within = tolerance(item.cell)
    except ValueError as error:
        item.comparison_traceback = [str(error)]
        return False
    fresh, told = copy.deepcopy(fresh), []
    theirs, ours = texts(stored), texts(fresh)
    for key in theirs.keys() & ours.keys():
        for (left, name), (right, _) in zip(theirs[key], ours[key], strict=False):  # nbval counts them
            differs = difference(item.sanitize(left[name]), item.sanitize(right[name]), within)
            if differs:
                told.append(differs)
            else:
                right[name] = left[name]
    same = IPyNbCell.compare_outputs(item, fresh, stored)
    if not same and within != EXACT:
        item.comparison_traceback += told
    return same


def _compare_pictures(item: IPyNbCell) -> str:
    try:
        return compare_pictures(item.cell.outputs, item.test_outputs, allowed_share(item.cell))
    except ValueError as error:
        return str(error)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how long each notebook took, exercises included (`tools.stage` says what a chapter costs `make test`)."""
    seconds: dict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            name, _, cell = getattr(report, "nodeid", "").partition("::")
            if name.endswith(".ipynb") and cell:
                seconds[name] += getattr(report, "duration", 0.0)
    if not seconds:
        return
    terminalreporter.section("seconds a notebook")
    for name, spent in sorted(seconds.items(), key=lambda pair: -pair[1]):
        terminalreporter.write_line(f"{spent:7.1f}  {Path(name).stem}")
    terminalreporter.write_line(f"{sum(seconds.values()):7.1f}  {len(seconds)} notebooks together")
