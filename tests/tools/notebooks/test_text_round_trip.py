"""A chapter can be edited as text: nothing but the outputs of changed cells is lost on the way."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.notebooks import NotebookError, canonicalise, export_text, import_text, read, write
from tools.notebooks.__main__ import main
from tools.notebooks.canonical import serialise

FIGURE = {
    "mystnb": {
        "figure": {"caption": 'Loss: it "falls", — `then` rises', "name": "fig-loss"},
        "image": {"alt": "A curve that falls: from 2.3 to 0.1, then rises."},
    },
    "tags": ["hide-input", "nbval-ignore-output"],
}
BOOK = {
    "track": "convolution",
    "prerequisites": ["chapters/concepts/convolutional_networks"],
    "reading_minutes": 35,
    "running_seconds": 12.3,
    "source_sections": ["000-3.1.1", "003-3.10", "3.10"],
}

# Markdown as chapters have it: directives, nested fences, equations, margins, code that is only shown.
paragraphs = st.sampled_from(
    [
        "# Title",
        "(erratum-003-17)=\n## Heading",
        "$$ y = W x $$ (eq-affine)",
        "- a\n- b\n\n      indented",
        "```{exercise} Size ●○○\n:label: ex-size\n\n*5 min · objective 2.* Write it.\n```",
        "```{solution-start} ex-size\n:class: dropdown\n```",
        "```{solution-end}\n```",
        "`````{admonition} Question 1\n:class: quiz\n\n````{dropdown} A. 26 × 26\n**Right.** …\n````\n`````",
        "```python\nx = 1\n```",
        ":::{margin}\n**What the source prints.** …\n:::",
        "a | b\n--|--\n1 | 2",
        "It ends here.  \nAfter a hard break.",
    ]
)
markdown_cells = st.builds(
    lambda parts, metadata: new_markdown_cell("\n\n".join(parts), metadata=metadata),
    st.lists(paragraphs, min_size=1, max_size=3),
    st.sampled_from([{}, {"tags": ["remove-cell"]}, {"tags": ["a"], "mystnb": {"x": 1}}]),
)
code_cells = st.builds(
    lambda source, metadata: new_code_cell(source, metadata=metadata),
    st.sampled_from(
        [
            "import math",
            "def f(x):\n    ...  # your code",
            "text = '''\n---\nkey: value\n---\n'''",
            "# only a comment",
            "fence = '```'",
            "%matplotlib inline\nx = 1",
            "x = {\n\n    'a': 1,\n\n}",
        ]
    ),
    st.sampled_from(
        [
            {},
            FIGURE,
            {"tags": ["solution"]},
            {"tags": ["starter"]},
            {"tags": ["solution"], "jupyter": {"outputs_hidden": True}},
            {"mystnb": {"number": "3.10", "yes": "no", "list": [1, 2.5, None, True]}},
        ]
    ),
)
notebooks = st.builds(
    lambda cells, metadata: canonicalise(new_notebook(cells=cells, metadata=metadata)),
    st.lists(markdown_cells | code_cells, min_size=1, max_size=7),
    st.sampled_from([{}, {"book": BOOK}, {"book": BOOK, "mystnb": {"merge_streams": True}}]),
)


@given(notebooks)
def test_export_and_import_give_the_same_notebook(notebook):
    assert serialise(import_text(export_text(notebook))) == serialise(notebook)


@given(notebooks)
def test_text_is_stable(notebook):
    text = export_text(notebook)
    assert export_text(import_text(text)) == text


def test_outputs_of_unchanged_cells_stay(chapter):
    assert serialise(import_text(export_text(chapter), chapter)) == serialise(chapter)


def test_outputs_of_a_changed_cell_go_and_only_those(chapter):
    text = export_text(chapter).replace("print('one')", "print('two')")
    result = import_text(text, chapter)
    assert [len(cell.outputs) for cell in result.cells if cell.cell_type == "code"] == [0, 0, 1, 1, 0]
    assert [cell.execution_count for cell in result.cells if cell.cell_type == "code"] == [1, None, 3, 4, 5]


def test_measured_seconds_stay_when_the_text_gives_none(chapter):
    text = export_text(chapter)
    assert "  running_seconds: 0.1\n" in text
    without = text.replace("  running_seconds: 0.1\n", "")
    assert import_text(without, chapter).metadata["book"]["running_seconds"] == 0.1
    assert "running_seconds" not in import_text(without).metadata["book"]
    other = text.replace("running_seconds: 0.1", "running_seconds: 7.5")
    assert import_text(other, chapter).metadata["book"]["running_seconds"] == 7.5


def test_outputs_follow_a_cell_that_moved(chapter):
    moved = "```{code-cell} ipython3\n1 + 1\n```"
    text = export_text(chapter)
    assert moved in text
    text = text.replace(moved + "\n", "").replace("# A chapter\n", f"# A chapter\n\n{moved}\n")
    result = import_text(text, chapter)
    assert result.cells[1].source == "1 + 1"
    assert result.cells[1].outputs[0].data["text/plain"] == "2"
    assert result.cells[1].execution_count == 1


def test_a_new_description_reaches_the_stored_picture(chapter):
    text = export_text(chapter).replace("A line that rises.", "A line that falls.")
    result = import_text(text, chapter)
    assert result.cells[3].outputs[0].metadata["image/png"]["alt"] == "A line that falls."


def test_text_holds_no_outputs_and_nothing_that_follows_from_the_rest(chapter):
    text = export_text(chapter)
    for unwanted in ("iVBOR", "one\n```", "kernelspec", "language_info", "source_hidden", "text_representation"):
        assert unwanted not in text
    assert chapter.cells[5].metadata.jupyter.source_hidden  # the text leaves out what the notebook has


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("# T\n\n```{code-cell} ipython3\nx = (1\n```\n", r"code cell 1, line 1: .*never closed.*`x = \(1`"),
        ("```{code-cell} ipython3\n---\ntags: [a\n---\nx\n```\n", "not a notebook in MyST text: .*YAML"),
        ("---\nbook: [\n---\n# T\n", "not a notebook in MyST text"),
    ],
)
def test_text_with_a_mistake_is_refused(text, told):
    with pytest.raises(NotebookError, match=f"(?s){told}"):
        import_text(text)


def test_an_empty_notebook_has_no_text():
    with pytest.raises(NotebookError, match="has no cells"):
        export_text(new_notebook())


def test_import_of_a_mistake_leaves_the_notebook(tmp_path, chapter, capfd):
    path, text = tmp_path / "chapter.ipynb", tmp_path / "draft.md"
    write(path, chapter)
    before = path.read_bytes()
    text.write_text("```{code-cell} ipython3\nx = (\n```\n", encoding="utf-8")
    assert main(["import", str(text), str(path)]) == 1
    assert f"{text}: code cell 1, line 1" in capfd.readouterr().err
    assert path.read_bytes() == before


def test_import_of_a_missing_text_is_told(tmp_path, capfd):
    assert main(["import", str(tmp_path / "none.md"), str(tmp_path / "x.ipynb")]) == 1
    assert "none.md: no such file" in capfd.readouterr().err


def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """An editor that applies `change`, an expression in `text`, to the file it is given."""
    script = tmp_path / "editor.py"
    script.write_text(
        "import pathlib, sys\npath = pathlib.Path(sys.argv[1])\n"
        f"text = path.read_text(encoding='utf-8')\npath.write_text({change}, encoding='utf-8')\n"
    )
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"'{sys.executable}' '{script}'")
    (tmp_path / "temporary").mkdir(exist_ok=True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))


def test_edit_imports_what_was_saved(tmp_path, chapter, monkeypatch):
    path = tmp_path / "chapter.ipynb"
    write(path, chapter)
    editor(tmp_path, monkeypatch, "text.replace('# A chapter', '# A better chapter')")
    assert main(["edit", str(path)]) == 0
    assert read(path).cells[0].source == "# A better chapter"
    assert serialise(read(path)).count('"text": [') == 1  # the stored outputs are still there
    assert list((tmp_path / "temporary").iterdir()) == []


def test_edit_without_a_change_writes_nothing(tmp_path, chapter, monkeypatch):
    path = tmp_path / "chapter.ipynb"
    path.write_text(serialise(chapter).replace('"id": "', '"id": "x'), encoding="utf-8")
    before = path.read_bytes()
    editor(tmp_path, monkeypatch, "text")
    assert main(["edit", str(path)]) == 0
    assert path.read_bytes() == before


def test_edit_keeps_a_text_that_cannot_be_imported(tmp_path, chapter, monkeypatch, capfd):
    path = tmp_path / "chapter.ipynb"
    write(path, chapter)
    before = path.read_bytes()
    editor(tmp_path, monkeypatch, "text.replace('1 + 1', '1 + (1')")
    assert main(["edit", str(path)]) == 1
    assert path.read_bytes() == before
    [kept] = (tmp_path / "temporary").rglob("*.md")
    assert "1 + (1" in kept.read_text(encoding="utf-8")
    error = capfd.readouterr().err
    assert str(kept) in error
    assert "never closed" in error


@pytest.mark.parametrize(("command", "told"), [(None, "set EDITOR"), ("no-such-editor", "no-such-editor")])
def test_edit_without_an_editor_is_told(tmp_path, chapter, monkeypatch, capfd, command, told):
    path = tmp_path / "chapter.ipynb"
    write(path, chapter)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    if command:
        monkeypatch.setenv("EDITOR", command)
    assert main(["edit", str(path)]) == 1
    assert told in capfd.readouterr().err


@pytest.mark.parametrize(
    "cell",
    [
        new_markdown_cell("---\ntitle: A\n---\n\ntext"),
        new_markdown_cell("a\n\n+++\n\nb"),
        new_markdown_cell("See\n\n```{code-cell} ipython3\nx = 1\n```"),
        new_code_cell("x = 1\n\x0c\ny = 2"),
    ],
    ids=["front matter", "cell mark", "code cell", "form feed"],
)
def test_a_cell_that_would_come_back_as_another_is_refused(cell):
    with pytest.raises(NotebookError, match="cell 1 cannot be written as MyST text, which would read "):
        export_text(new_notebook(cells=[cell]))
