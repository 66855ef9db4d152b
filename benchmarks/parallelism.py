"""Ranks beside what torch offers for the same: launching them, adding up on all of them, training on two of them.

The two sides of a comparison run in the same processes, in turn, with a barrier before each timing; a round takes as
long as its slowest rank. Every rank has one thread.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from lib.architectures import digit_cnn
from lib.core.sampling import seeded
from lib.parallelism import ring_all_reduce, ring_all_reduce_cost, run_ranks
from lib.parallelism.bucketed_data_parallel import BucketedDataParallel

from .harness import Row, Table, from_times

RANKS = 2
KIB, MIB = 2**10, 2**20
# The small ones tell the cost of a message from that of a byte; ours and gloo's are compared from 1 MiB on.
SIZES = [KIB, 64 * KIB, MIB, 4 * MIB, 16 * MIB, 64 * MIB]

# One comparison: the seconds of ours and of the reference in each round.
Times = tuple[list[float], list[float]]


def tables(rounds: int) -> list[Table]:
    """The machine first, then launching, the ring and its cost model, and one step of data-parallel training."""
    ring, in_place = (slowest(run_ranks(_time_rings, RANKS, rounds, copy, timeout=300)) for copy in (True, False))
    return [
        _table("capacity", "Two ranks computing at once, against one while the other waits", _capacity(rounds)),
        _table("launch", "run_ranks with 2 ranks, against torch.multiprocessing.spawn", _launch(rounds)),
        _table(
            "ring",
            "ring_all_reduce on 2 ranks, against torch.distributed.all_reduce of a copy (gloo)",
            ring_rows(ring, {16 * MIB: 1.4}),
        ),
        _table("ring-in-place", "The same, against gloo overwriting its input", ring_rows(in_place, {})),
        cost_model("ring-model", "ring_all_reduce", [ours for ours, _ in ring]),
        cost_model("gloo-model", "gloo's all_reduce in place", [reference for _, reference in in_place]),
        _table(
            "data-parallel",
            "One training step on 2 ranks with BucketedDataParallel, against DistributedDataParallel",
            _data_parallel(rounds),
        ),
    ]


def _table(key: str, title: str, rows: Iterator[Row]) -> Table:
    return Table(key, title, tuple(rows))


def alternate(ours: Callable[[], object], reference: Callable[[], object], rounds: int, repeats: int = 1) -> Times:
    """Inside a rank: seconds a call of both sides. The number of calls is fixed, so that ranks stay in step."""
    times: Times = ([], [])
    for turn in range(-1, rounds):  # round −1 warms up
        for side in (0, 1) if turn % 2 == 0 else (1, 0):
            dist.barrier()
            start = time.perf_counter()
            for _ in range(repeats):
                (ours, reference)[side]()
            times[side].append((time.perf_counter() - start) / repeats)
    return times[0][1:], times[1][1:]


def slowest(answers: Sequence[Sequence[Times]]) -> list[Times]:
    """For each comparison that the ranks made: the seconds of the slowest rank in each round."""
    return [
        tuple([max(seconds) for seconds in zip(*side, strict=True)] for side in zip(*case, strict=True))
        for case in zip(*answers, strict=True)
    ]


def _capacity(rounds: int) -> Iterator[Row]:
    for times in slowest(run_ranks(time_capacity, RANKS, rounds, timeout=300)):
        yield from_times("32 products of 512×512 matrices each", *times)


def time_capacity(rounds: int) -> list[Times]:
    matrix = torch.randn(512, 512, generator=seeded(0))

    def together():
        for _ in range(32):
            matrix @ matrix

    return [alternate(together, together if dist.get_rank() == 0 else int, rounds)]


def _launch(rounds: int) -> Iterator[Row]:
    # A fork server stays with its process, so every first launch needs a new one.
    command = [sys.executable, "-c", _LAUNCH]
    measured = [
        json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        for _ in range(max(3, rounds // 5))
    ]
    first, further, spawned = zip(*measured, strict=True)
    yield from_times("first launch in a process", first, spawned)
    yield from_times("every further launch", further, spawned)


_LAUNCH = """
import json, statistics, time
import torch.distributed as dist
from benchmarks.spawn import spawn
from lib.parallelism import run_ranks

def seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start

first, *further = [seconds(run_ranks, dist.get_rank, 2) for _ in range(8)]
print(json.dumps([first, statistics.median(further), seconds(spawn, 2)]))
"""


def _time_rings(rounds: int, copy: bool) -> list[Times]:
    measured = []
    for size in SIZES:
        x = torch.randn(size // 4, generator=seeded(dist.get_rank()))
        buffer = x.clone()
        dist.all_reduce(buffer)
        # Two ranks add two numbers: there is only one right answer.
        assert torch.equal(ring_all_reduce(x), buffer)
        buffer.zero_()  # in place it is added up again and again, and must stay finite

        def engine(x=x, buffer=buffer):
            dist.all_reduce(x.clone() if copy else buffer)

        measured.append(alternate(partial(ring_all_reduce, x), engine, rounds, repeats=max(1, min(20, MIB // size))))
    return measured


def ring_rows(measured: Sequence[Times], targets: Mapping[int, float]) -> Iterator[Row]:
    for size, times in zip(SIZES, measured, strict=True):
        if size >= MIB:
            yield from_times(_size(size), *times, target=targets.get(size))


def cost_model(key: str, name: str, measured: Sequence[Sequence[float]]) -> Table:
    """Fit latency and time a byte to the medians of all sizes, each size counting alike, and compare."""
    medians = np.array([np.median(rounds) for rounds in measured])
    # The cost is linear in the two, so what it is for one of them alone is that one's column.
    costs = [
        [ring_all_reduce_cost(size, RANKS, latency=alpha, seconds_per_byte=1 - alpha) for alpha in (1, 0)]
        for size in SIZES
    ]
    (alpha, beta), *_ = np.linalg.lstsq(np.array(costs) / medians[:, None], np.ones(len(SIZES)))
    predicted = [ring_all_reduce_cost(size, RANKS, latency=alpha, seconds_per_byte=beta) for size in SIZES]
    return Table(
        key,
        f"{name} on 2 ranks, against 2α + nβ with α = {alpha * 1e3:.2f} ms and β = {beta * 1e9:.2f} ns a byte",
        tuple(
            from_times(_size(size), rounds, [seconds] * len(rounds))
            for size, rounds, seconds in zip(SIZES, measured, predicted, strict=True)
        ),
    )


def _size(size: int) -> str:
    return f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB"


def _data_parallel(rounds: int) -> Iterator[Row]:
    for (name, *_), times in zip(MODELS, slowest(run_ranks(time_steps, RANKS, rounds, timeout=300)), strict=True):
        yield from_times(name, *times, target=1.15)


def _wide_network() -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10)
    )


MODELS = [
    ("digit_cnn, 32 images a rank", digit_cnn, 32),
    ("dense, 1.9 million parameters, 64 images a rank", _wide_network, 64),
]


def time_steps(rounds: int) -> list[Times]:
    measured = []
    for _, make, images in MODELS:
        generator = seeded(dist.get_rank())
        x = torch.randn(images, 1, 28, 28, generator=generator)
        labels = torch.randint(10, (images,), generator=generator)
        torch.manual_seed(0)
        model = make()
        again = make()
        again.load_state_dict(model.state_dict())
        steps = [_step(BucketedDataParallel(model), x, labels), _step(DistributedDataParallel(again), x, labels)]
        measured.append(alternate(*steps, rounds, repeats=4))
        # As many steps on either side, so the networks must have stayed the same to the last bit.
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    return measured


def _step(model: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> Callable[[], None]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()

    return step
