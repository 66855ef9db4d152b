"""One notebook, one sequence of bytes: what varies for no good reason is derived or dropped."""

import base64
import json

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell
from pictures import figure_cell

from tools.notebooks import NotebookError, canonicalise
from tools.notebooks.canonical import LARGEST_IMAGE, serialise

text = st.text(alphabet="ab \n#é`", max_size=12)
tags = st.lists(st.sampled_from(["solution", "check", "hide-input", "evidence"]), unique=True, max_size=2)
metadata = st.fixed_dictionaries(
    {},
    optional={
        "tags": tags,
        "execution": st.just({"iopub.execute_input": "2026-11-22T06:11:33Z"}),
        "scrolled": st.booleans(),
        "jupyter": st.sampled_from([{"source_hidden": True}, {"source_hidden": False, "outputs_hidden": True}]),
    },
)
streams = st.builds(
    lambda name, content: new_output("stream", name=name, text=content), st.sampled_from(["stdout", "stderr"]), text
)
results = st.builds(
    lambda value, count: new_output("execute_result", data={"text/plain": value}, execution_count=count),
    text,
    st.integers(1, 99),
)
code_cells = st.builds(
    lambda source, outputs, count, metadata: new_code_cell(
        source, outputs=outputs, execution_count=count, metadata=metadata
    ),
    text,
    st.lists(streams | results, max_size=4),
    st.none() | st.integers(1, 99),
    metadata,
)
cells = code_cells | st.builds(new_markdown_cell, text) | st.builds(new_raw_cell, text) | st.builds(figure_cell)
notebooks = st.builds(lambda cells: new_notebook(cells=cells), st.lists(cells, max_size=6))


@given(notebooks)
def test_a_second_application_changes_nothing(notebook):
    once = serialise(canonicalise(notebook))
    assert serialise(canonicalise(canonicalise(notebook))) == once
    assert serialise(canonicalise(nbformat.reads(once, as_version=4))) == once


@given(notebooks)
def test_the_notebook_given_is_not_changed(notebook):
    before = json.dumps(notebook, sort_keys=True)
    canonicalise(notebook)
    assert json.dumps(notebook, sort_keys=True) == before


def test_ids_come_from_the_content_alone():
    first, second = (
        canonicalise(new_notebook(cells=[new_code_cell("x = 1"), new_markdown_cell("x = 1")])) for _ in range(2)
    )
    assert [cell.id for cell in first.cells] == [cell.id for cell in second.cells]
    assert first.cells[0].id != first.cells[1].id  # a code cell and a text of the same letters


def test_an_edit_leaves_the_other_ids_alone():
    before = canonicalise(new_notebook(cells=[new_code_cell("a"), new_code_cell("b"), new_code_cell("c")]))
    after = canonicalise(new_notebook(cells=[new_code_cell("a"), new_code_cell("B"), new_code_cell("c")]))
    changed = [left.id != right.id for left, right in zip(before.cells, after.cells, strict=True)]
    assert changed == [False, True, False]


def test_lines_without_anything_at_the_end_of_a_cell_are_dropped():
    bare, ended = (canonicalise(new_notebook(cells=[new_code_cell(source)])) for source in ("1 + 1", "1 + 1\n\n"))
    assert serialise(bare) == serialise(ended)


def test_equal_cells_get_different_ids():
    cells = canonicalise(new_notebook(cells=[new_code_cell("x") for _ in range(3)])).cells
    assert len({cell.id for cell in cells}) == 3


def test_what_an_editor_or_a_run_leaves_behind_is_dropped():
    cell = new_code_cell(
        "x",
        metadata={"execution": {"iopub.status.idle": "2026"}, "ExecuteTime": {}, "collapsed": True, "tags": ["check"]},
    )
    notebook = new_notebook(
        cells=[cell, new_code_cell("  \n"), new_markdown_cell("")],
        metadata={
            "kernelspec": {"name": "my-venv", "display_name": "My venv (3.11.7)", "language": "python"},
            "language_info": {"name": "python", "version": "3.11.7", "pygments_lexer": "ipython3"},
            "widgets": {"state": {}},
            "jupytext": {"formats": "ipynb,md"},
            "book": {"track": "convolution"},
        },
    )
    result = canonicalise(notebook)
    assert [dict(cell.metadata) for cell in result.cells] == [{"tags": ["check"]}]
    assert result.metadata == {
        "book": {"track": "convolution"},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"file_extension": ".py", "name": "python", "pygments_lexer": "ipython3"},
    }


