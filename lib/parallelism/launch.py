"""Start a function on several real processes that can talk to each other, and bring its answers back."""

import pickle
import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from multiprocessing.connection import wait
from typing import Any

import cloudpickle
import torch

from lib.core.validation import check_non_negative_int, check_positive_int

from .agreement import disagreement
from .launched import FAREWELL_S, MAX_RANKS, Launch, LaunchedRank, launched
from .rank import already_launched, run_here

__all__ = ["run_ranks"]

LONGEST_S = 1e6
# What the first launch of a process may take beyond its timeout, to load torch.
_LOADING_S = 60.0
# A rank may raise because its neighbour died. Wait a moment for the news of the death.
_GRACE_S = 0.3
# How often the ranks' notes are read. A disagreement must be there twice.
_GLANCE_S = 0.25


def run_ranks(
    fn: Callable,
    world_size: int,
    *args: Any,
    timeout: float = 60.0,
    backend: str | None = None,
    check: bool = False,
    seed: int | None = None,
) -> list:
    """Call ``fn(*args)`` in ``world_size`` processes that form one process group; answers in rank order.

    Inside ``fn``, ``torch.distributed`` tells the rank and carries the messages; each rank computes with one thread.
    The backend is gloo, or NCCL, with gloo for CPU tensors, where each rank has a CUDA device, which it finds selected.
    ``timeout`` counts from the call; the first one may take a minute more, to load torch. With ``check``, ranks compare
    notes before each collective of this package. Rank r draws its random numbers from seed + r; without a ``seed``,
    one is drawn from torch's default generator. Processes that ``torchrun`` has started become the ranks, and each gets
    the whole list.

    >>> run_ranks(lambda: torch.distributed.get_rank(), 2)
    [0, 1]

    Raises:
        TypeError: ``fn`` is not callable; ``fn`` or ``args`` cannot be pickled; an argument of the wrong type.
        ValueError: a world size outside 1…64 or other than torchrun's; a timeout outside 0…10⁶ s; a negative seed; an
            unknown backend, or NCCL without a device for each rank.
        RuntimeError: a rank raised (its exception is the cause), died (its signal is named), was late (the place where
            it stood is shown), called another collective than the others or gave an answer that cannot be pickled;
            the machine has no room for so many. All ranks have then been ended.
    """
    _check(fn, world_size, timeout, backend, check, seed)
    seed = int(torch.randint(2**62, (), device="cpu")) if seed is None else seed
    if already_launched():
        return run_here(fn, args, world_size, timeout, backend, check, seed)
    _check_room(world_size, backend)
    try:
        job = cloudpickle.dumps((fn, args))
    except Exception as error:
        raise TypeError(f"fn and its arguments must be picklable to reach another process: {error}") from error
    setting = {"world_size": world_size, "backend": backend, "timeout": float(timeout), "check": check, "seed": seed}
    for _ in range(2):
        with suppress(_ServerGoneError):  # it was killed while nobody looked: the second time a new one is loaded
            answers = _launch_and_collect(setting, job, timeout)
            return [_unpickled(answer, rank, world_size) for rank, answer in enumerate(answers)]
    raise RuntimeError("the process that forks the ranks ended twice before it had started them; stderr may say why")


def _check(fn: Callable, world_size: int, timeout: float, backend: str | None, check: bool, seed: int | None) -> None:
    if not callable(fn):
        raise TypeError(f"fn must be callable, got {type(fn).__name__} {fn!r}")
    check_positive_int("world_size", world_size)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"timeout must be a number of seconds, got {type(timeout).__name__} {timeout!r}")
    if not 0 < timeout <= LONGEST_S:
        raise ValueError(f"timeout must be positive and finite, at most {LONGEST_S:g} s, got {timeout} s")
    if backend not in (None, "gloo", "nccl"):
        raise ValueError(f"backend must be 'gloo', 'nccl' or None, got {backend!r}")
    if not isinstance(check, bool):
        raise TypeError(f"check must be a bool, got {type(check).__name__} {check!r}")
    if seed is not None:
        check_non_negative_int("seed", seed)
        if seed >= 2**63:
            raise ValueError(f"seed must be below 2**63, got {seed}")


def _check_room(world_size: int, backend: str | None) -> None:
    if world_size > MAX_RANKS:
        raise ValueError(
            f"world_size must be at most {MAX_RANKS}, got {world_size}: every rank is a process of this machine"
        )
    if backend == "nccl" and torch.cuda.device_count() < world_size:
        raise ValueError(
            f"backend 'nccl' needs a CUDA device for each of {world_size} ranks, got {torch.cuda.device_count()}"
        )
    # Each rank is connected with each other, and its caller with all.
    needed, (limit, _) = 32 + 4 * world_size, resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and needed > limit:
        raise RuntimeError(
            f"{world_size} ranks need up to {needed} open files a process, and `ulimit -n` allows {limit}"
        )


class _ServerGoneError(Exception):
    """The fork server ended before it had started the ranks."""


@dataclass(frozen=True)
class _Failure:
    rank: int
    message: str
    moment: float
    died: bool
    cause: BaseException | None = None


def _launch_and_collect(setting: dict[str, Any], job: bytes, timeout: float) -> list[bytes]:
    with launched(setting, job) as launch:
        answers = _collect(launch, timeout)
        for rank in launch.ranks:  # all have answered: they may leave
            rank.connection.close()
        launch.end(FAREWELL_S)
    return answers


