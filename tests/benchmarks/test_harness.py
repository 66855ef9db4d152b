"""The harness finds a ratio that is known beforehand, and what it writes it can read."""

import gc
import inspect
import json
import sys
import time
from pathlib import Path

import pytest
import torch

from benchmarks import harness
from benchmarks.__main__ import SUITES, main, suite
from benchmarks.harness import Row, Suite, Table, compare, format_table, geometric_mean, read_results, write_results

REPOSITORY = Path(__file__).resolve().parents[2]
MEASURED = {"processor": "Abacus", "threads": "1", "date": "2026-11-22"}


@pytest.fixture
def clock(monkeypatch):
    """The processor's clock, which only moves when it is told to: `clock.pass_by(2.0)`."""

    class Clock:
        now = 0.0

        def pass_by(self, seconds):
            self.now += seconds

    made = Clock()
    monkeypatch.setattr(time, "process_time", lambda: made.now)
    return made


def test_a_function_that_takes_three_times_as_long_has_the_ratio_three(clock):
    row = compare("thrice", lambda: clock.pass_by(3), lambda: clock.pass_by(1), rounds=9, seconds=20)
    assert row == Row("thrice", ratio=3.0, ours=3.0, reference=1.0, quartiles=(3.0, 3.0))


def test_on_a_real_clock_the_ratio_lies_between_its_quartiles():
    row = compare("sine", torch.arange(20_000.0).sin, torch.arange(20_000.0).cos, rounds=9, seconds=0.001)
    assert row.quartiles[0] <= row.ratio <= row.quartiles[1]
    assert row.ours > 0
    assert row.reference > 0


def test_a_side_that_only_waits_for_the_core_takes_no_time():
    row = compare("asleep", lambda: time.sleep(0.02), torch.arange(500_000.0).cos, rounds=3, seconds=1e-9)
    assert row.ratio < 1


def test_the_median_ignores_a_round_that_a_neighbour_spoilt(clock):
    calls = []

    def ours():
        calls.append("ours")
        clock.pass_by(100 if len(calls) == 9 else 2)

    def reference():
        calls.append("reference")
        clock.pass_by(1)

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
    assert measured["processor"].endswith(torch.backends.cpu.get_cpu_capability())
    assert all(value and isinstance(value, str) for value in measured.values())


def test_the_stored_results_hold_every_suite_and_every_row_has_a_spread():
    results = read_results(REPOSITORY / "benchmarks" / "results.json")
    assert set(results) == set(SUITES)
    for stored in results.values():
        assert stored.measured["threads"] == "1"
        for table in stored.tables:
            counted = table.key.endswith("memory")  # bytes are the same in every round
            assert all(row.quartiles for row in table.rows if not counted and row.name != "geometric mean")


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_can_be_run(name):
    assert inspect.signature(suite(name)).parameters.keys() == {"rounds"}


def test_an_unknown_suite_is_refused_by_name(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "poling"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert f"suites must be among {', '.join(SUITES)}, got poling" in capsys.readouterr().err
