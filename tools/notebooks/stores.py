"""Which stored networks and tables a chapter reads, and whether those that are to be made anew are among them."""

import ast
import os
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

from tools.notebooks.canonical import NotebookError
from tools.notebooks.environment import REMAKE
from tools.notebooks.files import read

__all__ = ["check_wanted", "names_read", "stores_of"]


def names_read(source: str) -> set[str]:
    """The names with which code calls `checkpoint`."""
    tree = ast.parse(TransformerManager().transform_cell(source))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    asked = [call for call in calls if ast.unparse(call.func).split(".")[-1] == "checkpoint" and call.args]
    return {call.args[0].value for call in asked if isinstance(call.args[0], ast.Constant)}


def stores_of(paths: list[Path]) -> set[str]:
    """The names that these notebooks read."""
    cells = [cell for path in paths for cell in read(path).cells if cell.cell_type == "code"]
    return {name for cell in cells for name in names_read(cell.source)}


def check_wanted(paths: list[Path]) -> None:
    """Refuse to make a store anew that no notebook among these reads: nothing would be made, and nothing said."""
    wanted = {name for name in os.environ.get(REMAKE, "").split(",") if name not in ("", "1")}
    if unknown := wanted - (there := stores_of(paths) if wanted else set()):
        raise NotebookError(
            f"STORE must be among {', '.join(sorted(there)) or 'the stores that these notebooks read, which are none'}, "
            f"got {', '.join(sorted(unknown))}"
        )
