"""Step times: who is timed when, and what is kept, against a clock that the test sets."""

import time

import pytest
import torch
import torch.distributed as dist

from lib.parallelism import run_ranks, step_seconds


class Clock:
    """Stands still but for what `spend` adds; logs what happens in which order."""

    def __init__(self):
        self.now, self.log = 100.0, []

    def read(self):
        self.log.append("clock")
        return self.now

    def spend(self, name, durations):
        left = iter(durations)

        def step():
            self.log.append(name)
            self.now += next(left)

        return step


def test_each_repeat_keeps_the_fastest_of_its_rounds(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock.read)
    # Powers of two: differences from a start of 100 are exact.
    steps = [clock.spend("a", [0.5, 0.25, 2, 4, 8, 1]), clock.spend("b", [1, 2, 4, 0.125, 0.5, 8])]
    seconds = step_seconds(steps, repeats=2, rounds=3)
    assert torch.equal(seconds, torch.tensor([[0.25, 1.0], [1.0, 0.125]]))
    assert [name for name in clock.log if name != "clock"] == ["a", "b"] * 6  # in turn


def logged():
    """The order of barriers, readings and steps on this rank."""
    clock, barrier = Clock(), dist.barrier

    def noting(group=None):
        clock.log.append("barrier")
        barrier(group)

    time.perf_counter, dist.barrier = clock.read, noting  # in this rank only, which ends right after
    seconds = step_seconds([clock.spend(f"step of rank {dist.get_rank()}", [2, 1])], repeats=1, rounds=2)
    return clock.log, seconds.tolist()


def test_among_ranks_a_step_lasts_from_barrier_to_barrier():
    for rank, (log, seconds) in enumerate(run_ranks(logged, 2)):
        assert log == ["barrier", "clock", f"step of rank {rank}", "barrier", "clock"] * 2
        assert seconds == [[1]]


def timed(counts):
    step_seconds([lambda: None] * counts[dist.get_rank()])


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: step_seconds([]), ValueError, "steps must hold at least one step, got none"),
        (lambda: step_seconds([print], repeats=0), ValueError, "repeats must be at least 1, got 0"),
        (lambda: step_seconds([print], rounds=True), TypeError, "rounds must be an int, got bool"),
        (
            lambda: run_ranks(timed, 2, [2, 3]),
            RuntimeError,
            "got 2 steps, 5 repeats, 1 rounds on rank 0 and 3 steps, 5 repeats, 1 rounds on rank 1",
        ),
    ],
)
def test_refused(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)