def test_streams_are_merged_and_stderr_goes():
    outputs = [
        new_output("stream", name="stdout", text="a\n"),
        new_output("stream", name="stderr", text="warning\n"),
        new_output("display_data", data={"text/plain": "d"}),
        new_output("stream", name="stdout", text="b\n"),
    ]
    cell = canonicalise(new_notebook(cells=[new_code_cell("x", outputs=outputs, execution_count=3)])).cells[0]
    assert [output.get("text", "data") for output in cell.outputs] == ["a\nb\n", "data"]


def test_counts_are_positions_and_what_did_not_run_has_none():
    counts = [5, None, 9]
    notebook = new_notebook(cells=[new_code_cell(f"x{n}", execution_count=count) for n, count in enumerate(counts)])
    notebook.cells[2].outputs = [new_output("execute_result", data={"text/plain": "2"}, execution_count=9)]
    result = canonicalise(notebook)
    assert [cell.execution_count for cell in result.cells] == [1, None, 3]
    assert result.cells[2].outputs[0].execution_count == 3


def test_what_the_book_folds_is_hidden_in_jupyterlab_too_and_nothing_else():
    hidden = {"source_hidden": True}
    folded = ("solution", "hide-input", "hide-cell", "evidence")
    cells = [
        *(new_code_cell(tag, metadata={"tags": [tag]}) for tag in folded),
        new_code_cell("b", metadata={"tags": ["starter"], "jupyter": hidden}),
        new_code_cell("c", metadata={"jupyter": hidden | {"outputs_hidden": True}}),
    ]
    found = [cell.metadata.get("jupyter") for cell in canonicalise(new_notebook(cells=cells)).cells]
    assert found == [hidden] * len(folded) + [None, {"outputs_hidden": True}]


def test_the_description_is_copied_to_the_picture():
    result = canonicalise(new_notebook(cells=[figure_cell(alt="Loss falls from 2.3 to 0.1.")]))
    assert result.cells[0].outputs[0].metadata["image/png"]["alt"] == "Loss falls from 2.3 to 0.1."


@pytest.mark.parametrize("alt", [None, "", "  ", "figure.png", "Fig_1.SVG"])
def test_a_figure_needs_a_description(alt):
    with pytest.raises(NotebookError, match=r"cell `draw\(\)`: a figure without description"):
        canonicalise(new_notebook(cells=[figure_cell(alt=alt)]))


def test_a_large_picture_is_named_with_its_size():
    def picture(size):
        return base64.b64encode(b"x" * size).decode()

    canonicalise(new_notebook(cells=[figure_cell(png=picture(LARGEST_IMAGE))]))
    with pytest.raises(NotebookError, match=r"cell `draw\(\)`: image/png of 61\.0 KB; at most 60 KB"):
        canonicalise(new_notebook(cells=[figure_cell(png=picture(61 * 1024))]))


def test_one_cell_draws_one_figure():
    cell = figure_cell()
    cell.outputs += figure_cell().outputs
    with pytest.raises(NotebookError, match="2 images"):
        canonicalise(new_notebook(cells=[cell]))


def test_an_attachment_is_refused():
    cell = new_markdown_cell("![](attachment:a.png)", attachments={"a.png": {"image/png": "AA=="}})
    with pytest.raises(NotebookError, match="has an attachment"):
        canonicalise(new_notebook(cells=[cell]))


@pytest.mark.parametrize(
    "kernel",
    [
        {"name": "ir", "display_name": "R", "language": "R"},
        {"name": "julia-1.11", "display_name": "Julia"},
        {"display_name": "Bash", "name": "bash", "language": "bash"},
    ],
)
def test_a_foreign_kernel_is_refused(kernel):
    with pytest.raises(NotebookError, match=rf"kernel '{kernel['name']}' .*chapters run on python3"):
        canonicalise(new_notebook(metadata={"kernelspec": kernel}))


def test_every_finding_is_reported_at_once():
    with pytest.raises(NotebookError) as caught:
        canonicalise(new_notebook(cells=[figure_cell("a()", alt=None), figure_cell("b()", alt=None)]))
    assert len(str(caught.value).splitlines()) == 2


def test_the_file_has_sorted_keys_an_indent_of_one_and_a_newline(chapter):
    content = serialise(chapter)
    assert content.endswith("}\n")
    assert not content.endswith("\n\n")
    assert content == json.dumps(json.loads(content), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
