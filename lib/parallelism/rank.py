"""What happens inside one rank: it joins the group, calls the function, hands its answer over, and waits to be let go."""

import atexit
import faulthandler
import mmap
import os
import pickle
import random
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

import cloudpickle
import numpy as np
import torch
import torch.distributed as dist

from .agreement import NOTE_BYTES, Ledger, keep_ledger

# All of it serves run_ranks alone.
__all__ = []

# How much longer than the run a collective waits. The caller knows better which rank is late, and has to be first to say so.
_PATIENCE_S = 30.0
# Before an answer: whether the function returned, the moment on the machine's clock, and how many bytes follow.
HEADER = struct.Struct("<?dQ")
_LENGTHS = struct.Struct("<QQ")
# Whether run_ranks started this process.
_started_here = False


@dataclass(frozen=True)
class Setting:
    """What the ranks of one launch have in common."""

    world_size: int
    port: int
    backend: str | None
    timeout: float
    check: bool
    seed: int
    environment: dict[str, str]
    path: list[str]
    arguments: list[str]
    folder: str | None = None


def write_job(file: int, setting: Setting, job: bytes) -> mmap.mmap:
    """Fill the file that the ranks of a launch share: two lengths, a note for each rank, the setting, the job."""
    packed = pickle.dumps(setting)
    parts = [_LENGTHS.pack(setting.world_size, len(packed)), bytes(setting.world_size * NOTE_BYTES), packed, job]
    os.truncate(file, sum(map(len, parts)))
    shared = mmap.mmap(file, 0)
    for part in parts:
        shared.write(part)
    return shared


def notes_of(shared: mmap.mmap) -> list[memoryview]:
    """Where each rank of the launch notes what it calls."""
    ranks, _ = _LENGTHS.unpack_from(shared)
    view = memoryview(shared)[_LENGTHS.size :]
    return [view[rank * NOTE_BYTES : (rank + 1) * NOTE_BYTES] for rank in range(ranks)]


def run_rank(rank: int, job: int, meeting: int, connection: int, alive: int) -> NoReturn:
    """The life of a process that the fork server has forked for ``run_ranks``."""
    global _started_here
    _started_here = True
    threading.Thread(target=_end_with_the_server, args=(alive,), daemon=True).start()
    caller, me = socket.socket(fileno=connection), os.getpid()
    faulthandler.register(signal.SIGUSR1, file=connection, all_threads=False)
    try:
        # The store is kept as long as the process: others may still ask it when this rank's group is gone.
        fn, args, setting, _store = _take_the_seat(rank, mmap.mmap(job, 0), meeting)
        with _own_random_numbers(setting.seed, rank):
            answer = _pickled(fn(*args))
        succeeded = True
    except BaseException as error:
        # What stands above the function in the traceback is this file.
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__.tb_next))
        answer = _packed_failure(text, error)
        succeeded = False
    if os.getpid() != me:  # a process that the function forked, and that returned from it too: nobody waits for it
        _leave(0 if succeeded else 1)
    # All on this machine read the same monotonic clock.
    caller.sendall(HEADER.pack(succeeded, time.monotonic(), len(answer)))
    caller.sendall(answer)
    # Nobody leaves before the caller has heard all of them. A rank that goes takes its sockets with it, and a neighbour
    # that gives up for that reason would be blamed.
    while caller.recv(1):
        pass
    faulthandler.unregister(signal.SIGUSR1)
    if dist.is_initialized():
        dist.destroy_process_group()
    _leave(0)


def _take_the_seat(rank: int, shared: mmap.mmap, meeting: int) -> tuple[Callable, tuple, Setting, dist.TCPStore]:
    """Make the caller's surroundings this process's own, join the group, and read the job."""
    ranks, length = _LENGTHS.unpack_from(shared)
    start = _LENGTHS.size + ranks * NOTE_BYTES
    view = memoryview(shared)
    setting: Setting = pickle.loads(view[start : start + length])
    os.environ.clear()
    os.environ.update(setting.environment)
    places = {"RANK": rank, "WORLD_SIZE": ranks}
    places |= {f"LOCAL_{name}": value for name, value in places.items()}
    # All are on this machine, whatever network the caller's settings name for other runs.
    os.environ.update({name: str(value) for name, value in places.items()} | {"GLOO_SOCKET_IFNAME": _loopback()})
    sys.path[:], sys.argv[:] = setting.path, setting.arguments
    if setting.folder is not None:
        os.chdir(setting.folder)
    torch.set_num_threads(1)
    keep_ledger(Ledger(notes_of(shared)[rank], setting.check))
    host = {"is_master": True, "wait_for_workers": False, "master_listen_fd": meeting} if rank == 0 else {}
    patience = timedelta(seconds=setting.timeout + _PATIENCE_S)
    store = dist.TCPStore("127.0.0.1", setting.port, timeout=patience, **host)
    _join(setting.backend, setting.timeout, store=store, rank=rank, world_size=ranks)
    # Some have all their connections while others still make theirs: who ended the group now would cut those.
    store.set(f"joined/{rank}", "")
    store.wait([f"joined/{other}" for other in range(ranks)])
    fn, args = cloudpickle.loads(view[start + length :])
    return fn, args, setting, store


