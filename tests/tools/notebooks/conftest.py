"""A small chapter to work on, as text and as an executed notebook."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pictures import figure_cell

from tools.notebooks.canonical import canonicalise, serialise


@pytest.fixture
def chapter() -> nbformat.NotebookNode:
    """An executed chapter in canonical form."""
    cells = [
        new_markdown_cell("# A chapter"),
        new_code_cell("import math", metadata={"tags": ["hide-input"]}, execution_count=1),
        new_code_cell("print('one')", execution_count=2, outputs=[new_output("stream", name="stdout", text="one\n")]),
        figure_cell(),
        new_code_cell(
            "1 + 1",
            execution_count=4,
            outputs=[new_output("execute_result", data={"text/plain": "2"}, execution_count=4)],
        ),
        new_code_cell("answer = 42", metadata={"tags": ["solution"]}, execution_count=5),
    ]
    notebook = new_notebook(cells=cells, metadata={"book": {"track": "test", "running_seconds": 0.1}})
    return canonicalise(notebook)


@pytest.fixture
def notebook_file(tmp_path: Path):
    """Writes cells (sources, or whole cells) as an unexecuted notebook and returns its path."""

    def make(*cells, name: str = "chapter.ipynb") -> Path:
        path = tmp_path / name
        whole = [new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
        path.write_text(serialise(canonicalise(new_notebook(cells=whole))), encoding="utf-8")
        return path

    return make
