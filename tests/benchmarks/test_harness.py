"""The harness finds a ratio that is known beforehand, and what it writes it can read."""

import gc
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from benchmarks import harness
from benchmarks.__main__ import SUITES
from benchmarks.harness import Row, Suite, Table, compare, format_table, geometric_mean, read_results, write_results

REPOSITORY = Path(__file__).resolve().parents[2]
MEASURED = {"processor": "Abacus", "threads": "1", "date": "2026-11-22"}


def test_a_function_that_does_three_times_the_work_takes_three_times_as_long():
    def work():
        torch.arange(20_000.0).sin()

    def thrice():
        for _ in range(3):
            work()

    row = compare("thrice", thrice, work, rounds=9, seconds=0.005)
    # Processor-bound and interleaved: a busy neighbour slows both. The bounds allow for one that does not.
    assert 2 < row.ratio < 4.5
    assert row.quartiles[0] <= row.ratio <= row.quartiles[1]
    assert row.ours > row.reference > 0


def test_the_median_ignores_a_round_that_a_neighbour_spoilt(monkeypatch):
    # A clock that runs by itself: each call of ours takes 2 s and of the reference 1 s, but one takes 100.
    clock, calls = [0.0], []
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def ours():
        calls.append("ours")
        clock[0] += 100 if len(calls) == 9 else 2

    def reference():
        calls.append("reference")
        clock[0] += 1

    row = compare("spoilt", ours, reference, rounds=7, target=2.0)
    assert row == Row("spoilt", ratio=2.0, ours=2.0, reference=1.0, quartiles=(2.0, 2.0), target=2.0)
    # Two calls each to warm up and to count; then turn by turn, each side first in every other round.
    assert calls[4:12] == ["ours", "reference", "reference", "ours"] * 2


def test_garbage_collection_is_as_before_also_after_an_error():
    assert gc.isenabled()
    compare("nothing", lambda: None, lambda: None, rounds=3, seconds=1e-6)
    assert gc.isenabled()
    rounds = iter(range(5))
    with pytest.raises(StopIteration):
        compare("fails", lambda: next(rounds), lambda: None, rounds=9, seconds=1e-9)
    assert gc.isenabled()


def test_too_few_rounds_are_refused():
    with pytest.raises(ValueError, match="rounds must be at least 3, got 2"):
        compare("hasty", lambda: None, lambda: None, rounds=2)


def test_twice_as_fast_and_twice_as_slow_cancel():
    mean = geometric_mean([Row("fast", 0.5), Row("slow", 2.0)], target=0.9)
    assert mean.ratio == pytest.approx(1.0)
    assert mean.met is False
    assert (mean.ours, mean.reference, mean.quartiles) == (None, None, None)


@pytest.mark.parametrize(("ratio", "target", "met"), [(1.5, 1.5, True), (1.51, 1.5, False), (9.0, None, None)])
def test_a_target_is_met_up_to_the_target_itself(ratio, target, met):
    assert Row("row", ratio, target=target).met is met


def test_results_come_back_as_they_were_written_and_other_suites_stay(tmp_path):
    path = tmp_path / "results.json"
    rows = (Row("a", 1.25, 2e-3, 1.6e-3, (1.2, 1.3), 2.0, (0.01, 0.02)), Row("geometric mean", 3.0, target=2.0))
    first = Suite(MEASURED, (Table("key", "Title", rows), Table("other", "Without a target", (Row("b", 0.5),))))
    second = Suite({**MEASURED, "threads": "2"}, ())
    write_results(path, {"first": first})
    write_results(path, {"second": second})
    assert read_results(path) == {"first": first, "second": second}
    stored = json.loads(path.read_text(encoding="utf-8"))["first"]["tables"]
    assert [row["met"] for table in stored for row in table["rows"]] == [True, False, None]


def test_a_table_for_the_terminal_shows_ratio_spread_and_verdict():
    rows = (Row("a", 1.25, 2e-3, 1.6e-3, (1.2, 1.3), 2.0), Row("geometric mean", 3.0, target=2.0))
    title, _, first, mean = format_table(Table("key", "Title", rows)).splitlines()
    assert title == "Title"
    assert first.split() == ["a", "2.000", "ms", "1.600", "ms", "1.25", "1.20–1.30", "≤", "2.00", "met"]
    assert mean.split() == ["geometric", "mean", "3.00", "≤", "2.00", "MISSED"]


def test_errors_are_kept_beside_the_times_and_shown():
    row = compare("approximation", lambda: None, lambda: None, rounds=3, seconds=1e-6, errors=(0.012, 0.45))
    assert row.errors == (0.012, 0.45)
    assert format_table(Table("key", "Title", (row,))).endswith("error 1.2e-02, reference 4.5e-01")


def test_the_machine_is_described_in_words():
    measured = harness.measured_now()
    assert measured["threads"] == str(torch.get_num_threads())
    assert measured["torch"] == torch.__version__
    assert all(value and isinstance(value, str) for value in measured.values())


def test_the_stored_results_hold_every_suite_and_every_row_has_a_spread():
    results = read_results(REPOSITORY / "benchmarks" / "results.json")
    assert set(results) == set(SUITES)
    for suite in results.values():
        assert suite.measured["threads"] == "1"
        for table in suite.tables:
            assert all(row.quartiles for row in table.rows if row.name != "geometric mean")


def test_an_unknown_suite_is_refused_by_name():
    command = [sys.executable, "-m", "benchmarks", "poling"]
    finished = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert f"suites must be among {', '.join(SUITES)}, got poling" in finished.stderr
