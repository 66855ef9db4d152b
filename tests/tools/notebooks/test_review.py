"""What keeps a chapter from being published is found, and said in one line."""

import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_output

from tools.notebooks import deviations
from tools.notebooks.canonical import canonicalise, serialise
from tools.notebooks.files import ROOT


def stored(tmp_path: Path, notebook: nbformat.NotebookNode) -> Path:
    path = tmp_path / "chapter.ipynb"
    path.write_text(serialise(canonicalise(notebook)), encoding="utf-8")
    return path


def test_a_good_chapter_has_no_deviation(tmp_path, chapter):
    assert deviations(stored(tmp_path, chapter)) == []


def not_run(chapter):
    chapter.cells[2].execution_count = None
    chapter.cells[2].outputs = []


def shows_error(chapter):
    chapter.cells[2].outputs = [new_output("error", ename="E", evalue="e", traceback=["t"])]


def prints(text):
    def change(chapter):
        chapter.cells[2].outputs[0].text = text

    return change


def tagged(tag):
    def change(chapter):
        chapter.cells[2].metadata["tags"] = [tag]

    return change


def declares(**book):
    def change(chapter):
        chapter.cells[2].metadata["book"] = book

    return change


def retagged(position, *tags):
    def change(chapter):
        chapter.cells[position].metadata["tags"] = list(tags)

    return change


def evidence(text, *tags):
    def change(chapter):
        chapter.cells[2].metadata["tags"] = list(tags)
        chapter.cells[2].source = text

    return change


def source(position, text):
    def change(chapter):
        chapter.cells[position].source = text

    return change


def lost_figure(chapter):
    chapter.cells[3].metadata.mystnb["figure"] = {"caption": "c", "name": "fig-c"}
    chapter.cells[3].outputs = []


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (not_run, "not run to its end; missing are code cells 2"),
        (shows_error, "code cell 2: stored an error"),
        (prints("<object at 0x7f7608439fd0>"), "code cell 2: shows a memory address: at 0x7f7608439fd0"),
        (prints(f"{sys.prefix}/lib"), "code cell 2: shows a path of this machine"),
        (prints(f"saved to {ROOT}/model.pt"), "code cell 2: shows a path of this machine"),
        (prints("largest difference 5e-06"), "code cell 2: shows 5e-06, as small as a rounding error"),
        (prints("2.0e-15 and 1e-4"), "code cell 2: shows 2.0e-15, as small as a rounding error"),
        (prints("slope  -0.00, 1.5"), "code cell 2: shows -0.00, whose sign is that of a rounding error"),
        (
            declares(tolerance={"absolute": 1, "concludes": 2, "reason": "trained"}),
            "code cell 2: book.tolerance: absolute 1 is wider",
        ),
        (declares(picture={"share": 0.2}), "code cell 2: book.picture: needs a `reason`"),
        (tagged("nbval-skip"), "code cell 2: tag `nbval-skip` hides it from the tests"),
        (tagged("raises-exception"), "code cell 2: tag `raises-exception` hides it"),
        (source(2, "# NBVAL_SKIP\nprint('one')"), "code cell 2: comment `NBVAL_SKIP`"),
        (source(2, "print('one');"), "code cell 2: ends with `;`"),
        (source(1, "import math\nx = 1"), "code cell 1: may only import"),
        (source(1, "import sys\nsys.path.insert(0, '..')"), "code cell 1: may only import"),
        (retagged(1), "code cell 1: imports are folded; tag it `hide-input`"),
        (evidence("with evidence():\n    assert True", "evidence"), "code cell 2: evidence is folded"),
        (evidence("assert True", "evidence", "hide-cell"), "code cell 2: line 1: evidence computes and asserts inside"),
        (
            evidence("x = 1\nwith evidence():\n    assert x", "evidence", "hide-cell"),
            "code cell 2: line 1: evidence computes",
        ),
        (
            evidence("with evidence():\n    1\nassert_close(1, 1)", "evidence", "hide-cell"),
            "code cell 2: line 3: evidence computes",
        ),
        (
            source(2, "x = 1\nassert True"),
            "1 assertions in visible cells; they belong into a cell tagged evidence (at most 0): code cell 2, line 2",
        ),
        (
            source(2, "y = 2\nx = 1  # " + "x" * 68),
            "1 visible lines of code wider than 76 characters (at most 0): code cell 2, line 2",
        ),
        (source(2, "\n\n".join(["x = 1"] * 248 + ["y = 1"])), "251 lines of visible code"),
        (lost_figure, "code cell 3: is declared a figure and shows none"),
    ],
)
def test_a_deviation_is_found(tmp_path, chapter, change, finding):
    change(chapter)
    found = deviations(stored(tmp_path, chapter))
    assert len(found) == 1
    assert found[0].startswith(finding)


@pytest.mark.parametrize(
    "change",
    [
        evidence("with evidence():\n    assert True", "evidence", "hide-cell"),
        evidence(
            "import math\ndef f():\n    return 1\nwith evidence():\n    assert f() < math.pi", "evidence", "hide-cell"
        ),
        evidence("assert True  # " + "x" * 80, "hide-input"),  # plumbing is folded
        source(2, "\n\n".join(["x = 1"] * 247 + ["y = 1"])),  # blank lines do not count
        source(5, "assert True"),  # a solution
        prints("below 1e-12: True, rate 3e-4, -0.01, x-0, conv-0.weight"),
        lambda chapter: (
            prints("5e-06")(chapter),
            declares(tolerance={"absolute": 1e-6, "concludes": 1, "reason": "a reason"})(chapter),
        ),
    ],
)
def test_what_is_folded_or_small_is_no_deviation(tmp_path, chapter, change):
    change(chapter)
    assert deviations(stored(tmp_path, chapter)) == []


@pytest.mark.parametrize(
    "source_text",
    [
        "import torch\nfrom lib.figures import use_book_style\n\nuse_book_style()",
        "from lib import figures\nfigures.use_book_style()",
    ],
)
def test_the_first_cell_may_set_the_style(tmp_path, chapter, source_text):
    chapter.cells[1].source = source_text
    assert deviations(stored(tmp_path, chapter)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [('"id": "', '"id": "x'), ("\n}\n", "\n}"), ('"execution_count": 2', '"execution_count": 20'), ('"name": "python3"', '"name": "python"')],
)  # fmt: skip
def test_a_file_that_is_not_canonical_is_found(tmp_path, chapter, old, new):
    path = stored(tmp_path, chapter)
    content = path.read_text(encoding="utf-8")
    assert old in content
    path.write_text(content.replace(old, new), encoding="utf-8")
    assert deviations(path) == ["not in canonical form; `python -m tools.notebooks execute` writes it"]


def test_a_missing_file_is_a_deviation_too(tmp_path):
    assert deviations(tmp_path / "none.ipynb") == [f"{tmp_path / 'none.ipynb'}: no such file"]