def _collect(launch: Launch, timeout: float) -> list[bytes]:
    """Wait for every rank's answer, or for the first failure."""
    deadline = time.monotonic() + timeout + (0 if launch.server.loaded else _LOADING_S)
    waiting = {rank.number: rank for rank in launch.ranks}
    answers: dict[int, bytes] = {}
    failures: list[_Failure] = []
    glance, seen = time.monotonic() + _GLANCE_S, None
    while waiting:
        signs = [launch.line, *(rank.connection for rank in waiting.values())]
        wait(signs, timeout=max(0.0, min(deadline, glance) - time.monotonic()))
        was_loaded = launch.server.loaded
        launch.listen()
        if launch.server.loaded and not was_loaded:
            deadline = time.monotonic() + timeout
        for number, rank in list(waiting.items()):
            outcome = _receive(launch, rank)
            if outcome is not None:
                del waiting[number]
                if isinstance(outcome, _Failure):
                    failures.append(outcome)
                else:
                    answers[number] = outcome
        now = time.monotonic()
        if any(failure.died for failure in failures) or now >= deadline:
            break
        if failures:
            deadline = min(deadline, failures[0].moment + _GRACE_S)
        elif now >= glance:
            before, seen = seen, disagreement(launch.pages, answers)
            if seen and seen == before:
                raise RuntimeError(seen)
            glance = now + _GLANCE_S
    if failures:
        # A death counts before the complaints that it caused.
        first = min(failures, key=lambda failure: (not failure.died, failure.moment))
        message = f"rank {first.rank} of {len(launch.ranks)} {first.message}"
        raise RuntimeError(_with_disagreement(message, launch)) from first.cause
    if waiting:
        raise RuntimeError(_with_disagreement(_late(launch, waiting, timeout), launch))
    return [answers[rank.number] for rank in launch.ranks]


def _receive(launch: Launch, rank: LaunchedRank) -> bytes | _Failure | None:
    """The rank's answer or its failure, if it has come to one."""
    rank.read()
    answer = rank.answer
    if answer is None and (rank.closed or rank.exitcode is not None or launch.gone):
        patience = time.monotonic() + _GRACE_S
        while rank.exitcode is None and not launch.gone and time.monotonic() < patience:
            wait([launch.line], timeout=_GRACE_S)
            launch.listen()
        rank.read()  # it may have answered and then died: what it said still counts
        answer = rank.answer
        if answer is None and launch.gone and not launch.started:
            # A process that was killed closes its sockets before it can be waited for: the next launch must not meet it again.
            launch.server.dismiss()
            raise _ServerGoneError
        if answer is None:
            return _Failure(rank.number, _ending(rank.exitcode, launch.gone), time.monotonic(), died=True)
    if answer is None:
        return None
    succeeded, moment, answer = answer
    if succeeded:
        return answer
    text, packed = pickle.loads(answer)
    cause = None
    with suppress(Exception):  # an exception that cannot travel is quoted, at least
        cause = cloudpickle.loads(packed)
    return _Failure(rank.number, f"raised:\n{text}", moment, died=False, cause=cause)


def _ending(exitcode: int | None, server_gone: bool) -> str:
    if exitcode is None and server_gone:
        return "was ended together with the process that had forked it before it could answer"
    if exitcode is None:
        return "cut the connection to its caller before it could answer"
    if exitcode < 0:
        known = {number.value: number.name for number in signal.Signals}
        return f"was killed by {known.get(-exitcode, f'signal {-exitcode}')} before it could answer"
    return f"left with exit code {exitcode} before it could answer"


def _late(launch: Launch, waiting: dict[int, LaunchedRank], timeout: float) -> str:
    if not launch.started:
        launch.server.dismiss()
        return f"{len(launch.ranks)} ranks did not start within {timeout:g} s: the process that forks them did not answer, and was ended"
    launch.ask_where_they_stand()
    patience = time.monotonic() + FAREWELL_S  # ends as soon as all have written; a busy machine lets them wait
    while time.monotonic() < patience and not all(rank.is_located for rank in waiting.values()):
        wait([rank.connection for rank in waiting.values()], timeout=0.01)
        for rank in waiting.values():
            rank.read()
    late = ", ".join(map(str, waiting))
    return f"rank {late} of {len(launch.ranks)} did not finish within {timeout:g} s and was ended" + "".join(
        map(_stack, waiting.values())
    )


def _stack(rank: LaunchedRank) -> str:
    """The rank's own lines of code, innermost first."""
    inner = list(takewhile(lambda line: "in run_rank" not in line, rank.place.splitlines()[1:]))[:6]
    return f"\nrank {rank.number} stood in:\n" + "\n".join(inner) if inner else ""


def _with_disagreement(message: str, launch: Launch) -> str:
    different = disagreement(launch.pages)
    return f"{message}\n{different}" if different else message


def _unpickled(answer: bytes, rank: int, world_size: int) -> Any:
    try:
        return cloudpickle.loads(answer)
    except Exception as error:
        raise RuntimeError(
            f"rank {rank} of {world_size} gave an answer that cannot be unpickled by its caller: {error!r}"
        ) from error
