"""A stored output that a fresh run does not reproduce turns the notebook run red, and what another processor does to it does not.

The very command that `make notebooks` runs is run once, on tiny notebooks: each cell of the first one is a case, executed
as it stands and then changed; others have exercises, a kernel that dies, or are damaged files.
"""

import base64
import io
import os
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbval.plugin import get_sanitize_patterns

from tools.notebooks import execute, read, write
from tools.notebooks.environment import KERNEL_ENVIRONMENT
from tools.notebooks.files import ROOT
from tools.notebooks.pictures import compare_pictures, largest_change
from tools.notebooks.validation import command

GREEN = ""
REASON = "a trained network"
TRAINED = "print('right in  92.0 % of 1,000; slope -0.3')"
PLOT = "_, ax = plt.subplots(figsize=(3, 2))\n_ = ax.bar(range(10), [1] * 10)\nplt.show()"
SHOWN = (
    "class Shown:\n    def _repr_{kind}_(self): return '<b>0.5</b>'\n    def __repr__(self): return 'plain'\n\nShown()"
)


@dataclass
class Case:
    """A cell, what is done to it after it has been executed, and what the run then says of it: GREEN is nothing."""

    name: str
    source: str
    change: Callable[[nbformat.NotebookNode], None]
    told: str = GREEN


def nothing(cell: nbformat.NotebookNode) -> None:
    pass


def stored(kind: str, text: str, **book: object) -> Callable[[nbformat.NotebookNode], None]:
    """Store another text of this kind, as if another machine had shown it; `book` is what the cell declares."""

    def change(cell: nbformat.NotebookNode) -> None:
        if kind == "stdout":
            cell.outputs[0].text = text
        else:
            cell.outputs[0].data[kind] = text
        if book:
            cell.metadata["book"] = book

    return change


def trained(text: str, **tolerance: object) -> Callable[[nbformat.NotebookNode], None]:
    """What a network trained elsewhere would have printed, in a cell that says how far its numbers may move."""
    return stored("stdout", text, tolerance={"absolute": 0.5, "concludes": 2, "reason": REASON} | tolerance)


def no_output(cell: nbformat.NotebookNode) -> None:
    cell.outputs = []


def no_picture(cell: nbformat.NotebookNode) -> None:
    del cell.outputs[0].data["image/png"]


def other_picture(heights: list[float], **book: object) -> Callable[[nbformat.NotebookNode], None]:
    """A picture of the same size with other bars."""

    def change(cell: nbformat.NotebookNode) -> None:
        figure = Figure(figsize=(3, 2))
        figure.subplots().bar(range(10), heights)
        file = io.BytesIO()
        figure.savefig(file, bbox_inches="tight")
        cell.outputs[0].data["image/png"] = base64.b64encode(file.getvalue()).decode()
        cell.metadata["book"] = book

    return change


def source(text: str) -> Callable[[nbformat.NotebookNode], None]:
    return lambda cell: cell.update(source=text)


def excused(change: Callable[[nbformat.NotebookNode], None]) -> Callable[[nbformat.NotebookNode], None]:
    def both(cell: nbformat.NotebookNode) -> None:
        change(cell)
        cell.metadata["tags"] = ["nbval-ignore-output"]

    return both