def already_launched() -> bool:
    """Whether this process is a rank already, of torchrun or of ``run_ranks``.

    RANK and its kin alone say nothing: a shell may have kept them from another run.
    """
    return _started_here or "TORCHELASTIC_RUN_ID" in os.environ


def run_here(
    fn: Callable, args: tuple, world_size: int, timeout: float, backend: str | None, check: bool, seed: int
) -> list:
    """Call ``fn(*args)`` in this process, one of ``world_size`` that run already; all ranks' answers.

    Raises:
        ValueError: another number of processes is running, or torchrun's variables are no numbers.
        RuntimeError: this rank raised; its traceback is quoted. The launcher then ends the others.
    """
    rank, launched = _variable("RANK"), _variable("WORLD_SIZE")
    if world_size != launched:
        raise ValueError(f"world_size must be {launched}, the number of processes launched already, got {world_size}")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    ledger = None
    try:
        if not dist.is_initialized():
            _join(backend, timeout, init_method="env://")
            # The group stays for the next call: its meeting point, the launcher's store, serves only once.
            atexit.register(_disband)
        if not _started_here:
            ledger = keep_ledger(Ledger(None, check))
            # No caller watches the clock here. A late process ends itself, its stack on stderr, and the launcher the others.
            faulthandler.dump_traceback_later(timeout, exit=True, file=sys.__stderr__)
        seeds: list[Any] = [None] * launched
        dist.all_gather_object(seeds, seed)
        with _own_random_numbers(seeds[0], rank):
            answer = _pickled(fn(*args))
        answers: list[Any] = [None] * launched
        dist.all_gather_object(answers, answer)
        return [cloudpickle.loads(answer) for answer in answers]
    except Exception as error:
        raise RuntimeError(f"rank {rank} of {launched} raised:\n{traceback.format_exc()}") from error
    finally:
        if not _started_here:
            faulthandler.cancel_dump_traceback_later()
            keep_ledger(ledger)
        torch.set_num_threads(threads)


def _variable(name: str) -> int:
    value = os.environ.get(name)
    if value is None or not value.isdecimal():
        raise ValueError(f"{name} must be a whole number where torchrun has started the process, got {value!r}")
    return int(value)


def _join(backend: str | None, timeout: float, **meeting: Any) -> None:
    local_rank, local_ranks = (int(os.environ.get(name, 0)) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    if backend is None:
        backend = "nccl" if torch.cuda.device_count() >= local_ranks > 0 else "gloo"
    if backend == "nccl":
        torch.cuda.set_device(local_rank)
        backend = "cpu:gloo,cuda:nccl"  # so that a function that keeps to CPU tensors runs here too
    dist.init_process_group(backend, timeout=timedelta(seconds=timeout + _PATIENCE_S), **meeting)


@contextmanager
def _own_random_numbers(seed: int, rank: int) -> Iterator[None]:
    """Seed torch, NumPy and Python with a number of this rank's own; afterwards they go on where they were."""
    before = np.random.get_state(), random.getstate()  # noqa: NPY002 (what a function meets that asks for no generator)
    with torch.random.fork_rng():
        torch.manual_seed(seed + rank)
        np.random.seed((seed + rank) % 2**32)  # noqa: NPY002
        random.seed(seed + rank)
        try:
            yield
        finally:
            np.random.set_state(before[0])  # noqa: NPY002
            random.setstate(before[1])


def _pickled(value: Any) -> bytes:
    try:
        return cloudpickle.dumps(value)
    except Exception as error:
        raise TypeError(f"the result of fn must be picklable, got {type(value).__name__}: {error}") from error


def _packed_failure(text: str, error: BaseException) -> bytes:
    """The traceback, and the exception itself where it can travel."""
    try:
        return pickle.dumps((text, cloudpickle.dumps(error)))
    except Exception:
        return pickle.dumps((text, None))


def _loopback() -> str:
    names = [name for _, name in socket.if_nameindex()]
    return next((name for name in names if name.startswith("lo")), names[0])


def _end_with_the_server(alive: int) -> None:
    os.read(alive, 1)
    os.killpg(0, signal.SIGKILL)


def _leave(code: int) -> NoReturn:
    """End a process that was forked: what it has printed is written, and nothing of its parent's is tidied up."""
    with suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _disband() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
