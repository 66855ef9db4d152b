"""What a code cell is there for, told by its tags.

`teaching` has no tag and is open. `plumbing` (imports, plotting, loops over seeds; tag `hide-input`) and `evidence` (the
assertions that hold a section's sentences; tags `evidence` and `hide-cell`) are folded. An exercise has its `starter`, its
`solution`, which is folded too, and its `check`.
"""

import ast
from collections.abc import Iterable

FOLDED = frozenset({"hide-input", "hide-cell", "evidence", "solution"})
EVIDENCE_LABEL = "Checked: what this section says"


def kind(tags: Iterable[str]) -> str:
    """One of teaching, plumbing, evidence, starter, solution and check."""
    tags = set(tags)
    named = [tag for tag in ("starter", "solution", "check", "evidence") if tag in tags]
    return named[0] if named else "plumbing" if tags & FOLDED else "teaching"


def only_imports(source: str) -> bool:
    """Does the code nothing but import, and set the book's style of figures?"""
    try:
        statements = ast.parse(source).body
    except SyntaxError:
        return False
    return all(isinstance(node, ast.Import | ast.ImportFrom) or _is_style_call(node) for node in statements)


def label(tags: Iterable[str], source: str, *, shows_figure: bool) -> str:
    """What the book writes on a folded cell that names no label of its own."""
    if kind(tags) == "evidence":
        return EVIDENCE_LABEL
    if only_imports(source):
        return "Imports"
    if "hide-cell" in tags:
        return "Code and what it prints"
    return "Code of this figure" if shows_figure else "Code of this output"


def _is_style_call(node: ast.stmt) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[-1] == "use_book_style"
