"""Start a function on several real processes that can talk to each other, and bring its answers back."""

import math
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

import cloudpickle
import torch
import torch.multiprocessing as mp

from lib.core.validation import check_positive_int

from .rank import Seat, already_launched, run_here, run_rank, stack_file

__all__ = ["run_ranks"]

# Above this a slip of the keyboard is likelier than a plan: every rank is a process of this machine.
MAX_RANKS = 64
# A rank may raise because its neighbour died. Wait a moment for the news of the death.
_GRACE_S = 0.3
# For leaving after all is said.
_FAREWELL_S = 5.0
# Two threads may launch at the same time, but start their processes one after the other.
_STARTING = threading.Lock()


@dataclass
class _Rank:
    process: BaseProcess
    connection: Connection


@dataclass(frozen=True)
class _Failure:
    rank: int
    message: str
    moment: float
    died: bool


def run_ranks(fn: Callable, world_size: int, *args: Any, timeout: float = 60.0, backend: str | None = None) -> list:
    """Call ``fn(*args)`` in ``world_size`` processes that form one process group; answers in rank order.

    Inside ``fn``, ``torch.distributed`` tells the rank and carries the messages; each rank computes with one thread.
    Functions defined in a notebook cell work. The backend is gloo, or NCCL, with gloo for CPU tensors, where each rank
    has a CUDA device, which it finds selected. ``timeout`` counts seconds from when all are started. Where ``torchrun``
    started the processes, on one node or several, each calls ``fn`` as the rank that it is and gets the whole list.

    Raises:
        TypeError: ``fn`` is not callable; ``fn`` or ``args`` cannot be pickled; an argument of the wrong type.
        ValueError: a world size outside 1…64 or other than torchrun's; a timeout that is not positive and finite; an
            unknown backend, or NCCL without a device for each rank.
        RuntimeError: a rank raised (its traceback is quoted), died (its signal is named), was late (the place where
            it stood is shown) or gave an answer that cannot be pickled. All ranks have then been ended.
    """
    _check(fn, world_size, timeout, backend)
    if already_launched():
        return run_here(fn, args, world_size, timeout, backend)
    if world_size > MAX_RANKS:
        raise ValueError(
            f"world_size must be at most {MAX_RANKS}, got {world_size}: every rank is a process of this machine"
        )
    if backend == "nccl" and torch.cuda.device_count() < world_size:
        raise ValueError(
            f"backend 'nccl' needs a CUDA device for each of {world_size} ranks, got {torch.cuda.device_count()}"
        )
    try:
        job = cloudpickle.dumps((fn, args))
    except Exception as error:
        raise TypeError(f"fn and its arguments must be picklable to reach another process: {error}") from error
    with tempfile.TemporaryDirectory() as folder:
        ranks: list[_Rank] = []
        try:
            for rank in range(world_size):
                _start(ranks, Seat(rank, world_size, folder, backend, float(timeout), dict(os.environ)), job)
            answers = _collect(ranks, folder, timeout)
            _let_go(ranks)
        finally:
            _end(ranks)
    return [_unpickled(answer, rank, world_size) for rank, answer in enumerate(answers)]


def _check(fn: Callable, world_size: int, timeout: float, backend: str | None) -> None:
    if not callable(fn):
        raise TypeError(f"fn must be callable, got {type(fn).__name__} {fn!r}")
    check_positive_int("world_size", world_size)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"timeout must be a number of seconds, got {type(timeout).__name__} {timeout!r}")
    if not 0 < timeout < math.inf:
        raise ValueError(f"timeout must be positive and finite, got {timeout} s")
    if backend not in (None, "gloo", "nccl"):
        raise ValueError(f"backend must be 'gloo', 'nccl' or None, got {backend!r}")


def _start(ranks: list[_Rank], seat: Seat, job: bytes) -> None:
    # A fork server that has torch loaded starts a rank in a twentieth of a second. A plain fork would be
    # as quick, but hangs when the caller has used several threads; spawn loads torch anew each time.
    context = mp.get_context("forkserver")
    # The first optimizer of a process imports torch._dynamo, which takes longer than all the rest.
    context.set_forkserver_preload(["torch", "torch.distributed", "torch._dynamo", "lib.parallelism"])
    here, there = context.Pipe()
    process = context.Process(target=run_rank, args=(seat, job, there), name=f"rank {seat.rank}")
    ranks.append(_Rank(process, here))
    with _no_main_module(), there:
        process.start()


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Keep a rank from running the caller's script anew. What it needs of the script is pickled by value."""
    with _STARTING:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


