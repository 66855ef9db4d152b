"""What the chapters still owe to the rules on visible code and on height: a list that may only shrink.

`debts.yml` holds, for each chapter that broke a rule when the rule was made, how often. A chapter that is not listed owes
nothing. `settle` lowers the entries after a chapter got better; nothing raises them.
"""

import ast
from pathlib import Path

import nbformat
import yaml
from IPython.core.inputtransformer2 import TransformerManager

from tools.chapter.kinds import kind
from tools.notebooks.files import ROOT, replace_text

DEBTS = Path(__file__).with_name("debts.yml")
ALLOWED = {"assertions": 0, "visible lines": 250, "wide lines": 0, "height": 20_000}
WIDEST = 76  # characters
OPEN = ("teaching", "starter", "check")
_SHOWN = 3  # places that one finding names
_REMEDY = {
    "assertions": "assertions in visible cells; they belong into a cell tagged evidence",
    "visible lines": "lines of visible code, exercises aside; fold what is plumbing, shorten what teaches",
    "wide lines": f"visible lines of code wider than {WIDEST} characters",
    "height": "pixels in a window 1280 wide, everything folded; cut, fold, or make two chapters of it",
}


def measure(notebook: nbformat.NotebookNode) -> dict[str, int]:
    """How many assertions, lines and wide lines the chapter's open cells have."""
    cells = [(kind(cell.metadata.get("tags", [])), cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    teaching = [source for what, source in cells if what == "teaching"]
    return {
        "visible lines": sum(bool(line.strip()) for source in teaching for line in source.splitlines()),
        **{rule: len(found) for rule, found in places(notebook).items()},
    }


def places(notebook: nbformat.NotebookNode) -> dict[str, list[str]]:
    """Where the assertions and the wide lines of the open cells stand."""
    found: dict[str, list[str]] = {"assertions": [], "wide lines": []}
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell_number, cell in enumerate(code, start=1):
        what, lines = kind(cell.metadata.get("tags", [])), cell.source.splitlines()
        asserted = [node.lineno for node in assertions(cell.source)] if what == "teaching" else []
        wide = [number for number, line in enumerate(lines, start=1) if len(line) > WIDEST]
        for rule, numbers in (("assertions", asserted), ("wide lines", wide if what in OPEN else [])):
            found[rule] += [f"code cell {cell_number}, line {number}" for number in numbers]
    return found


def assertions(source: str) -> list[ast.AST]:
    """The assertions in code."""
    return [
        node
        for node in ast.walk(_tree(source))
        if isinstance(node, ast.Assert)
        or (isinstance(node, ast.Call) and ast.unparse(node.func).endswith("assert_close"))
    ]


def outside_evidence(source: str) -> list[ast.stmt]:
    """The statements of an evidence cell that no `with evidence():` holds, definitions and imports aside, which do nothing yet."""
    idle = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    return [node for node in _tree(source).body if not isinstance(node, idle) and not _is_evidence(node)]


def _is_evidence(node: ast.stmt) -> bool:
    return isinstance(node, ast.With) and ast.unparse(node.items[0]).startswith("evidence(")


def _tree(source: str) -> ast.Module:
    try:
        return ast.parse(TransformerManager().transform_cell(source))
    except SyntaxError:
        return ast.Module([], [])  # said elsewhere


def read_debts(text: str | None = None) -> dict[str, dict[str, int]]:
    """Chapter → rule → what was counted."""
    return yaml.safe_load(DEBTS.read_text(encoding="utf-8") if text is None else text) or {}


def findings(
    chapter: str,
    measured: dict[str, int],
    debts: dict[str, dict[str, int]],
    places: dict[str, list[str]] | None = None,
) -> list[str]:
    """One line for each rule that the chapter breaks more often than it is known to, with the first places."""
    found = []
    for rule, count in measured.items():
        listed = debts.get(chapter, {}).get(rule)
        if count > (ALLOWED[rule] if listed is None else listed):
            known = f"at most {ALLOWED[rule]:,}" if listed is None else f"{listed:,} so far, and it may only shrink"
            where = (places or {}).get(rule, [])
            named = "; ".join(where[:_SHOWN]) + ("; …" if len(where) > _SHOWN else "")
            found.append(f"{count:,} {_REMEDY[rule]} ({known})" + (f": {named}" if named else ""))
    return found


def settle(measured: dict[str, dict[str, int]]) -> None:
    """Lower the listed debts of these chapters to what they measure now."""
    before = read_debts()
    debts = {
        chapter: {
            rule: count if (now := measured.get(chapter, {}).get(rule)) is None else min(count, now)
            for rule, count in owed.items()
            if measured.get(chapter, {}).get(rule, count) > ALLOWED[rule]
        }
        for chapter, owed in before.items()
    }
    if debts != before:
        write_debts(debts)


def write_debts(debts: dict[str, dict[str, int]]) -> None:
    """Put the list in its file, its opening comment kept, one rule a line."""
    lines = DEBTS.read_text(encoding="utf-8").splitlines(keepends=True)
    opening = "".join(line for line in lines if line.startswith("#"))
    kept = {chapter: owed for chapter, owed in debts.items() if owed}
    replace_text(DEBTS, opening + yaml.safe_dump(kept, sort_keys=True))


def name_of(path: Path) -> str:
    """A chapter's name in the list."""
    path = path.resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
