"""What happens inside one rank: it joins the group, calls the function, hands its answer over, and waits to be let go."""

import atexit
import faulthandler
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import cloudpickle
import torch
import torch.distributed as dist

# All of it serves run_ranks alone.
__all__ = []

# How much longer than the run a collective waits. The caller knows better which rank is late, and has to be first to say so.
_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Seat:
    """Where a rank sits: its number among how many, the folder they meet in, and what the caller's settings are."""

    rank: int
    world_size: int
    folder: str
    backend: str | None
    timeout: float
    environment: dict[str, str]


def stack_file(folder: str, rank: int) -> Path:
    """Where a rank writes down its stack when it receives SIGUSR1."""
    return Path(folder) / f"stack-of-{rank}"


def run_rank(seat: Seat, job: bytes, caller: Connection) -> None:
    """The life of a process that ``run_ranks`` started."""
    # A session of its own: an interrupt from the keyboard is for the caller, and whatever the function starts
    # can be ended together with the rank.
    os.setsid()
    threading.Thread(target=_end_with_the_caller, daemon=True).start()
    places = {"RANK": seat.rank, "WORLD_SIZE": seat.world_size}
    places |= {f"LOCAL_{name}": value for name, value in places.items()}
    # The fork server still has the environment of the first launch.
    os.environ.clear()
    os.environ.update(seat.environment | {name: str(value) for name, value in places.items()})
    os.environ.setdefault("GLOO_SOCKET_IFNAME", _loopback())
    torch.set_num_threads(1)
    with stack_file(seat.folder, seat.rank).open("w") as stack:
        faulthandler.register(signal.SIGUSR1, file=stack, all_threads=False)
        try:
            # A file as meeting point needs no free port.
            meeting = {"init_method": f"file://{seat.folder}/store", "rank": seat.rank, "world_size": seat.world_size}
            _join(seat.backend, seat.timeout, **meeting)
            fn, args = cloudpickle.loads(job)
            answer = _pickled(fn(*args))
            succeeded = True
        except BaseException:
            answer = traceback.format_exc().encode()
            succeeded = False
        # All on this machine read the same monotonic clock.
        caller.send((succeeded, time.monotonic()))
        caller.send_bytes(answer)
        # Nobody leaves before the caller has heard all of them. A rank that goes takes its sockets with it, and a
        # neighbour that gives up for that reason would be blamed.
        wait([caller])
        faulthandler.unregister(signal.SIGUSR1)
    if dist.is_initialized():
        dist.destroy_process_group()


def already_launched() -> bool:
    """Whether this process is a rank already, because torchrun (or ``run_ranks`` itself) started it as one."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def run_here(fn: Callable, args: tuple, world_size: int, timeout: float, backend: str | None) -> list:
    """Call ``fn(*args)`` in this process, one of ``world_size`` that run already; all ranks' answers.

    Raises:
        ValueError: another number of processes is running.
        RuntimeError: this rank raised; its traceback is quoted. The launcher then ends the others.
    """
    rank, launched = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if world_size != launched:
        raise ValueError(f"world_size must be {launched}, the number of processes launched already, got {world_size}")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if not dist.is_initialized():
            _join(backend, timeout, init_method="env://")
            # The group stays for the next call: its meeting point, the launcher's store, serves only once.
            atexit.register(_leave)
        # No caller watches the clock here. A late process ends itself, its stack on stderr, and the launcher the others.
        faulthandler.dump_traceback_later(timeout, exit=True, file=sys.__stderr__)
        answers: list[Any] = [None] * launched
        dist.all_gather_object(answers, _pickled(fn(*args)))
        return [cloudpickle.loads(answer) for answer in answers]
    except Exception as error:
        raise RuntimeError(f"rank {rank} of {launched} raised:\n{traceback.format_exc()}") from error
    finally:
        faulthandler.cancel_dump_traceback_later()
        torch.set_num_threads(threads)


def _join(backend: str | None, timeout: float, **meeting: Any) -> None:
    local_rank, local_ranks = (int(os.environ.get(name, 0)) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    if backend is None:
        backend = "nccl" if torch.cuda.device_count() >= local_ranks > 0 else "gloo"
    if backend == "nccl":
        torch.cuda.set_device(local_rank)
        backend = "cpu:gloo,cuda:nccl"  # so that a function that keeps to CPU tensors runs here too
    dist.init_process_group(backend, timeout=timedelta(seconds=timeout + _PATIENCE_S), **meeting)


def _pickled(value: Any) -> bytes:
    try:
        return cloudpickle.dumps(value)
    except Exception as error:
        raise TypeError(f"the result of fn must be picklable, got {type(value).__name__}: {error}") from error


def _loopback() -> str:
    names = [name for _, name in socket.if_nameindex()]
    return next((name for name in names if name.startswith("lo")), names[0])


def _end_with_the_caller() -> None:
    wait([parent_process().sentinel])
    os.killpg(0, signal.SIGKILL)


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
