"""A new chapter is in the book and passes every check; what does not belong there is refused."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from nbformat.v4 import new_markdown_cell, new_notebook

from tools.chapter import exercises, new, quiz, skeleton
from tools.chapter.model import Chapter
from tools.chapter.new import create, main
from tools.chapter.skeleton import left_over
from tools.notebooks import NotebookError, deviations, write
from tools.notebooks.files import ROOT

ALIKE = (
    "# X\n\n## What you will be able to do\n\n1. Add.\n\n`````{admonition} Question 1\n:class: quiz\n\nAdd?\n`````\n"
)


@pytest.fixture
def book(tmp_path) -> Path:
    """What of the book a new chapter touches, and one chapter on a track."""
    for name in ("_toc.yml", "reference/source_passages.yml", "chapters/code/index.md", "chapters/background/index.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    there = new_notebook(cells=[new_markdown_cell("# There")], metadata={"book": {"track": "convolution"}})
    write(tmp_path / "chapters" / "code" / "there.ipynb", there)
    return tmp_path


def files(toc: object) -> list[str]:
    entries = toc if isinstance(toc, list) else [*toc.values()] if isinstance(toc, dict) else []
    own = [toc["file"]] if isinstance(toc, dict) and "file" in toc else []
    return own + [name for entry in entries for name in files(entry)]


@pytest.fixture
def not_run(monkeypatch):
    """The chapter is written, and no kernel runs it."""
    monkeypatch.setattr(new, "execute", lambda paths: [SimpleNamespace(failure="") for _ in paths])


def test_it_is_sound(book):
    path = book / "chapters" / "code" / "mean_values.ipynb"
    create(path, "convolution", root=book)
    assert deviations(path) == []
    chapter = Chapter.read(path, book)
    assert [*exercises.problems(chapter), *quiz.problems(chapter)] == []
    assert (chapter.title, chapter.book["track"]) == ("Mean values", "convolution")
    left = left_over(chapter, book)
    assert "1. Compute the thing by hand." in left
    assert "**Right.** Its derivative is zero there." in left
    assert "What the chapter shows. (on its card in chapters/code/index.md)" in left
    assert left_over(Chapter.from_markdown("x", ALIKE)) == []


def test_what_is_left_is_listed_and_stops_nobody(monkeypatch, capsys, book):
    monkeypatch.setattr(skeleton, "ROOT", book)
    path = book / "chapters" / "code" / "there.ipynb"
    write(path, new_notebook(cells=[new_markdown_cell("# There\n\n1. Compute the thing by hand.")]))
    assert skeleton.main([str(path)]) == 0
    assert "make test` refuses\n  1. Compute the thing by hand.\n" in capsys.readouterr().out


@pytest.mark.usefixtures("not_run")
@pytest.mark.parametrize("part", ["code", "background"])
def test_it_stands_in_the_book(book, part):
    path = book / "chapters" / part / "mean_values.ipynb"
    before = (book / "_toc.yml").read_text()
    create(path, "convolution", root=book)
    after = (book / "_toc.yml").read_text()
    listed = files(yaml.safe_load(after))
    assert f"chapters/{part}/mean_values" in listed
    assert set(before.splitlines()) <= set(after.splitlines())  # comments and all
    assert f":link: /chapters/{part}/mean_values\n" in (book / "chapters" / part / "index.md").read_text()


@pytest.mark.usefixtures("not_run")
def test_what_remains_names_the_passages_that_it_owes(book):
    path = book / "chapters" / "background" / "why_large_models.ipynb"
    remaining = "\n".join(create(path, "growth", begin_track=True, root=book))
    assert "it owes 000-1, 003-1: " in remaining
    assert "make chapter NOTEBOOK=chapters/background/why_large_models.ipynb" in remaining


@pytest.mark.parametrize(
    ("place", "track", "said"),
    [
        (
            "chapters/elsewhere/x.ipynb",
            "convolution",
            "a chapter lives in one of chapters/background, chapters/concepts",
        ),
        ("chapters/x.ipynb", "convolution", "a chapter lives in one of"),
        ("chapters/code/x.ipynb", "convolutoin", "no chapter is on the track 'convolutoin'; known are convolution"),
        ("chapters/code/x.ipynb", "", 'name its track, as in TRACK="convolution"; known are convolution'),
        ("chapters/code/4_x.ipynb", "convolution", "is named in plain words"),
        ("chapters/code/x.md", "convolution", "is named in plain words"),
        ("chapters/code/there.ipynb", "convolution", "exists already; make edit CHAPTER=chapters/code/there.ipynb"),
    ],
)
def test_what_does_not_belong_is_refused_and_leaves_nothing(book, place, track, said):
    before = {path: path.read_bytes() for path in book.rglob("*") if path.is_file()}
    with pytest.raises(NotebookError, match=said):
        create(book / place, track, root=book)
    assert {path: path.read_bytes() for path in book.rglob("*") if path.is_file()} == before


def test_the_command_says_why_it_refused(capsys):
    assert main(["chapters/nowhere/x.ipynb", "convolution"]) == 1
    assert "chapters/faq" in capsys.readouterr().err
