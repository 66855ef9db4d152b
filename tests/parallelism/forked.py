"""Processes that need torch without the seconds in which a fresh interpreter loads it: forks of this one."""

import importlib.abc
import importlib.machinery
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import traceback
import types
from collections.abc import Callable
from pathlib import Path

import psutil

from lib.parallelism import fork_server


class Forked:
    """Stands in for ``subprocess.Popen`` in ``lib.parallelism.fork_server``: the server's program, in a fork."""

    # How long the server takes over what a fresh one would have to load.
    loading_s = 0.0
    # Whether an interrupt comes while it is being started.
    interrupted = False

    def __init__(self, command: list[str], *, pass_fds: list[int], **_):
        self.returncode = None
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._become_a_program(set(pass_fds))
                exec(compile(command[-1], "<string>", "exec"), {"__name__": "__main__"})
            except BaseException:
                traceback.print_exc()
            os._exit(1)
        if Forked.interrupted:
            signal.raise_signal(signal.SIGINT)

    def _become_a_program(self, kept: set[int]) -> None:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in map(int, os.listdir("/dev/fd")):
            # Nothing of the parent's stays open, but each number stays taken: an object that is freed later will close it.
            if descriptor not in {1, 2, nothing, *kept}:
                os.dup2(nothing, descriptor)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.modules.pop("torch._dynamo", None)
        sys.meta_path.insert(0, _InsteadOfDynamo())

    def poll(self) -> int | None:
        return self._ended(os.WNOHANG)

    def wait(self) -> int | None:
        return self._ended(0)

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _ended(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode


class _InsteadOfDynamo(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """What the server has still to load is a module that is all but empty: the ranks here have no optimizer."""

    def find_spec(self, name, path, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name == "torch._dynamo" else None

    def exec_module(self, module):
        module.trace_rules = types.SimpleNamespace(clear_lru_cache=lambda: None)  # asked for by each process group
        time.sleep(Forked.loading_s)


SUBPROCESS = types.SimpleNamespace(Popen=Forked, DEVNULL=subprocess.DEVNULL)


def start(fn: Callable, *args: object, output: Path) -> multiprocessing.Process:
    """A process like one that a user has started: it has torch, a session of its own, and launches ranks with its own server."""

    def live():
        os.setsid()
        with output.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        signal.signal(signal.SIGINT, signal.default_int_handler)
        fork_server.subprocess = SUBPROCESS
        fn(*args)

    process = multiprocessing.get_context("fork").Process(target=live)
    process.start()
    return process


def lives(process: psutil.Process) -> bool:
    # Init need not have noticed yet that a process without a parent has ended.
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(processes: list[psutil.Process], seconds: float = 20) -> bool:
    patience = time.monotonic() + seconds
    while any(map(lives, processes)) and time.monotonic() < patience:
        time.sleep(0.02)
    return not any(map(lives, processes))
