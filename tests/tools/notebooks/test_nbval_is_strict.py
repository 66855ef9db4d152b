"""A stored output that a fresh run does not reproduce turns the notebook run red.

The very command that `make notebooks` runs is run once, on tiny notebooks beside a copy of
`chapters/conftest.py`: one as `execute` stored it, and others of which one thing was broken.
"""

import base64
import io
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path

import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_notebook
from nbval.plugin import get_sanitize_patterns

from tools.notebooks import execute, read, write
from tools.notebooks.environment import KERNEL_ENVIRONMENT
from tools.notebooks.files import ROOT
from tools.notebooks.validation import command, compare_pictures

PRINT, RETURN, SHOW, PLOT = range(1, 5)  # the cells below
CELLS = [
    f"import os\n\nimport matplotlib.pyplot as plt\n\nprint({{name: os.environ.get(name) for name in {sorted(KERNEL_ENVIRONMENT)}}})",
    "print('loss 0.125')",
    "2 ** 10",
    "class Shown:\n    def _repr_html_(self): return '<b>bold</b>'\n    def __repr__(self): return 'plain'\n\nShown()",
    "_, ax = plt.subplots(figsize=(3, 2))\n_ = ax.plot([0, 1, 2], [0, 1, 4])\nplt.show()",
]


