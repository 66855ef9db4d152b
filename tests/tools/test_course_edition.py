"""The student edition has every exercise, starter and check, and no solution."""

import hashlib
import re
import zipfile
from pathlib import Path

import pytest
from small_course import chapter

from tools.course import build, find_exercises, student_edition
from tools.course.__main__ import main
from tools.course.bundle import NAME, in_book_order
from tools.notebooks import NotebookError, canonicalise, chapter_paths, execute, export_text, read, write
from tools.notebooks.canonical import serialise
from tools.notebooks.files import ROOT


def test_exercises_are_found():
    double, quadruple = find_exercises(chapter())
    assert (double.label, double.title, double.rating, double.minutes) == ("ex-double", "Double it", "●○○", 5)
    assert (quadruple.label, quadruple.minutes) == ("ex-quadruple", 10)
    assert [tag for tag, _ in double.parts] == ["hint", "starter", "solution", "solution", "check"]


def test_faults_are_refused():
    changes = [("Double it ●○○", "Double it"), ("{solution-end}", "{note}")]
    with pytest.raises(NotebookError) as caught:
        find_exercises(chapter(*changes))
    assert "the title must end with a rating" in str(caught.value)
    assert "inside the solution of ex-double" in str(caught.value)


def test_solutions_are_gone_and_nothing_else(tmp_path):
    text = export_text(student_edition(chapter()))
    for gone in ("secret", "x + x", "double(double", "solution"):
        assert gone not in text
    for kept in (
        "Once more",
        "...  # your code",
        "quadruple = ...",
        "Now check it.",
        "== 42",
        "== 12",
        "Done.",
        "## Summary",
    ):
        assert kept in text
    positions = [text.index(part) for part in ("ex-double", "your code", "== 42", "ex-quadruple", "= ...", "== 12")]
    assert positions == sorted(positions)


@pytest.mark.parametrize(
    "start",
    [
        "~~~{solution-start} ex-double\n---\nclass: dropdown\n---\n~~~",
        ":::{solution-start} ex-double\n:class: dropdown\n:::",
        "  ```{solution-start}  ex-double\n  :class: dropdown\n  ```",
    ],
)
def test_solutions_are_gone_however_their_fence_is_written(start):
    notebook = chapter(("```{solution-start} ex-double\n:class: dropdown\n```", start))
    assert "secret" not in export_text(student_edition(notebook))


def test_text_in_the_same_cell_as_a_solution_stays():
    """Before its beginning and after its end, in one Markdown cell or in two."""
    notebook = chapter(("Now check it.", "Now check it."))
    source = "Before.\n\n```{solution-start} ex-double\n:class: dropdown\n```\n\nSecret."
    [start] = [cell for cell in notebook.cells if "{solution-start} ex-double" in cell.source]
    start.source = source
    text = export_text(student_edition(notebook))
    assert "Before." in text
    assert "Secret." not in text


def test_outputs_stay_before_the_exercises_and_go_from_there_on(tmp_path):
    path = tmp_path / "chapter.ipynb"
    write(path, chapter())
    [run] = execute([path])
    assert run.failure == ""
    shown = {
        cell.source.splitlines()[-1]: len(cell.outputs)
        for cell in student_edition(read(path)).cells
        if cell.cell_type == "code"
    }
    assert shown == {
        "import math": 0,
        'print("before the exercises")': 1,
        "    ...  # your code": 0,
        'print("well done")': 0,
        "quadruple = ...": 0,
        "assert quadruple(3) == 12": 0,
    }  # fmt: skip


def test_the_notebook_given_stays_and_the_edition_is_canonical():
    notebook = chapter()
    before = serialise(notebook)
    edition = student_edition(notebook)
    assert serialise(notebook) == before
    assert serialise(canonicalise(edition)) == serialise(edition)


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """The course of the book as it is, built once."""
    folder = tmp_path_factory.mktemp("course")
    build(folder)
    return folder


