"""What a chapter's file must be before it is published: canonical, run to its end, free of traces, its numbers held."""

import re
import sys
from pathlib import Path

import nbformat

from tools.chapter.kinds import kind, only_imports
from tools.notebooks import debts
from tools.notebooks.canonical import NotebookError, canonicalise, serialise
from tools.notebooks.files import ROOT, read
from tools.notebooks.numbers import loose_numbers
from tools.notebooks.pictures import allowed_share
from tools.notebooks.tolerance import tolerance

_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}")
_MINUS_NOTHING = re.compile(r"(?<![\w.])[-−]0(?:\.0*)?(?!\.?\d|,\d|e)")
_RESIDUE = re.compile(r"(?<![\w.])\d(?:\.\d+)?e-\d+")
_LARGEST_RESIDUE = 1e-5  # what is left of float32 sums that are equal on paper stays below it
_UNCHECKED = {"nbval-skip", "raises-exception", "nbval-raises-exception"}
_COMMENT_MARKER = re.compile(r"^\s*#+\s*(NBVAL_\w+|PYTEST_VALIDATE_\w+)", re.MULTILINE)


def deviations(path: Path) -> list[str]:
    """Why the notebook cannot be published as it is, one line for each finding; empty when all is well."""
    try:
        notebook = read(path)
        canonical = serialise(canonicalise(notebook))
    except NotebookError as error:
        return str(error).splitlines()
    found = []
    if path.read_text(encoding="utf-8") != canonical:
        found.append("not in canonical form; `python -m tools.notebooks execute` writes it")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    idle = [str(number) for number, cell in enumerate(code, start=1) if cell.execution_count is None]
    if idle:
        found.append(f"not run to its end; missing are code cells {', '.join(idle)}")
    for number, cell in enumerate(code, start=1):
        found += [f"code cell {number}: {finding}" for finding in _findings(cell)]
    if code and not only_imports(code[0].source):
        found.append("code cell 1: may only import and call use_book_style()")
    elif code and kind(code[0].metadata.get("tags", [])) != "plumbing":
        found.append("code cell 1: imports are folded; tag it `hide-input`")
    counted, listed = debts.measure(notebook), debts.read_debts()
    known = debts.findings(debts.name_of(path), counted, listed, debts.places(notebook))
    return found + known + loose_numbers(notebook)


def _findings(cell: nbformat.NotebookNode) -> list[str]:
    found = []
    for declared in (tolerance, allowed_share):
        try:
            declared(cell)
        except ValueError as error:
            found.append(str(error))
    for tag in sorted(_UNCHECKED & set(cell.metadata.get("tags", []))):
        found.append(f"tag `{tag}` hides it from the tests")
    if kind(cell.metadata.get("tags", [])) == "evidence":
        if "hide-cell" not in cell.metadata.tags:
            found.append("evidence is folded; tag it `hide-cell` too")
        outside = debts.outside_evidence(cell.source)
        if outside:
            found.append(
                f"line {outside[0].lineno}: evidence computes and asserts inside `with evidence():`, so that a reader's "
                "changed setting does not stop there"
            )
    for marker in _COMMENT_MARKER.findall(cell.source):
        found.append(f"comment `{marker}` is invisible to readers of the metadata; use a tag")
    if cell.source.rstrip().endswith(";"):
        found.append("ends with `;`, which nbval cannot compare; write `_ = …`")
    if any(output.output_type == "error" for output in cell.outputs):
        found.append("stored an error")
    text = "\n".join(_texts(cell))
    if _ADDRESS.search(text):
        found.append(f"shows a memory address: {_ADDRESS.search(text)[0]}")
    found += _rounding(text, cell)
    for place in (str(ROOT), sys.prefix, str(Path.home())):
        if len(place) > 1 and re.search(rf"{re.escape(place)}\b", text):
            found.append(f"shows a path of this machine: {place}")
            break
    shows_image = any(mime.startswith("image/") for output in cell.outputs for mime in output.get("data", {}))
    if "figure" in cell.metadata.get("mystnb", {}) and cell.execution_count is not None and not shows_image:
        found.append("is declared a figure and shows none")
    return found


def _rounding(text: str, cell: nbformat.NotebookNode) -> list[str]:
    """Numbers that rounding alone has made, which another processor makes otherwise."""
    if _MINUS_NOTHING.search(text):
        return [
            f"shows {_MINUS_NOTHING.search(text)[0]}, whose sign is that of a rounding error; round first, then add 0.0"
        ]
    if cell.metadata.get("book", {}).get("tolerance") is not None:
        return []
    residues = [written for written in _RESIDUE.findall(text) if _is_residue(written)]
    return (
        [f"shows {residues[0]}, as small as a rounding error; print a bound, or declare a tolerance"]
        if residues
        else []
    )


def _is_residue(written: str) -> bool:
    """Small, and no bound: those are powers of ten."""
    return float(written) < _LARGEST_RESIDUE and float(written.partition("e")[0]) != 1


def _texts(cell: nbformat.NotebookNode) -> list[str]:
    texts = [output.text for output in cell.outputs if output.output_type == "stream"]
    for output in cell.outputs:
        texts += [value for mime, value in output.get("data", {}).items() if mime.startswith("text/")]
    return texts
