"""An assertion that fails stops the book's own kernels, and tells a reader which sentence no longer holds."""

import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from lib.core import evidence
from lib.core.evidence import STRICT
from tools.notebooks.environment import KERNEL_ENVIRONMENT


@pytest.fixture
def at_a_readers(monkeypatch):
    monkeypatch.delenv(STRICT, raising=False)


@pytest.fixture
def in_the_books_kernels(monkeypatch):
    monkeypatch.setenv(STRICT, KERNEL_ENVIRONMENT[STRICT])


def test_what_holds_says_nothing(at_a_readers, capsys):
    with evidence():
        assert 1 + 1 == 2
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("in_the_books_kernels")
def test_in_the_books_kernels_a_failing_assertion_rises():
    with pytest.raises(AssertionError, match="too low"), evidence():
        raise AssertionError("too low")


def test_a_reader_is_told_the_statement_and_goes_on(at_a_readers, capsys):
    accuracy, later = 0.5, []
    with evidence():
        assert 0.4 < accuracy < 0.6
        assert (
            accuracy
            > 0.9
        ), f"right in {accuracy:.0%}"  # fmt: skip
        later.append(accuracy)
    told = capsys.readouterr().out
    assert later == []
    assert "holds for the stored settings; with yours, this does not:\n" in told
    assert '    assert (\n        accuracy\n        > 0.9\n    ), f"right in {accuracy:.0%}"' in told
    assert "\n    right in 50%\n" in told
    assert "0.4" not in told


def test_the_statement_is_the_blocks_own_when_a_helper_fails(at_a_readers, capsys):
    with evidence():
        torch.testing.assert_close(torch.zeros(2), torch.ones(2))
    assert "    torch.testing.assert_close(torch.zeros(2), torch.ones(2))\n" in capsys.readouterr().out


@pytest.mark.parametrize("first_line", ["import lib", "%precision 3"], ids=["plain cell", "cell with a magic"])
def test_the_statement_is_found_in_a_notebook_cell(at_a_readers, capsys, first_line):
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    cell = f"{first_line}\nfrom lib.core import evidence\nwith evidence():\n    assert 1 > 2\nafter = True"
    shell.run_cell(cell)
    assert shell.user_ns["after"]
    assert "does not:\n    assert 1 > 2\n" in capsys.readouterr().out


def test_what_no_longer_fits_is_told_too(at_a_readers, capsys):
    losses, later = torch.ones(10), []
    with evidence():
        assert losses.reshape(2, 3).mean() < 2
        later.append(losses)
    told = capsys.readouterr().out
    assert later == []
    assert "with yours, this cannot be computed:\n    assert losses.reshape(2, 3).mean() < 2\n" in told
    assert "\n    RuntimeError: shape '[2, 3]' is invalid for input of size 10" in told


@pytest.mark.usefixtures("in_the_books_kernels")
@pytest.mark.parametrize("error", [NameError, ValueError])
def test_in_the_books_kernels_every_error_rises(error):
    with pytest.raises(error), evidence():
        raise error


def test_who_stops_the_kernel_stops_it(at_a_readers):
    with pytest.raises(KeyboardInterrupt), evidence():
        raise KeyboardInterrupt


def test_strict_means_one_and_nothing_else(monkeypatch, capsys):
    monkeypatch.setenv(STRICT, "0")
    with evidence():
        raise AssertionError
    assert "raise AssertionError" in capsys.readouterr().out


@pytest.mark.usefixtures("at_a_readers")
@pytest.mark.parametrize("last", ["assert True", "assert False"], ids=["it holds", "it does not"])
def test_the_chapters_names_stand_as_before_and_new_ones_stay(last):
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    shell.run_cell("from lib.core import evidence\ntree, row = 'oak', 0").raise_error()
    block = ["with evidence():", "for row in range(3): new = row", "tree, other = 'elm', tree", "del row", last]
    shell.run_cell("\n    ".join(block)).raise_error()
    assert [shell.user_ns[name] for name in ("tree", "row", "new", "other")] == ["oak", 0, 2, "oak"]