def test_the_course_has_every_chapter_and_no_solution(course):
    found = sorted(path.relative_to(course) for path in (course / "chapters").rglob("*.ipynb"))
    assert found == sorted(path.relative_to(ROOT) for path in chapter_paths())
    for path in found:
        edition = read(course / path)
        assert not any("solution" in cell.metadata.get("tags", []) for cell in edition.cells)
        assert not any("{solution" in cell.source for cell in edition.cells)
        tags = [tag for cell in edition.cells for tag in cell.metadata.get("tags", [])]
        assert tags.count("starter") == tags.count("check") == len(find_exercises(read(ROOT / path)))


def test_the_course_can_be_installed(course):
    """What its README tells to install is there; the pins are the book's own."""
    readme = (course / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r"-r (\S+)", readme):
        assert (course / name).is_file()
    requirements = (course / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert requirements[0] == "-c constraints.txt"
    assert requirements[-1] == "-e ."
    assert {re.split("==", line)[0] for line in requirements[1:-1]} >= {
        "torch",
        "jupyterlab",
        "jupyterlab-myst",
        "ipykernel",
        "captum",  # a chapter compares it with the library
    }
    pins = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert set(requirements[1:-1]) <= set(pins)
    sources = {path.relative_to(ROOT) for path in (ROOT / "lib").rglob("*.py")}
    assert {path.relative_to(course) for path in (course / "lib").rglob("*.py")} == sources
    assert not list(course.rglob("__pycache__"))


def test_the_readme_lists_chapters_and_exercises_in_the_books_order(course):
    readme = (course / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"\]\((chapters/\S+\.ipynb)\)", readme)
    assert listed == [path.relative_to(ROOT).as_posix() for path in in_book_order(chapter_paths())]
    for path in chapter_paths():
        for exercise in find_exercises(read(path)):
            assert f"  - {exercise.rating} {exercise.title} ({exercise.minutes} min)" in readme


def test_the_zip_holds_the_folder_and_its_bytes_do_not_depend_on_the_time(course, tmp_path):
    archive = course / f"{NAME}.zip"
    with zipfile.ZipFile(archive) as zipped:
        names = zipped.namelist()
        assert names == sorted(names)
        files = {path for path in course.rglob("*") if path.is_file() and path != archive}
        assert {f"{NAME}/{path.relative_to(course).as_posix()}" for path in files} == set(names)
        assert {entry.date_time for entry in zipped.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    first, again = (build(tmp_path / name, chapter_paths()[:2]) for name in ("first", "again"))
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(first.read_bytes()).digest()


def test_the_books_order_is_that_of_its_contents():
    names = [
        "chapters/formulas/dense_layers",
        "chapters/concepts/convolutional_networks",
        "chapters/check_your_setup",
    ]
    paths = [ROOT / f"{name}.ipynb" for name in names]
    assert in_book_order(paths) == paths[::-1]


def test_a_flawed_chapter_is_named_and_the_last_course_stays(tmp_path, monkeypatch, capsys):
    path = tmp_path / "flawed.ipynb"
    write(path, chapter(("{solution-end}", "{note}")))
    folder = tmp_path / "course"
    folder.mkdir()
    (folder / "old").touch()
    with pytest.raises(
        NotebookError, match=r"flawed\.ipynb: cell \d+: an exercise begins inside the solution of ex-double"
    ):
        build(folder, [path])
    assert [entry.name for entry in folder.iterdir()] == ["old"]
    monkeypatch.setattr("tools.course.__main__.build", lambda: build(folder, [path]))
    assert main([]) == 1
    assert "flawed.ipynb" in capsys.readouterr().err


def test_no_link_of_the_course_dangles(course):
    for path in course.rglob("*.ipynb"):
        prose = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]
        targets = [target for text in prose for target in re.findall(r"(?<!!)\[[^\]$]+\]\(([^)\s]+)\)", text)]
        missing = [target for target in targets if "://" not in target and not (path.parent / target).exists()]
        assert missing == [], path
    assert any("../" in target for target in targets)


def test_a_chapter_of_the_course_installs_the_library_where_it_is_missing(course):
    first = read(course / "chapters/code/train_a_cnn.ipynb").cells[0].source
    assert '%pip install --quiet "../.."' in first
    assert (course / "pyproject.toml").is_file()
