"""Running notebooks in fresh kernels, several side by side, and storing what they showed."""

import asyncio
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from tqdm import tqdm

from tools.notebooks.canonical import NotebookError, canonicalise, check_text_length, serialise
from tools.notebooks.environment import KERNEL_ENVIRONMENT, REMAKE
from tools.notebooks.files import read, replace_text
from tools.notebooks.text import check_syntax

CELL_TIMEOUT = 300  # seconds
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Run:
    """How one notebook fared: `failure` is empty when it ran to its end."""

    path: Path
    seconds: float
    failure: str = ""


def execute(paths: list[Path], *, workers: int | None = None) -> list[Run]:
    """Execute each notebook in a fresh kernel and store its outputs, those that succeed.

    A notebook that fails, writes on stderr or cannot be brought into canonical form stays as
    the file was. `workers` kernels run at a time, as many as there are cores by default.
    """
    return asyncio.run(_execute_all(paths, workers or cores()))


def remaking() -> dict[str, str]:
    """What kernels get besides while stores are made anew: sentences are held to the new ones in the run after it."""
    return {"INSIDE_LARGE_MODELS_STRICT": "0"} if os.environ.get(REMAKE) else {}


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


async def _execute_all(paths: list[Path], workers: int) -> list[Run]:
    turn = asyncio.Semaphore(workers)
    in_terminal = sys.stderr.isatty()  # elsewhere one line a notebook is progress enough
    with tqdm(total=0, unit="cell", disable=not in_terminal, file=sys.stderr, dynamic_ncols=True) as bar:

        async def one(path: Path) -> Run:
            async with turn:
                run = await _execute_one(path, bar)
            bar.write(f"{'failed' if run.failure else 'ok':6} {run.seconds:6.1f} s  {path}", file=sys.stderr)
            return run

        return await asyncio.gather(*(one(path) for path in paths))


async def _execute_one(path: Path, bar: tqdm) -> Run:
    started = time.perf_counter()
    try:
        notebook = canonicalise(_without_outputs(read(path)))  # what cannot be stored need not be run
        check_syntax(notebook)
        bar.total += sum(cell.cell_type == "code" for cell in notebook.cells)
        bar.refresh()
        seconds = await _run_cells(path, notebook, bar)
        notebook.metadata.setdefault("book", nbformat.NotebookNode())["running_seconds"] = round(seconds, 1)
        replace_text(path, serialise(canonicalise(notebook)))
        return Run(path, seconds)
    except CellExecutionError as error:
        failure = _describe(notebook, error)
    except (CellTimeoutError, NotebookError, RuntimeError, NoSuchKernel) as error:  # a dead kernel is a RuntimeError
        failure = str(error)
    except Exception as error:  # whatever is wrong with this notebook, the others' runs are kept
        failure = f"{type(error).__name__}: {error}"
    return Run(path, time.perf_counter() - started, failure)


def _without_outputs(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


async def _run_cells(path: Path, notebook: nbformat.NotebookNode, bar: tqdm) -> float:
    """Run the cells in place; the time from the first cell's start to the last one's end."""
    first_start: list[float] = []

    def on_start(**_: object) -> None:
        first_start.append(time.perf_counter())

    def on_executed(**_: object) -> None:
        bar.update()
        _refuse_outputs(notebook)  # at once: a chapter may take a minute

    client = NotebookClient(
        notebook,
        timeout=None if remaking() else CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_start=on_start,
        on_cell_executed=on_executed,
    )
    with tempfile.TemporaryFile("w+") as stderr:  # the kernel's own, not the cells'
        try:
            await client.async_execute(env=os.environ | KERNEL_ENVIRONMENT | remaking(), stderr=stderr)
        except RuntimeError as error:
            stderr.seek(0)
            raise RuntimeError(f"{error}\n{stderr.read()[-2000:]}") from None
    return time.perf_counter() - first_start[0] if first_start else 0.0


def _refuse_outputs(notebook: nbformat.NotebookNode) -> None:
    for number, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1):
        texts = [out.text for out in cell.outputs if out.output_type == "stream" and out.name == "stderr"]
        if texts:
            raise NotebookError(f"code cell {number} wrote on stderr:\n{''.join(texts).strip()[:2000]}")
        try:
            check_text_length(cell.outputs)
        except NotebookError as error:
            raise NotebookError(f"code cell {number} {error}") from None


def _describe(notebook: nbformat.NotebookNode, error: CellExecutionError) -> str:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, start=1):
        for output in cell.outputs:
            if output.output_type == "error":
                traceback = _COLOURS.sub("", "\n".join(output.traceback))
                return f"code cell {number}:\n{cell.source}\n\n{traceback}"
    return _COLOURS.sub("", str(error))
