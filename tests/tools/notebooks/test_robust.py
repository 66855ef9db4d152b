"""A profile that changes a number, a word, a picture or a margin is named, the least safe comparison first."""

import re

import pytest

from tools.notebooks.margins import _Recorder
from tools.notebooks.robust import PROFILES, Margin, margins, report, robust


def told(cell: int, *texts: str, picture: float = 0.0, **compared: float) -> dict:
    margins = [{"text": text, "margin": margin} for text, margin in compared.items()]
    return {"cell": cell, "texts": list(texts), "picture": picture, "margins": margins}


def test_what_parts_is_named_with_its_spread():
    runs = {
        "here": [told(0, "same"), told(1, "right in 70 % of 1,000\n"), told(2, "yes"), told(3), told(4, "-0.5")],
        "there": [told(0, "same"), told(1, "right in 71.5 % of 1,000\n"), told(2, "no"), told(3, picture=0.09), told(4, "−0.25")],
    }  # fmt: skip
    assert list(report("chapter", runs))[:5] == [
        "chapter: 5 code cells, counted from 0; 1 show the same under every profile",
        "  cell 1: 70 … 71.5 (spread 1.5)",
        "  cell 2: other words",
        "  cell 3: picture changed by up to 9%",
        "  cell 4: -0.5 … −0.25 (spread 0.25)",
    ]


def test_the_least_safe_comparison_comes_first():
    runs = {"here": [told(0, wide=10.0, narrow=0.2, still=0.1)], "there": [told(0, wide=9.0, narrow=0.1, still=0.1)]}
    assert sorted(margins(runs), key=lambda margin: margin.safety) == [
        Margin(0, "narrow", 0.1, pytest.approx(0.1)),
        Margin(0, "wide", 9.0, 1.0),
        Margin(0, "still", 0.1, 0.0),
    ]
    lines = list(report("chapter", runs))
    assert lines[2:] == [
        "    cell 0: 0.1, 0.1  narrow",
        "    cell 0: 9, 1  wide",
        "  1 of 3 comparisons have the same margin under every profile",
    ]


def test_of_a_repeated_comparison_the_least_safe_one_counts():
    twice = [{"text": "a < b", "margin": margin} for margin in (5.0, 1.0)]
    here, there = told(0), told(0)
    here["margins"], there["margins"] = twice, [{**twice[0], "margin": 5.0}, {**twice[1], "margin": 1.5}]
    assert margins({"here": [here], "there": [there]}) == [Margin(0, "a < b", 1.0, 0.5)]


def test_a_profile_that_stopped_early_is_reported_as_far_as_it_came():
    runs = {"here": [told(0, "1"), told(1, "2")], "there": [told(0, "1")]}
    assert next(report("chapter", runs)) == "chapter: 2 code cells, counted from 0; 2 show the same under every profile"


class WithGraph:
    """As a tensor that needs a gradient: PyTorch warns, on the cell's stderr, when a number is taken from it."""

    def __lt__(self, other):
        return True

    def __rsub__(self, other):
        return self

    def __float__(self):
        raise AssertionError("taken with its graph")

    def detach(self):
        return 2.0


def test_a_margin_is_taken_without_the_graph_of_its_tensors():
    recorder = _Recorder()
    assert recorder.compared("loss < 3", ("Lt",), WithGraph, lambda: 3.0)
    assert recorder.seen == [{"text": "loss < 3", "margin": 2.0}]


def test_there_are_five_profiles_and_no_two_are_the_same():
    assert len({tuple(sorted(profile.items())) for profile in PROFILES.values()}) == len(PROFILES) == 5


def test_robust_runs_every_profile_and_tells_which_one_failed(notebook_file, capsys):
    path = notebook_file(
        "import os",
        "n = int(os.environ['OMP_NUM_THREADS'])\nprint(f'{n} threads')",
        "x, y = 0.5 * n, [3]\nassert x < 2 and max(y) > 1 and all(z >= n - 3 for z in (0, n))\nassert 0 < n < 4 and (q := n) < 9",
        "assert os.environ['OMP_NUM_THREADS'] != '3', 'the third'",
    )  # fmt: skip
    profiles = {f"{n} threads": {"OMP_NUM_THREADS": str(n)} for n in (1, 3)}
    assert not robust([path], 1, profiles)
    shown = capsys.readouterr().out
    assert re.search(r"== 1 threads\npassed\n== 3 threads\nfailed\n", shown)
    assert "  cell 1: 1 … 3 (spread 2)\n" in shown
    assert "    cell 2: 0.5, 1  x < 2\n" in shown
    assert "    cell 2: 1, 2  0 < n < 4\n" in shown  # of its two comparisons the nearer one
    assert "    cell 2: 0, 2  z >= n - 3\n" in shown
    assert "1 of 4 comparisons have the same margin" in shown
    assert "== 3 threads failed" in shown
    assert "the third" in shown
