"""Notebooks run in fresh kernels of one environment, and a file changes only when its run succeeded."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from lib.core import checkpoints
from tools.notebooks import NotebookError, deviations, environment, execute, execution, read, write
from tools.notebooks.__main__ import main
from tools.notebooks.environment import KERNEL_ENVIRONMENT
from tools.notebooks.files import replace_text


def without_seconds(path: Path) -> str:
    return re.sub(r'"running_seconds": [\d.]+', "", path.read_text(encoding="utf-8"))


def test_outputs_and_seconds_are_stored(notebook_file):
    imports = new_code_cell("import time", metadata={"tags": ["hide-input"]})
    path = notebook_file(imports, "time.sleep(0.3)\nprint('done')", "1 + 1")
    [run] = execute([path])
    assert run.failure == ""
    notebook = read(path)
    assert notebook.cells[1].outputs[0].text == "done\n"
    assert notebook.cells[2].outputs[0].data["text/plain"] == "2"
    assert notebook.metadata.book.running_seconds >= 0.3  # the sleep is in it
    assert notebook.metadata.book.running_seconds == round(notebook.metadata.book.running_seconds, 1)
    assert deviations(path) == []


def test_a_second_run_changes_the_seconds_at_most(notebook_file):
    path = notebook_file(new_markdown_cell("# T"), "import math", "print({'b', 'a', 'c'})")
    os.chmod(path, 0o640)
    execute([path])
    once = without_seconds(path)
    execute([path])
    assert without_seconds(path) == once
    assert path.stat().st_mode & 0o777 == 0o640


def test_metadata_of_the_chapter_stays(notebook_file):
    path = notebook_file(new_code_cell("import math", metadata={"tags": ["hide-input"]}))
    notebook = read(path)
    notebook.metadata["book"] = {"track": "convolution", "reading_minutes": 35, "running_seconds": 99.9}
    write(path, notebook)
    execute([path])
    notebook = read(path)
    assert notebook.metadata.book.track == "convolution"
    assert notebook.metadata.book.running_seconds < 99
    assert notebook.cells[0].metadata.tags == ["hide-input"]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("print('before')\nraise KeyError('lost')", r"code cell 2:\nprint.*KeyError: 'lost'"),
        ("import warnings\nwarnings.warn('old')", r"code cell 2 wrote on stderr:\n.*UserWarning: old"),
        ("def broken(:", r"code cell 2, line 1: .*`def broken\(:`"),
        ("import os\nos._exit(3)", r"[Kk]ernel died"),
        (
            "from IPython.display import Image\nimport base64\n"
            "display(Image(data=base64.b64decode('iVBORw0KGgo='), format='png'))",
            "a figure without description",
        ),
    ],
    ids=["exception", "stderr", "syntax", "dead kernel", "no description"],
)
def test_a_failure_is_told_and_leaves_the_file(notebook_file, capfd, source, told):
    path = notebook_file("import math", source)
    before = path.read_bytes()
    assert main(["execute", str(path)]) == 1
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    error = capfd.readouterr().err
    assert re.search(told, error, re.DOTALL), error
    assert f"{path} failed and was left as it was" in error


def test_too_much_text_is_refused_by_the_cells_number(notebook_file):
    path = notebook_file("import math", "print('x' * 200_000)")
    [run] = execute([path])
    assert run.failure == "code cell 2 shows 200,001 characters of text; at most 102,400"


def test_a_warning_stops_the_run_at_once(notebook_file, tmp_path):
    path = notebook_file("import sys\nsys.stderr.write('x')", "import pathlib\npathlib.Path('later').touch()")
    [run] = execute([path])
    assert run.failure == "code cell 1 wrote on stderr:\nx"
    assert not (tmp_path / "later").exists()


def test_one_failure_does_not_keep_the_others_from_running(notebook_file):
    good, bad = notebook_file("print('x')", name="good.ipynb"), notebook_file("1 / 0", name="bad.ipynb")
    truncated, sourceless = notebook_file("1", name="truncated.ipynb"), notebook_file("1", name="sourceless.ipynb")
    truncated.write_text(truncated.read_text(encoding="utf-8")[:-50], encoding="utf-8")
    sourceless.write_text(
        re.sub(r'"source": \[[^]]*\]|"source": ".*"', '"x": 1', sourceless.read_text(encoding="utf-8")),
        encoding="utf-8",
    )
    failures = [run.failure for run in execute([bad, truncated, sourceless, good])]
    for failure, told in zip(
        failures, ["ZeroDivisionError", "not a notebook", "cell 1 has no source", "^$"], strict=True
    ):
        assert re.search(told, failure), failure
    assert read(good).cells[0].execution_count == 1
    assert read(bad).cells[0].execution_count is None


def test_an_error_that_nobody_foresaw_is_this_notebooks_alone(notebook_file, monkeypatch):
    good, bad = notebook_file("print('x')", name="good.ipynb"), notebook_file("1", name="bad.ipynb")
    check = execution.check_syntax

    def fails_once(notebook):
        if notebook.cells[0].source == "1":
            raise KeyError("unforeseen")
        check(notebook)

    monkeypatch.setattr(execution, "check_syntax", fails_once)
    assert [run.failure for run in execute([bad, good])] == ["KeyError: 'unforeseen'", ""]


def test_notebooks_run_side_by_side(notebook_file, tmp_path):
    """Each waits until it sees the other's file: run one after the other, the first would fail."""

    def wait_for(own: str, other: str) -> str:
        return (
            "import pathlib, time\n"
            f"pathlib.Path('{own}').touch()\n"
            "end = time.monotonic() + 20\n"
            f"while not pathlib.Path('{other}').exists():\n"
            "    assert time.monotonic() < end, 'alone'\n"
            "    time.sleep(0.05)"
        )

    paths = [notebook_file(wait_for("a", "b"), name="a.ipynb"), notebook_file(wait_for("b", "a"), name="b.ipynb")]
    assert [run.failure for run in execute(paths, workers=2)] == ["", ""]


