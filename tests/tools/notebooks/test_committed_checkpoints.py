"""Each stored network is read by a chapter, loads as plain tensors, and is small; each one that a chapter reads is stored."""

from pathlib import Path

import pytest
import torch

from lib.core.checkpoints import LARGEST, REMAKE
from tools.notebooks import chapter_paths
from tools.notebooks.__main__ import main
from tools.notebooks.files import ROOT
from tools.notebooks.stores import names_read, stores_of

FOLDER = ROOT / "chapters" / "checkpoints"
STORED = sorted(FOLDER.glob("*"))


def test_calls_are_found():
    assert names_read("%time x\ny = f(lib.core.checkpoint('a', make))['b']\ncheckpoint('c', make)\nother('d')") == {
        "a",
        "c",
    }


def test_what_is_stored_is_what_the_chapters_read():
    assert {path.name for path in STORED} == {f"{name}.pt" for name in stores_of(chapter_paths())}


def test_a_store_that_no_chapter_reads_is_not_made(notebook_file, monkeypatch, capsys):
    path = notebook_file("checkpoint = print", "checkpoint('a')")
    monkeypatch.setenv(REMAKE, "a,b")
    assert main(["execute", str(path)]) == 1
    assert capsys.readouterr().err == "STORE must be among a, got b\n"


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.name)
def test_a_stored_network_is_small_and_holds_nothing_but_finite_tensors(path: Path):
    assert path.stat().st_size <= LARGEST
    table = torch.load(path, weights_only=True)
    assert table
    assert [name for name, tensor in table.items() if not torch.isfinite(tensor).all()] == []