FALSE = source("print('loss 0.125')\nassert 0.125 > 0.2, 'the claim of the prose'")
ONE_BAR_LESS, OTHER_BARS = [1] * 9 + [0], [1, 0] * 5
CASES = [
    Case("imports", "import os\n\nimport matplotlib.pyplot as plt", nothing),
    Case("environment", f"print({{name: os.environ[name] for name in {sorted(KERNEL_ENVIRONMENT)}}})", nothing),
    Case("stdout", "print('loss 0.125')", stored("stdout", "loss 0.126\n"), r"mismatch 'stdout'.*loss 0\.126"),
    Case("plain text", "2 ** 10", stored("text/plain", "1025"), r"mismatch 'text/plain'.*1025"),
    Case("html", SHOWN.format(kind="html"), stored("text/html", "<b>0.6</b>"), r"mismatch 'text/html'.*0\.6"),
    Case("latex", SHOWN.format(kind="latex"), stored("text/latex", "<b>0.6</b>"), r"mismatch 'text/latex'.*0\.6"),
    Case("no output", "2 ** 11", no_output, r"Unexpected output fields.*text/plain"),
    Case("assertion", "print('loss 0.125')", FALSE, r"AssertionError.*the claim of the prose"),
    Case("excused", "print('1')", excused(stored("stdout", "2\n"))),
    Case("excused assertion", "print('loss 0.125')", excused(FALSE), r"AssertionError.*the claim of the prose"),
    Case(
        "network",
        "1",
        source("import socket\n\nsocket.create_connection(('192.0.2.1', 80), 20)"),
        r"Network is unreachable|the network is off",
    ),
    Case("much text", "print('x')", source("print('x' * 200_000)"), r"shows 200,001 characters of text; at most"),
    # Another processor, within what the cell declares.
    Case("trained", TRAINED, trained("right in  91.6 % of 1,000; slope -0.1\n")),
    Case("a column wider", TRAINED, trained("right in   92.0 % of 1,000; slope  -0.3\n")),
    Case("html within", SHOWN.format(kind="html") + "  #", stored("text/html", "<b>0.6</b>", tolerance={"absolute": 0.1, "concludes": 1, "reason": REASON})),
    Case("relative", TRAINED, stored("stdout", "right in 92.3 % of 1,003; slope -0.301\n", tolerance={"relative": 0.01, "concludes": 0.1, "reason": REASON})),
    # A changed conclusion, in spite of a tolerance.
    Case("too far", TRAINED, trained("right in  93.0 % of 1,000; slope -0.3\n"), r"93\.0 is stored, 92\.0 was computed, ± 0\.5"),
    Case("other word", TRAINED, trained("wrong in  92.0 % of 1,000; slope -0.3\n"), "the words differ"),
    Case("one number more", TRAINED, trained("right in  92.0 % of 1,000; slope -0.3 0.1\n"), "the words differ"),
    Case("other sign", TRAINED, trained("right in  92.0 % of 1,000; slope 0.1\n"), r"0\.1 is stored, -0\.3 was computed"),
    Case("no reason", TRAINED, trained("right in  92.0 % of 1,000; slope -0.3\n", reason=""), "needs a `reason`"),
    Case("too wide", TRAINED, trained("right in  92.0 % of 1,000; slope -0.3\n", absolute=0.6), "wider than a quarter of 2"),
    # Pictures.
    Case("same picture", PLOT, nothing),
    Case("picture", PLOT, other_picture(OTHER_BARS), r"Cell pictures differ.*\d+% of the picture changed visibly; at most 5%"),
    Case("no picture", PLOT, no_picture, r"0 pictures are stored, 1 were drawn"),
    Case("a part", PLOT, other_picture(ONE_BAR_LESS), r"Cell pictures differ"),
    Case("a part within", PLOT, other_picture(ONE_BAR_LESS, picture={"share": 0.2, "reason": REASON})),
    Case("beyond the share", PLOT, other_picture(OTHER_BARS, picture={"share": 0.2, "reason": REASON}), "at most 20%"),
    Case("share without reason", PLOT, other_picture([1] * 10, picture={"share": 0.2}), "needs a `reason`"),
]  # fmt: skip

EXERCISES = [  # name, starter, solution, check, what is said of the starter's cell
    ("good", "def double(x): ...", "def double(x): return 2 * x", "assert double(21) == 42, 'twice 21'", GREEN),
    ("idle", "def double(x): ...", "def double(x): return 2 * x", "assert callable(double)", "ex-idle: the check passes on the starter"),
    ("secret", "def double(x): ...", "def double(x): return 2 * x\n\nsecret = 42", "assert secret == 42", r"ex-secret: .* not the student's \(NameError"),
    ("typo", "triple = ...", "triple = 3", "assert undefined_only_here is None", r"ex-typo: .* not the student's|NameError"),
]  # fmt: skip
REJECTING = ("rejecting", "one = ...", "one = 1", "assert one == 2, 'not two'", GREEN)
RAISING = (
    "raising",
    "1 / 0",
    "one = 1",
    "assert one == 1",
    r"ex-raising: the starter itself does not run|ZeroDivisionError",
)


def exercise(name: str, starter: str, solution: str, check: str, _: str) -> list[nbformat.NotebookNode]:
    """The cells of an exercise in the form that chapters have."""
    head = f"```{{exercise}} {name} ●○○\n:label: ex-{name}\n\n*5 min · objective 1.* Do it.\n```\n\n"
    hint = "```{admonition} Hint\n:class: dropdown\n\nDo it.\n```"
    tagged = [
        new_code_cell(text, metadata={"tags": [tag]})
        for tag, text in (("starter", starter), ("solution", solution), ("check", check))
    ]
    begin, end = (
        new_markdown_cell(f"```{{solution-start}} ex-{name}\n:class: dropdown\n```"),
        new_markdown_cell("```{solution-end}\n```"),
    )
    return [new_markdown_cell(head + hint), tagged[0], begin, tagged[1], end, tagged[2]]


