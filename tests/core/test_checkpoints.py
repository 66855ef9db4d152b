"""A checkpoint is what its maker returned when it was stored, and nothing half-written ever takes its place."""

import pytest
import torch

from lib.core import checkpoint, checkpoints
from lib.core.checkpoints import LARGEST, REMAKE


@pytest.fixture
def remake(monkeypatch):
    monkeypatch.setenv(REMAKE, "1")


def never():
    raise AssertionError("the file is there: nothing is to be made")


def test_what_was_stored_is_read_and_not_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv(REMAKE, "1")
    made = {"weight": torch.randn(3, 4, requires_grad=True), "steps": torch.tensor(7)}
    assert checkpoint("net", lambda: made, folder=tmp_path)["steps"] == 7
    monkeypatch.delenv(REMAKE)
    again = checkpoint("net", never, folder=tmp_path)
    assert list(again) == ["weight", "steps"]
    assert again["weight"].equal(made["weight"])
    assert not again["weight"].requires_grad
    assert [path.name for path in tmp_path.iterdir()] == ["net.pt"]


def test_without_a_file_it_is_made_and_said_and_nothing_is_stored(tmp_path, capsys):
    assert checkpoint("net", lambda: {"x": torch.ones(2)}, folder=tmp_path / "none")["x"].sum() == 2
    assert list(tmp_path.iterdir()) == []
    told = capsys.readouterr()
    assert (told.out, told.err.startswith("net is made anew, which may take minutes: ")) == ("", True)


@pytest.mark.usefixtures("remake")
def test_a_remake_replaces_the_file(tmp_path):
    checkpoint("net", lambda: {"x": torch.zeros(1)}, folder=tmp_path)
    assert checkpoint("net", lambda: {"x": torch.ones(1)}, folder=tmp_path)["x"] == 1


def test_one_of_several_is_made_anew(tmp_path, monkeypatch):
    for name in ("a", "b", "ab"):
        torch.save({"x": torch.zeros(1)}, tmp_path / f"{name}.pt")
    monkeypatch.setenv(REMAKE, "a,c")
    made = {
        name: checkpoint(name, lambda: {"x": torch.ones(1)}, folder=tmp_path)["x"].item()
        for name in ("a", "b", "ab", "c")
    }
    assert made == {"a": 1, "b": 0, "ab": 0, "c": 1}


@pytest.mark.usefixtures("remake")
def test_a_file_of_the_largest_size_is_kept_and_one_byte_more_is_not(tmp_path, monkeypatch):
    checkpoint("net", lambda: {"x": torch.zeros(1)}, folder=tmp_path)
    size = (tmp_path / "net.pt").stat().st_size
    monkeypatch.setattr(checkpoints, "LARGEST", size)
    assert checkpoint("net", lambda: {"x": torch.ones(1)}, folder=tmp_path)["x"] == 1
    monkeypatch.setattr(checkpoints, "LARGEST", size - 1)
    with pytest.raises(ValueError, match=r"net\.pt must take at most"):
        checkpoint("net", lambda: {"x": torch.ones(1)}, folder=tmp_path)


@pytest.mark.usefixtures("remake")
@pytest.mark.parametrize(
    ("make", "error", "told"),
    [
        (lambda: {"x": torch.zeros(LARGEST // 4)}, ValueError, "must take at most 2048 KB, got 20"),
        (lambda: [torch.zeros(1)], TypeError, "make must return a dict of tensors by name, got list"),
        (lambda: {"x": 3.0}, TypeError, "make must return a dict of tensors by name, got dict"),
    ],
    ids=["too large", "list", "number"],
)
def test_what_cannot_be_stored_leaves_the_file_as_it_was(tmp_path, make, error, told):
    checkpoint("net", lambda: {"x": torch.zeros(1)}, folder=tmp_path)
    before = (tmp_path / "net.pt").read_bytes()
    with pytest.raises(error, match=told):
        checkpoint("net", make, folder=tmp_path)
    assert (tmp_path / "net.pt").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 cut off"], ids=["empty", "text", "truncated"])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "net.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"net\.pt must hold tensors by name"):
        checkpoint("net", never, folder=tmp_path)


def test_a_file_that_would_run_code_is_refused(tmp_path, capsys):
    class Intruder:
        def __reduce__(self):
            return print, ("run while loading",)

    torch.save({"x": Intruder()}, tmp_path / "net.pt")
    with pytest.raises(ValueError, match=r"net\.pt must hold tensors by name"):
        checkpoint("net", never, folder=tmp_path)
    assert capsys.readouterr().out == ""