def _collect(ranks: list[_Rank], folder: str, timeout: float) -> list[bytes]:
    """Wait for every rank's answer, or for the first failure."""
    deadline = time.monotonic() + timeout
    waiting = dict(enumerate(ranks))
    answers: dict[int, bytes] = {}
    failures: list[_Failure] = []
    while waiting:
        signs = [sign for rank in waiting.values() for sign in (rank.connection, rank.process.sentinel)]
        ready = wait(signs, timeout=max(0.0, deadline - time.monotonic()))
        for number, rank in list(waiting.items()):
            if rank.connection in ready or rank.process.sentinel in ready:
                del waiting[number]
                outcome = _receive(number, rank)
                if isinstance(outcome, _Failure):
                    failures.append(outcome)
                else:
                    answers[number] = outcome
        if any(failure.died for failure in failures) or not ready:
            break
        if failures:
            deadline = min(deadline, time.monotonic() + _GRACE_S, failures[0].moment + _GRACE_S)
    if failures:
        # A death counts before the complaints that it caused.
        first = min(failures, key=lambda failure: (not failure.died, failure.moment))
        raise RuntimeError(f"rank {first.rank} of {len(ranks)} {first.message}")
    if waiting:
        late = ", ".join(str(number) for number in waiting)
        stood = "".join(_where(number, rank, folder) for number, rank in waiting.items())
        raise RuntimeError(f"rank {late} of {len(ranks)} did not finish within {timeout:g} s and was ended{stood}")
    return [answers[number] for number in range(len(ranks))]


def _receive(number: int, rank: _Rank) -> bytes | _Failure:
    try:
        # The process may have answered and then died: what it said still counts.
        if not rank.connection.poll():
            raise EOFError
        succeeded, moment = rank.connection.recv()
        answer = rank.connection.recv_bytes()
    except (EOFError, OSError):
        rank.process.join(_GRACE_S)
        return _Failure(number, _ending(rank.process.exitcode), time.monotonic(), died=True)
    return answer if succeeded else _Failure(number, f"raised:\n{answer.decode()}", moment, died=False)


def _ending(exitcode: int | None) -> str:
    if exitcode is None:
        return "cut the connection to its caller before it could answer"
    if exitcode < 0:
        known = {number.value: number.name for number in signal.Signals}
        return f"was killed by {known.get(-exitcode, f'signal {-exitcode}')} before it could answer"
    return f"left with exit code {exitcode} before it could answer"


def _where(number: int, rank: _Rank, folder: str) -> str:
    """The lines of code in which a rank stands right now, innermost first."""
    stack = stack_file(folder, number)
    with suppress(ProcessLookupError):
        os.kill(rank.process.pid, signal.SIGUSR1)
    patience = time.monotonic() + _GRACE_S
    while not (stack.exists() and stack.stat().st_size) and time.monotonic() < patience:
        time.sleep(0.01)
    lines = stack.read_text().splitlines()[1:] if stack.exists() else []
    inner = [line for line in lines if "in run_rank" not in line][:6]
    return f"\nrank {number} stood in:\n" + "\n".join(inner) if inner else ""


def _unpickled(answer: bytes, rank: int, world_size: int) -> Any:
    try:
        return cloudpickle.loads(answer)
    except Exception as error:
        raise RuntimeError(
            f"rank {rank} of {world_size} gave an answer that cannot be unpickled by its caller: {error!r}"
        ) from error


def _let_go(ranks: list[_Rank]) -> None:
    """Tell the ranks that all have answered, and see them off."""
    deadline = time.monotonic() + _FAREWELL_S
    for rank in ranks:
        rank.connection.close()
    for rank in ranks:
        rank.process.join(max(0.0, deadline - time.monotonic()))


def _end(ranks: list[_Rank]) -> None:
    """End every rank that is still there, with whatever it has started."""
    for rank in ranks:
        rank.connection.close()
        if rank.process.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(rank.process.pid, signal.SIGKILL)
            rank.process.kill()
    for rank in ranks:
        if rank.process.pid is not None:
            rank.process.join()
        rank.process.close()
