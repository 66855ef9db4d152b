"""What chapters owe to the rules on visible code only shrinks."""

from itertools import pairwise

import pytest
from history import versions
from nbformat.v4 import new_code_cell, new_notebook

from tools.notebooks import debts
from tools.notebooks.files import ROOT

WIDE = "x = 1  # " + "x" * 70


def grown(older: dict, newer: dict) -> list[str]:
    """The entries that are new, or higher than before."""
    return [
        f"{chapter}: {rule}"
        for chapter, owed in newer.items()
        for rule, count in owed.items()
        if count > older.get(chapter, {}).get(rule, 0)
    ]


def test_the_list_has_only_ever_shrunk():
    lists = [debts.read_debts(text) for text in versions(ROOT, debts.DEBTS.relative_to(ROOT).as_posix())]
    assert [entry for older, newer in pairwise(lists) for entry in grown(older, newer)] == []


def test_a_list_that_grew_is_seen():
    assert grown({"a": {"height": 5}}, {"a": {"height": 5, "wide lines": 1}, "b": {"height": 1}}) == [
        "a: wide lines",
        "b: height",
    ]
    assert grown({"a": {"height": 5}, "b": {"height": 1}}, {"a": {"height": 4}}) == []


def test_only_chapters_of_the_book_owe_anything():
    assert [name for name in debts.read_debts() if not (ROOT / name).is_file()] == []


def test_open_cells_are_measured_and_folded_ones_are_not():
    cells = [
        new_code_cell(f"assert a == 1\n\nassert_close(a, 1)\n{WIDE}"),
        new_code_cell(f"assert a == 1\n{WIDE}", metadata={"tags": ["check"]}),  # a check asserts, and does not count
        *(
            new_code_cell(f"assert a == 1\n{WIDE}", metadata={"tags": [tag]})
            for tag in ("hide-input", "evidence", "solution")
        ),
    ]
    assert debts.measure(new_notebook(cells=cells)) == {"assertions": 2, "visible lines": 3, "wide lines": 2}


@pytest.mark.parametrize(("count", "found"), [(4, []), (5, []), (6, ["6 assertions"])])
def test_a_chapter_may_not_owe_more_than_is_listed(count, found):
    told = debts.findings("a", {"assertions": count}, {"a": {"assertions": 5}})
    assert [line.partition(" in ")[0] for line in told] == found


def test_settling_lowers_and_never_raises(tmp_path, monkeypatch):
    path = tmp_path / "debts.yml"
    path.write_text("# a list\na: {assertions: 5, wide lines: 3}\nb: {wide lines: 2}\nc: {height: 30000}\n")
    monkeypatch.setattr(debts, "DEBTS", path)
    debts.settle({"a": {"assertions": 6, "wide lines": 1}, "b": {"wide lines": 0}, "d": {"assertions": 9}})
    assert debts.read_debts() == {"a": {"assertions": 5, "wide lines": 1}, "c": {"height": 30000}}
    assert path.read_text().startswith("# a list\n")
