"""Each stored network is read by a chapter, loads as plain tensors, and is small; each one that a chapter reads is stored."""

import ast
from pathlib import Path

import pytest
import torch
from IPython.core.inputtransformer2 import TransformerManager

from lib.core.checkpoints import LARGEST
from tools.notebooks import chapter_paths, read
from tools.notebooks.files import ROOT

FOLDER = ROOT / "chapters" / "checkpoints"
STORED = sorted(FOLDER.glob("*"))


def names_read(source: str) -> set[str]:
    """The names with which code calls `checkpoint`."""
    calls = [
        node for node in ast.walk(ast.parse(TransformerManager().transform_cell(source))) if isinstance(node, ast.Call)
    ]
    asked = [call for call in calls if ast.unparse(call.func).split(".")[-1] == "checkpoint" and call.args]
    return {call.args[0].value for call in asked if isinstance(call.args[0], ast.Constant)}


def test_calls_are_found():
    assert names_read("%time x\ny = f(lib.core.checkpoint('a', make))['b']\ncheckpoint('c', make)\nother('d')") == {
        "a",
        "c",
    }


def test_what_is_stored_is_what_the_chapters_read():
    cells = [cell for path in chapter_paths() for cell in read(path).cells if cell.cell_type == "code"]
    used = {name for cell in cells for name in names_read(cell.source)}
    assert {path.name for path in STORED} == {f"{name}.pt" for name in used}


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.name)
def test_a_stored_network_is_small_and_holds_nothing_but_finite_tensors(path: Path):
    assert path.stat().st_size <= LARGEST
    table = torch.load(path, weights_only=True)
    assert table
    assert [name for name, tensor in table.items() if not torch.isfinite(tensor).all()] == []
