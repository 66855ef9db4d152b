"""What chapters owe to the rules on visible code only shrinks."""

from itertools import pairwise

import pytest
from history import versions
from nbformat.v4 import new_code_cell, new_notebook

from tools.notebooks import debts
from tools.notebooks.files import ROOT

WIDE = "x = 1  # " + "x" * 70


def grown(lists: list[dict]) -> list[str]:
    """The entries that are new, or higher than in the version before, of rules that had been made by then."""
    found, made = [], set()
    for older, newer in pairwise(lists):
        made |= {rule for owed in older.values() for rule in owed}
        for chapter, owed in newer.items():
            worse = [rule for rule, count in owed.items() if count > older.get(chapter, {}).get(rule, 0)]
            found += [f"{chapter}: {rule}" for rule in worse if rule in made]
    return found


def test_the_list_has_only_ever_shrunk():
    name = debts.DEBTS.relative_to(ROOT).as_posix()
    assert grown([debts.read_debts(text) for text in versions(ROOT, name)]) == []


def test_a_list_that_grew_is_seen():
    first = {"a": {"height": 5}, "b": {"height": 1}}
    assert grown([first, {"a": {"height": 4}}]) == []
    assert grown([first, first | {"c": {"wide lines": 1}}]) == []  # a new rule
    assert grown([first, {"a": {"height": 6}}]) == ["a: height"]
    assert grown([first, {}, first]) == ["a: height", "b: height"]


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


def test_of_many_places_the_first_three_are_named():
    notebook = new_notebook(cells=[new_code_cell(f"{WIDE}\n{WIDE}"), new_code_cell(f"x = 1\n{WIDE}\n{WIDE}")])
    [told] = debts.findings("a", {"wide lines": 4}, {}, debts.places(notebook))
    assert told.endswith(": code cell 1, line 1; code cell 1, line 2; code cell 2, line 2; …")


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
