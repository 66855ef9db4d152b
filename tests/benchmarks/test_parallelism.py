"""What the benchmark of ranks makes of its timings is right where the truth is known, and ranks stay in step."""

from pathlib import Path

import pytest

from benchmarks import parallelism
from benchmarks.harness import read_results
from benchmarks.parallelism import MIB, SIZES
from lib.parallelism import run_ranks


def test_a_round_takes_as_long_as_its_slowest_rank():
    of_two_ranks = [
        [([1.0, 5.0], [2.0, 2.0]), ([9.0], [8.0])],
        [([3.0, 4.0], [1.0, 7.0]), ([6.0], [8.5])],
    ]
    assert parallelism.slowest(of_two_ranks) == [([3.0, 5.0], [2.0, 7.0]), ([9.0], [8.5])]


def test_the_fit_finds_latency_and_bandwidth_that_made_the_times():
    # On two ranks 2α + nβ, with α = 0.4 ms and β = 0.75 ns; one round of three was disturbed.
    measured = [[seconds, seconds, 9 * seconds] for seconds in (8e-4 + 0.75e-9 * size for size in SIZES)]
    table = parallelism.cost_model("key", "a ring", measured)
    assert "α = 0.40 ms and β = 0.75 ns a byte" in table.title
    assert [row.name for row in table.rows] == ["1 KiB", "64 KiB", "1 MiB", "4 MiB", "16 MiB", "64 MiB"]
    assert [row.ratio for row in table.rows] == pytest.approx([1.0] * 6)


def test_the_target_stands_at_16_mebibytes_and_small_sizes_are_left_to_the_model():
    rows = list(parallelism.ring_rows([([2.0] * 3, [1.0] * 3)] * len(SIZES), {16 * MIB: 1.4}))
    assert [(row.name, row.ratio, row.met) for row in rows] == [
        ("1 MiB", 2.0, None),
        ("4 MiB", 2.0, None),
        ("16 MiB", 2.0, False),
        ("64 MiB", 2.0, None),
    ]


def test_both_sides_run_equally_often_in_turn_on_every_rank():
    def count():
        calls = []
        times = parallelism.alternate(lambda: calls.append("ours"), lambda: calls.append("theirs"), 4, repeats=2)
        return calls, [len(side) for side in times]

    for calls, lengths in run_ranks(count, 2):
        ours, theirs = ["ours"] * 2, ["theirs"] * 2
        # The first pair warms up; then each side is first in every other round.
        assert calls == theirs + ours + ours + theirs + theirs + ours + ours + theirs + theirs + ours
        assert lengths == [4, 4]


def test_the_steps_that_are_compared_give_the_same_parameters(monkeypatch):
    monkeypatch.setattr(parallelism, "MODELS", [("small", parallelism.digit_cnn, 2)])
    answers = run_ranks(parallelism.time_steps, 2, 3)  # asserts bitwise equality inside
    assert all(seconds > 0 for times in answers for side in times[0] for seconds in side)


def test_the_capacity_probe_leaves_one_rank_idle_on_the_reference_side():
    answers = run_ranks(parallelism.time_capacity, 2, 3)
    (_, working), (_, idle) = (times[0] for times in answers)
    assert max(idle) < min(working) / 10


def test_what_the_page_says_of_ranks_is_so():
    results = read_results(Path(__file__).resolve().parents[2] / "benchmarks" / "results.json")
    ratios = {table.key: {row.name: row.ratio for row in table.rows} for table in results["parallelism"].tables}
    times = {table.key: {row.name: row.ours for row in table.rows} for table in results["parallelism"].tables}
    assert ratios["launch"]["every further launch"] < 0.1
    # A copy costs gloo what it saves when it may overwrite.
    assert all(ratios["ring-in-place"][size] > ratios["ring"][size] for size in ("16 MiB", "64 MiB"))
    for model in ("ring-model", "gloo-model"):
        # 64 times the bytes, at both ends.
        assert times[model]["64 KiB"] < 8 * times[model]["1 KiB"]
        assert times[model]["64 MiB"] > 16 * times[model]["1 MiB"]
