"""Start a function on several real processes that can talk to each other, and bring its answers back."""

import os
import signal
import socket
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from typing import Any

import cloudpickle
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from lib.core.validation import check_positive_int

__all__ = ["run_ranks"]

# Above this a slip of the keyboard is likelier than a plan: every rank is a process of this machine.
MAX_RANKS = 64
# When one rank fails, its neighbours fail a moment later inside their collectives. Wait that moment,
# so that the message names the rank that failed first.
_GRACE_S = 0.3


@dataclass(frozen=True)
class _Failure:
    rank: int
    message: str
    moment: float
    died: bool


def run_ranks(fn: Callable, world_size: int, *args: Any, timeout: float = 60.0, backend: str | None = None) -> list:
    """Call ``fn(*args)`` in ``world_size`` processes that form one process group; answers in rank order.

    Inside ``fn``, ``torch.distributed`` tells the rank and carries the messages. Functions defined in a
    notebook cell work. A rank computes with one thread, so that ranks share the cores evenly. The
    backend is gloo, or NCCL where there is a CUDA device for each rank. ``timeout`` is in seconds.

    Raises:
        TypeError: ``fn`` is not callable, or ``fn`` or ``args`` cannot be pickled.
        ValueError: a world size outside 1…64, a timeout that is not positive, an unknown backend.
        RuntimeError: a rank raised (its traceback is quoted), died (its signal is named) or did not
            answer in time. All processes have then been ended.
    """
    check_positive_int("world_size", world_size)
    if world_size > MAX_RANKS:
        raise ValueError(
            f"world_size must be at most {MAX_RANKS}, got {world_size}: every rank is a process of this machine"
        )
    if timeout <= 0:
        raise ValueError(f"timeout must be positive, got {timeout} s")
    if not callable(fn):
        raise TypeError(f"fn must be callable, got {type(fn).__name__} {fn!r}")
    backend = backend or ("nccl" if torch.cuda.device_count() >= world_size else "gloo")
    if not dist.is_backend_available(backend):
        raise ValueError(f"backend must be available in this build of torch, got {backend!r}")
    try:
        job = cloudpickle.dumps((fn, args))
    except Exception as error:
        raise TypeError(f"fn and its arguments must be picklable to reach another process: {error}") from error

    # A fork server that has torch loaded starts a rank in a twentieth of a second. A plain fork would be
    # as quick, but hangs when the parent has used several threads; spawn loads torch anew each time.
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch.distributed", __name__])
    deadline = time.monotonic() + timeout
    with tempfile.TemporaryDirectory() as folder:
        # A file as meeting point needs no free port.
        store = f"file://{folder}/store"
        processes, answers = [], []
        try:
            for rank in range(world_size):
                receive, send = context.Pipe(duplex=False)
                process = context.Process(
                    target=_run_rank, args=(rank, world_size, store, backend, timeout, job, send), daemon=True
                )
                process.start()
                send.close()  # so that the end of the child is the end of the pipe
                processes.append(process)
                answers.append(receive)
            return _collect(processes, answers, deadline, timeout)
        finally:
            for process, receive in zip(processes, answers, strict=True):
                if process.is_alive():
                    process.kill()
                process.join()
                process.close()
                receive.close()


def _run_rank(
    rank: int, world_size: int, store: str, backend: str, timeout: float, job: bytes, answer: Connection
) -> None:
    """Body of one rank: join the group, call the function, send back (ok, moment, answer or traceback)."""
    torch.set_num_threads(1)
    if backend == "gloo":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", _loopback())
    if backend == "nccl":
        torch.cuda.set_device(rank)
    try:
        dist.init_process_group(
            backend, init_method=store, rank=rank, world_size=world_size, timeout=timedelta(seconds=timeout)
        )
        fn, args = cloudpickle.loads(job)
        value = fn(*args)
        try:
            message = cloudpickle.dumps((True, time.monotonic(), value))
        except Exception as error:
            raise TypeError(f"the result of fn must be picklable, got {type(value).__name__}: {error}") from error
        answer.send_bytes(message)
        # Nobody leaves before all have finished: a rank that goes early takes its sockets with it.
        dist.barrier()
    except Exception:
        answer.send_bytes(cloudpickle.dumps((False, time.monotonic(), traceback.format_exc())))
    finally:
        answer.close()
        if dist.is_initialized():
            dist.destroy_process_group()


def _loopback() -> str:
    names = [name for _, name in socket.if_nameindex()]
    return next((name for name in names if name.startswith("lo")), names[0])


def _collect(processes: list, answers: list[Connection], deadline: float, timeout: float) -> list:
    waiting = dict(zip(answers, range(len(answers)), strict=True))
    values: dict[int, Any] = {}
    failures: list[_Failure] = []
    while waiting:
        ready = wait(list(waiting), timeout=max(0.0, deadline - time.monotonic()))
        for receive in ready:
            rank = waiting.pop(receive)
            try:
                succeeded, moment, value = cloudpickle.loads(receive.recv_bytes())
            except EOFError:
                processes[rank].join()
                failures.append(_Failure(rank, _ending(processes[rank].exitcode), time.monotonic(), died=True))
                continue
            if succeeded:
                values[rank] = value
            else:
                failures.append(_Failure(rank, f"raised:\n{value}", moment, died=False))
        if failures:
            deadline = min(deadline, failures[0].moment + _GRACE_S)
        if not ready:
            break
    if failures:
        # A rank that was killed cannot report: its death counts before the complaints that it caused.
        first = min(failures, key=lambda failure: (not failure.died, failure.moment))
        raise RuntimeError(f"rank {first.rank} of {len(processes)} {first.message}")
    if waiting:
        late = ", ".join(str(rank) for rank in sorted(waiting.values()))
        raise RuntimeError(f"rank {late} of {len(processes)} did not finish within {timeout:g} s and was ended")
    return [values[rank] for rank in range(len(processes))]


def _ending(exitcode: int) -> str:
    if exitcode < 0:
        return f"was killed by {signal.Signals(-exitcode).name} before it could answer"
    return f"left with exit code {exitcode} before it could answer"
