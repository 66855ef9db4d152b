"""A chapter as MyST text: written and reviewed in an editor, stored as a notebook."""

import ast
import copy
from collections import defaultdict, deque
from itertools import zip_longest

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

from tools.chapter.kinds import FOLDED
from tools.notebooks.canonical import NotebookError, canonicalise

FORMAT = "md:myst"


def export_text(notebook: nbformat.NotebookNode) -> str:
    """The notebook without its outputs, as text that `import_text` turns back into it.

    Raises NotebookError for a cell that MyST would read otherwise, such as `+++` or front matter in Markdown.
    """
    import jupytext  # which loads a server; only this command needs it

    notebook = canonicalise(notebook)
    if not notebook.cells:
        raise NotebookError("the notebook has no cells")
    told = [(cell.cell_type, cell.source) for cell in notebook.cells]
    notebook.metadata["jupytext"] = {
        "notebook_metadata_filter": "all,-jupytext,-kernelspec,-language_info",
        "cell_metadata_filter": "all",
    }
    for cell in notebook.cells:
        if FOLDED & set(cell.metadata.get("tags", [])) and "jupyter" in cell.metadata:
            del cell.metadata["jupyter"]["source_hidden"]  # follows from the tags
            if not cell.metadata["jupyter"]:
                del cell.metadata["jupyter"]
    text = jupytext.writes(notebook, fmt=FORMAT)
    read = [(cell.cell_type, cell.source) for cell in jupytext.reads(text, fmt=FORMAT).cells]
    for number, (before, after) in enumerate(zip_longest(told, read), start=1):
        if before != after:
            raise NotebookError(
                f"cell {number} cannot be written as MyST text, which would read {before!r} as {after!r}"
            )
    return text


def import_text(text: str, existing: nbformat.NotebookNode | None = None) -> nbformat.NotebookNode:
    """The notebook that the text describes, in canonical form.

    Code cells that stand unchanged in `existing` keep their outputs; the others have none until
    they are executed. Its measured running seconds are kept where the text gives none. Raises NotebookError for text that is not MyST, or code that is not Python.
    """
    import jupytext

    try:
        notebook = jupytext.reads(text, fmt=FORMAT)
    except Exception as error:  # jupytext and yaml raise many kinds
        raise NotebookError(f"not a notebook in MyST text: {error}") from error
    check_syntax(notebook)
    if existing is not None:
        _keep_outputs(notebook, existing)
        _keep_running_seconds(notebook, existing)
    return canonicalise(notebook)


def check_syntax(notebook: nbformat.NotebookNode) -> None:
    """Raise NotebookError for the first code cell that Python cannot read."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    for number, cell in enumerate(cells, start=1):
        source = TransformerManager().transform_cell(cell.source)
        try:
            compile(source, f"code cell {number}", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        except SyntaxError as error:
            line = (error.text or "").strip()
            raise NotebookError(f"code cell {number}, line {error.lineno}: {error.msg}: `{line}`") from None


def _keep_outputs(notebook: nbformat.NotebookNode, existing: nbformat.NotebookNode) -> None:
    stored = defaultdict(deque)
    for cell in existing.cells:
        if cell.cell_type == "code":
            stored[cell.source].append(cell)
    for cell in notebook.cells:
        if cell.cell_type == "code" and stored[cell.source]:
            before = stored[cell.source].popleft()
            cell.outputs = copy.deepcopy(before.outputs)
            cell.execution_count = before.execution_count


def _keep_running_seconds(notebook: nbformat.NotebookNode, existing: nbformat.NotebookNode) -> None:
    seconds = existing.metadata.get("book", {}).get("running_seconds")
    if seconds is not None and "book" in notebook.metadata:
        notebook.metadata["book"].setdefault("running_seconds", seconds)