def test_kernels_get_the_books_environment(notebook_file, monkeypatch):
    for name in KERNEL_ENVIRONMENT:
        monkeypatch.setenv(name, "3")
    path = notebook_file(f"import os\nprint({{name: os.environ[name] for name in {sorted(KERNEL_ENVIRONMENT)}}})")
    execute([path])
    assert read(path).cells[0].outputs[0].text == f"{dict(sorted(KERNEL_ENVIRONMENT.items()))}\n"


def test_what_has_checkpoints_made_anew_is_called_the_same_here_and_in_the_library():
    assert environment.REMAKE == checkpoints.REMAKE


def test_while_stores_are_made_anew_sentences_stop_nobody(notebook_file, monkeypatch):
    path = notebook_file("from lib.core import evidence", "with evidence():\n    assert 1 > 2, 'ordered'")
    assert "ordered" in execute([path])[0].failure
    monkeypatch.setenv(environment.REMAKE, "a")
    assert execute([path])[0].failure == ""


def test_kernels_are_fresh(notebook_file):
    first, second = notebook_file("x = 1", name="a.ipynb"), notebook_file("print('x' in globals())", name="b.ipynb")
    execute([first, second], workers=1)
    assert read(second).cells[0].outputs[0].text == "False\n"


def test_no_kernel_is_left_behind(notebook_file):
    path = notebook_file("import os\nprint(os.getpid())")
    execute([path])
    with pytest.raises(ProcessLookupError):
        os.kill(int(read(path).cells[0].outputs[0].text), 0)


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        replace_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "no such file"),
        ("# just text", "not a notebook"),
        ('{"a": 1}', "not a notebook"),
        ("[]", "not a notebook"),
        (b"\xff\xfe\x00", "not a notebook"),
    ],
)
def test_what_is_no_notebook_is_named(tmp_path, content, told):
    path = tmp_path / "x.ipynb"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(NotebookError, match=rf"x\.ipynb: {told}"):
        read(path)


def test_a_folder_is_no_notebook(tmp_path):
    with pytest.raises(NotebookError, match="is a folder"):
        read(tmp_path)


def test_a_foreign_kernel_is_refused_before_it_is_started(notebook_file, capfd):
    path = notebook_file("x")
    notebook = read(path)
    notebook.metadata.kernelspec = {"name": "ir", "display_name": "R", "language": "R"}
    nbformat.write(notebook, path)
    assert main(["execute", str(path)]) == 1
    assert "kernel 'ir' (R) is unknown here: chapters run on python3" in capfd.readouterr().err


def test_the_command_line_explains_itself(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    for command in ("execute", "verify", "check", "edit", "export", "import"):
        assert re.search(rf"^ +{command} +\w", told, re.MULTILINE), command