def stdout(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[PRINT].outputs[0].text = "loss 0.126\n"


def plain_text(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[RETURN].outputs[0].data["text/plain"] = "1025"


def html(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[SHOW].outputs[0].data["text/html"] = "<b>bald</b>"


def missing_output(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[RETURN].outputs = []


def failing_assertion(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[PRINT].source += "\nassert 0.125 > 0.2, 'the claim of the prose'"


def picture(notebook: nbformat.NotebookNode) -> None:
    data = notebook.cells[PLOT].outputs[0].data
    data["image/png"] = redrawn(data["image/png"])


def missing_picture(notebook: nbformat.NotebookNode) -> None:
    del notebook.cells[PLOT].outputs[0].data["image/png"]


def excused(notebook: nbformat.NotebookNode) -> None:
    stdout(notebook)
    picture(notebook)
    for position in (PRINT, PLOT):
        notebook.cells[position].metadata["tags"] = ["nbval-ignore-output"]


def excused_and_failing(notebook: nbformat.NotebookNode) -> None:
    failing_assertion(notebook)
    notebook.cells[PRINT].metadata["tags"] = ["nbval-ignore-output"]


def reaching_out(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[PRINT].source = "import socket\n\nsocket.create_connection(('192.0.2.1', 80), 20)"


BROKEN = [
    (stdout, PRINT, r"mismatch 'stdout'.*loss 0\.126"),
    (plain_text, RETURN, r"mismatch 'text/plain'.*1025"),
    (html, SHOW, r"mismatch 'text/html'.*bald"),
    (missing_output, RETURN, r"Unexpected output fields.*text/plain"),
    (failing_assertion, PRINT, r"AssertionError.*the claim of the prose"),
    (picture, PLOT, r"Cell pictures differ.*\d+% of the picture changed visibly"),
    (missing_picture, PLOT, r"0 pictures are stored, 1 were drawn"),
    (excused_and_failing, PRINT, r"AssertionError.*the claim of the prose"),
    (reaching_out, PRINT, r"Network is unreachable|the network is off"),
]


def redrawn(png: str) -> str:
    """A picture of the same size in which the curve runs elsewhere."""
    figure = Figure(figsize=(3, 2))
    figure.subplots().plot([0, 1, 2], [4, 1, 0])
    height, width = image_size(png)
    file = io.BytesIO()
    figure.savefig(file, bbox_inches="tight")
    assert image_size(base64.b64encode(file.getvalue()).decode()) == (height, width)
    return base64.b64encode(file.getvalue()).decode()


def image_size(png: str) -> tuple[int, int]:
    header = base64.b64decode(png)[16:24]  # width and height follow the PNG signature and `IHDR`
    return int.from_bytes(header[4:]), int.from_bytes(header[:4])


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, str]]:
    """For each notebook the cells that ran, with what was said of each: nothing when it passed."""
    folder = tmp_path_factory.mktemp("chapters")
    shutil.copy(ROOT / "chapters" / "conftest.py", folder)
    path = folder / "untouched.ipynb"
    cells = [new_code_cell(source) for source in CELLS]
    cells[PLOT].metadata["mystnb"] = {"image": {"alt": "A parabola."}}
    write(path, new_notebook(cells=cells))
    [run] = execute([path])
    assert run.failure == ""
    for change in [*(change for change, _, _ in BROKEN), excused]:
        notebook = read(path)
        change(notebook)
        nbformat.write(notebook, folder / f"{change.__name__}.ipynb")
    return verified(folder)


def verified(folder: Path) -> dict[str, dict[int, str]]:
    report = folder / "report.xml"
    arguments = [*command([folder], workers=2), "-p", "no:cacheprovider", "--color=no", f"--junit-xml={report}"]
    # a run of its own, not a part of this one
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.startswith("offline: ")
    result: dict[str, dict[int, str]] = defaultdict(dict)
    for case in ElementTree.parse(report).iter("testcase"):
        notebook = re.search(r"(\w+)(?:\.ipynb)?$", case.get("classname"))[1]
        result[notebook][int(case.get("name").split()[-1])] = "".join(case.itertext())
    return result


def test_what_execute_stored_is_reproduced(outcomes):
    assert outcomes["untouched"] == dict.fromkeys(range(len(CELLS)), "")  # a cell, a test


@pytest.mark.parametrize(("change", "cell", "told"), BROKEN, ids=lambda value: getattr(value, "__name__", None))
def test_a_broken_output_turns_that_cell_red(outcomes, change, cell, told):
    failed = {number: text for number, text in outcomes[change.__name__].items() if text}
    assert list(failed) == [cell]
    assert re.search(told, failed[cell], re.DOTALL), failed[cell]


def test_an_excused_cell_is_not_compared(outcomes):
    assert outcomes["excused"] == dict.fromkeys(range(len(CELLS)), "")


def drawn(x: np.ndarray, y: np.ndarray) -> list[dict]:
    """The output of a cell that draws a curve."""
    figure = Figure()
    axes = figure.subplots()
    axes.plot(x, y)
    axes.set(xlim=(0, 6), ylim=(-1.2, 1.2))
    file = io.BytesIO()
    figure.savefig(file)
    return [{"data": {"image/png": base64.b64encode(file.getvalue()).decode()}}]


@pytest.mark.parametrize(
    ("factor", "shift", "equal"),
    [(1, 0, True), (1.01, 0, True), (1, 0.005, True), (1.1, 0, False), (1, 0.1, False), (0, 0, False)],
)
def test_pictures_may_differ_by_a_pixel_but_not_in_their_data(factor, shift, equal):
    x = np.linspace(0, 6, 200)
    difference = compare_pictures(drawn(x, np.sin(x)), drawn(x, factor * np.sin(x + shift)))
    assert (difference == "") is equal, difference


@pytest.mark.parametrize(
    ("here", "there", "equal"),
    [
        ("torch 2.13.0+cpu", "torch 2.13.0+cu130", True),
        ("-0.00", "0.00", True),
        ("[-0.0, 1]", "[0.0, 1]", True),
        (" 50%|█████     | 5/10 [00:01<00:01,  4.1it/s]", " 50%|█████     | 5/10 [00:02<00:02,  2.1it/s]", True),
        ("-0.001", "0.001", False),
        ("2.13.0", "2.14.0", False),
        ("a-0.0", "a0.0", False),
        ("accuracy 50%", "accuracy 51%", False),
    ],
)
def test_only_honest_variation_is_sanitised(here, there, equal):
    patterns = dict(get_sanitize_patterns((ROOT / "sanitize.cfg").read_text(encoding="utf-8")))
    results = set()
    for text in (here, there):
        for pattern, replacement in patterns.items():
            text = re.sub(pattern, replacement, text)
        results.add(text)
    assert (len(results) == 1) is equal
