"""Each number in a sentence must be held by the chapter's code: break the number, and `check` says so.

**Held** is a number that a code cell has as a literal (`0.97`, `93_322`, `2**16`; not in a comment or a string) or shows in
a stored text output that the tests reproduce. The cell must be near: one of the two code cells before the sentence or of the
two after it; for a caption its own cell, the one before or the two after; or the evidence of the same section, from one
second-level heading to the next, which is folded at its end. Starters of exercises do not count as cells.
A number may instead repeat one that is held elsewhere in the chapter, as a summary or a quiz does: one of several digits, or
a whole product such as "3 × 3". A single digit says too little to be recognised so far away.

**Fits**: to the digits written. "97.2 %" fits 0.972, 97.2 and 0.97214; "28.9 million" fits 28,901,376; "1.4 times" fits 1.38.
A number without decimal places and without a unit of scale is a count, and fits only itself. Signs are not compared.

**No quantities** are: what stands in code, roles, link targets and labels; single digits, subscripts and exponents in
formulas; years; page, section and equation numbers; digits within a name (LeNet-5, float32, 2-D); a number in quotation
marks, such as the class "4"; the heads of exercises; the wrong answers that a quiz offers. There is no list of exceptions:
who needs one prints the number, asserts it, rewords, or spells a small count out.

What the check cannot know is whether the number beside the sentence is the one that is meant: it finds a slip of the
keyboard and a result that has moved, not a lie. Numbers in words escape it.
"""

import ast
import operator
import re

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

from tools.chapter.prose import cell_prose
from tools.notebooks.quantities import Number, numbers, shown_values

_NEAR = 2  # code cells on either side
_EXCERPT = 40  # characters on either side

_TAG = re.compile(r"<[^>]+>")
_HEADING = re.compile(r"^##? ", re.MULTILINE)
_OPERATORS = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
}  # fmt: skip


def loose_numbers(notebook: nbformat.NotebookNode) -> list[str]:
    """One line for each number in the chapter's sentences that no code cell holds."""
    cells = notebook.cells
    held_by = [_held_values(cell) if cell.cell_type == "code" else set() for cell in cells]
    loose, held = [], set()
    for position, cell in enumerate(cells):
        near = set().union(*(held_by[index] for index in _near(cells, position)))
        for text in cell_prose(cell):
            found = list(numbers(text))
            missing = [number for number in found if not any(number.fits(value) for value in near)]
            loose += [(position, text, number) for number in missing]
            # Of a product, both factors must be held.
            held |= {number.repeats for number in found} - {number.repeats for number in missing}
    return [
        f"{_place(cells, position)}: no code cell near holds {number.text} in “{_excerpt(text, number)}”"
        for position, text, number in loose
        if not (number.repeats and number.repeats in held)
    ]


def _near(cells: list[nbformat.NotebookNode], position: int) -> list[int]:
    code = [index for index, cell in enumerate(cells) if cell.cell_type == "code" and not _is_starter(cell)]
    before = [index for index in code if index <= position]
    after = [index for index in code if index > position]
    start, end = _section(cells, position)
    evidence = [index for index in code if start <= index < end and "evidence" in cells[index].metadata.get("tags", [])]
    return before[-_NEAR:] + after[:_NEAR] + evidence


def _section(cells: list[nbformat.NotebookNode], position: int) -> tuple[int, int]:
    """Where the section of this cell begins, and where the next one does."""
    starts = [
        index for index, cell in enumerate(cells) if cell.cell_type == "markdown" and _HEADING.search(cell.source)
    ]
    start = max((index for index in starts if index <= position), default=0)
    return start, min((index for index in starts if index > position), default=len(cells))


def _is_starter(cell: nbformat.NotebookNode) -> bool:
    return "starter" in cell.metadata.get("tags", [])  # what the reader is to fill in


def _held_values(cell: nbformat.NotebookNode) -> set[float]:
    return _literals(cell.source) | _shown(cell)


def _literals(source: str) -> set[float]:
    try:
        tree = ast.parse(TransformerManager().transform_cell(source))
    except SyntaxError:
        return set()  # said elsewhere
    values = (_constant(node) for node in ast.walk(tree) if isinstance(node, ast.expr))
    return {abs(float(value)) for value in values if value is not None}


def _constant(node: ast.expr) -> float | None:
    """The value of a literal, or of arithmetic with nothing but literals."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _constant(node.operand)
        return None if value is None else -value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _constant(node.left), _constant(node.right)
        if left is None or right is None or (abs(right) > 1e3 and isinstance(node.op, ast.Pow)):
            return None
        try:
            value = _OPERATORS[type(node.op)](left, right)
            return value if isinstance(value, int | float) and abs(value) < 1e300 else None
        except ArithmeticError:
            return None
    return None


def _shown(cell: nbformat.NotebookNode) -> set[float]:
    if "nbval-ignore-output" in cell.metadata.get("tags", []):
        return set()  # no test reproduces them
    texts = [output.text for output in cell.outputs if output.output_type == "stream"]
    for data in (output.get("data", {}) for output in cell.outputs):
        texts += [data.get("text/plain", ""), _TAG.sub(" ", data.get("text/html", ""))]
    return set().union(*map(shown_values, texts))


def _place(cells: list[nbformat.NotebookNode], position: int) -> str:
    number = sum(cell.cell_type == "code" for cell in cells[: position + 1])
    kind = "caption of" if cells[position].cell_type == "code" else "text after"
    return f"{kind} code cell {number}"


def _excerpt(text: str, number: Number) -> str:
    start, end = max(0, number.start - _EXCERPT), number.end + _EXCERPT
    return ("…" if start else "") + text[start:end].strip() + ("…" if end < len(text) else "")