def notebook(folder: Path, name: str, cells: list[nbformat.NotebookNode]) -> Path:
    path = folder / f"{name}.ipynb"
    objectives = new_markdown_cell("## What you will be able to do\n\n1. Do it")
    write(path, new_notebook(cells=[objectives, new_code_cell("import math"), *cells]))
    return path


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """For each notebook the cells that ran, by number, with what was said of each: nothing when it passed."""
    folder = tmp_path_factory.mktemp("chapters")
    cells = [new_code_cell(case.source) for case in CASES]
    for cell in cells:
        if cell.source == PLOT:
            cell.metadata["mystnb"] = {"image": {"alt": "Ten bars."}}
    path = folder / "cases.ipynb"
    write(path, new_notebook(cells=cells))
    [run] = execute([path])
    assert run.failure == ""
    changed = read(path)
    for case, cell in zip(CASES, changed.cells, strict=True):
        case.change(cell)
    nbformat.write(changed, path)
    notebook(folder, "exercises", [cell for parts in EXERCISES for cell in exercise(*parts)])
    notebook(folder, "rejecting", exercise(*REJECTING) + exercise(*RAISING))
    notebook(folder, "unsolved", exercise(*EXERCISES[0])[:3])
    notebook(folder, "dying", [new_code_cell("import os\n\nos._exit(3)"), new_code_cell("1 + 1")])
    (folder / "truncated.ipynb").write_text('{"cells": [', encoding="utf-8")
    (folder / "sourceless.ipynb").write_text(
        '{"cells": [{"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": null}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
        encoding="utf-8",
    )
    return verified(folder)


def verified(folder: Path) -> dict[str, dict[str, str]]:
    report = folder / "report.xml"
    arguments = command([folder], 2, "-p", "no:cacheprovider", "--color=no", f"--junit-xml={report}")
    # a run of its own, not a part of this one
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.startswith("offline: ")
    result: dict[str, dict[str, str]] = defaultdict(dict)
    for case in ElementTree.parse(report).iter("testcase"):
        name = re.search(r"(\w+)(?:\.ipynb)?$", case.get("classname") or case.get("name"))[1]
        result[name][case.get("name").split()[-1]] = "".join(case.itertext())
    result["summary"]["text"] = done.stdout
    return result


@pytest.mark.parametrize(("number", "case"), list(enumerate(CASES)), ids=[case.name for case in CASES])
def test_a_change_turns_its_cell_red_and_no_other(outcomes, number, case):
    said = outcomes["cases"][str(number)]
    if case.told == GREEN:
        assert said == ""
    else:
        assert re.search(case.told, said, re.DOTALL), said


@pytest.mark.parametrize(("number", "case"), list(enumerate(EXERCISES)), ids=[case[0] for case in EXERCISES])
def test_a_check_that_cannot_fail_on_its_starter_turns_the_starter_red(outcomes, number, case):
    said = outcomes["exercises"][str(3 * number + 1)]
    if case[-1] == GREEN:
        assert said == ""
    else:
        assert re.search(case[-1], said, re.DOTALL), said


def test_a_check_that_rejects_the_solution_and_a_starter_that_raises_are_red(outcomes):
    said = outcomes["rejecting"]
    assert [number for number, text in said.items() if text] == ["3", "4"]
    assert re.search(r"AssertionError.*not two", said["3"], re.DOTALL)
    assert re.search(RAISING[-1], said["4"])


def test_an_exercise_without_its_parts_is_red(outcomes):
    assert (
        "exercise 'good': needs a hidden hint, one starter, its solution, one check; has hint, starter"
        in outcomes["unsolved"]["0"]
    )


def test_a_dead_kernel_is_told(outcomes):
    said = outcomes["dying"]
    assert said["0"] == ""
    assert "the kernel died while this cell ran" in said["1"]
    assert "Kernel dead" in said["2"]


@pytest.mark.parametrize("name", ["truncated", "sourceless"])
def test_a_damaged_notebook_is_told_and_loses_nobody_elses_verdict(outcomes, name):
    assert next(iter(outcomes[name].values())) != ""
    assert len(outcomes["cases"]) == len(CASES)


def test_the_run_ends_with_seconds_a_notebook(outcomes):
    assert re.search(r"^ +\d+\.\d  cases$", outcomes["summary"]["text"], re.MULTILINE)
    assert re.search(r"^ +\d+\.\d  5 notebooks together$", outcomes["summary"]["text"], re.MULTILINE)


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


def test_how_much_of_a_picture_changed_grows_with_the_change():
    x = np.linspace(0, 6, 200)
    shares = [largest_change(drawn(x, np.sin(x)), drawn(x, factor * np.sin(x))) for factor in (1, 0.9, 0.5)]
    assert 0 == shares[0] < shares[1] < shares[2] <= 1


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


def test_the_longest_notebooks_come_first_and_what_is_unknown_before_them(tmp_path):
    paths = [tmp_path / name for name in ("short.ipynb", "new.ipynb", "damaged.ipynb", "long.ipynb", "missing.ipynb")]
    for path, seconds in ((paths[0], 3), (paths[1], None), (paths[3], 40.5)):
        metadata = {} if seconds is None else {"book": {"running_seconds": seconds}}
        path.write_text(nbformat.writes(new_notebook(metadata=metadata)))
    paths[2].write_text("{")
    asked = [Path(part).stem for part in command(paths, 2) if part.endswith(".ipynb")]
    assert set(asked[:3]) == {"new", "damaged", "missing"}
    assert asked[3:] == ["long", "short"]
