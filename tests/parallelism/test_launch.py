"""Ranks are real processes: their answers, their failures, and what is left of them."""

import multiprocessing
import os
import signal
import threading
import time

import pytest
import torch
import torch.distributed as dist

from lib.parallelism import run_ranks


def sum_of_ranks(offset):
    total = torch.tensor([float(dist.get_rank() + offset)])
    dist.all_reduce(total)
    return dist.get_rank(), total.item(), os.getpid(), torch.get_num_threads()


def raise_on_rank_one_while_others_wait():
    if dist.get_rank() == 1:
        raise KeyError("the cupboard is bare")
    dist.barrier()


def kill_rank_one_while_others_wait():
    if dist.get_rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    dist.barrier()


def hang_on_rank_one():
    if dist.get_rank() == 1:
        time.sleep(60)
    return dist.get_rank()


def unpicklable_result():
    return threading.Lock()


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_ranks_are_processes_that_meet_in_an_all_reduce(world_size):
    answers = run_ranks(sum_of_ranks, world_size, 10)
    assert [rank for rank, *_ in answers] == list(range(world_size))
    expected = sum(rank + 10 for rank in range(world_size))
    assert all(total == expected for _, total, _, _ in answers)
    assert len({pid for _, _, pid, _ in answers} | {os.getpid()}) == world_size + 1
    assert {threads for *_, threads in answers} == {1}


def test_a_function_that_no_module_holds_is_sent_along():
    scale = 3
    assert run_ranks(lambda: dist.get_rank() * scale, 2) == [0, 3]


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (raise_on_rank_one_while_others_wait, "rank 1 of 3 raised:(.|\n)*the cupboard is bare"),
        (kill_rank_one_while_others_wait, "rank 1 of 3 was killed by SIGKILL"),
        (unpicklable_result, "(.|\n)*result of fn must be picklable, got lock"),
    ],
)
def test_a_failing_rank_ends_the_run_at_once_and_is_named(fn, message):
    run_ranks(sum_of_ranks, 2, 0)  # the first launch also starts the fork server
    started = time.monotonic()
    with pytest.raises(RuntimeError, match=message):
        run_ranks(fn, 3, timeout=60)
    assert time.monotonic() - started < 5
    assert multiprocessing.active_children() == []
    assert run_ranks(sum_of_ranks, 2, 0)[1][1] == 1.0


def test_a_hanging_rank_ends_the_run_at_the_timeout_and_is_named():
    started = time.monotonic()
    with pytest.raises(RuntimeError, match="rank 1 of 2 did not finish within 3 s"):
        run_ranks(hang_on_rank_one, 2, timeout=3)
    assert time.monotonic() - started < 8
    assert multiprocessing.active_children() == []


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((len, 0), {}, ValueError, "world_size must be at least 1, got 0"),
        ((len, -2), {}, ValueError, "world_size must be at least 1, got -2"),
        ((len, 65), {}, ValueError, "world_size must be at most 64, got 65"),
        ((len, True), {}, TypeError, "world_size must be an int, got bool"),
        (("len", 2), {}, TypeError, "fn must be callable, got str"),
        ((len, 2, threading.Lock()), {}, TypeError, "must be picklable"),
        ((len, 2), {"timeout": 0}, ValueError, "timeout must be positive, got 0 s"),
        ((len, 2), {"backend": "pigeon"}, ValueError, "backend must be available .* got 'pigeon'"),
    ],
)
def test_bad_input_is_refused_before_any_process_starts(arguments, options, error, message):
    with pytest.raises(error, match=message):
        run_ranks(*arguments, **options)
    assert multiprocessing.active_children() == []
