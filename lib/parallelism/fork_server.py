"""A process that has torch loaded, forks ranks on request, and ends them as soon as their caller is gone.

What a caller holds of a launch is one end of a socket. When that end closes, by a return, an interrupt or a kill, the
ranks of the launch are ended: nobody has to know a process number at the right moment. The server is in a session of
its own, where no key reaches it, and its ranks die with it.
"""

import atexit
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import ClassVar

from .rank import run_rank

# All of it serves run_ranks alone.
__all__ = []

STARTED, DUMP = b"started", b"dump"

# Loading torch takes a second or more. The thread ends it if the caller goes meanwhile, and is gone before the first fork.
_PROGRAM = """
import os, select, sys, threading
loaded, caller = threading.Event(), select.poll()
caller.register({0}, select.POLLHUP)
def watch():
    while not loaded.wait(0.05):
        if caller.poll(0):
            os._exit(0)
watcher = threading.Thread(target=watch)
watcher.start()
sys.path[:] = {1}
import torch._dynamo  # the first optimizer of a process imports it, which takes longer than all the rest
from lib.parallelism.fork_server import serve
loaded.set()
watcher.join()
serve({0})
"""


class ForkServer:
    """This process's fork server, as it is seen by who launches ranks."""

    _of_this_process: ClassVar["ForkServer | None"] = None
    # Two threads may launch at the same time, but find or start the server one after the other.
    _lock: ClassVar = threading.Lock()

    def __init__(self) -> None:
        self.requests, there = socket.socketpair()
        with there:
            command = [sys.executable, "-c", _PROGRAM.format(there.fileno(), list(map(str, sys.path)))]
            streams = {"stdin": subprocess.DEVNULL, "pass_fds": [there.fileno()]}
            # A machine without a name server is told so by each rank, unless somebody wants to hear it.
            streams["env"] = {"TORCH_CPP_LOG_LEVEL": "ERROR"} | os.environ
            self.process = subprocess.Popen(command, start_new_session=True, **streams)
        self.owner, self.loaded = os.getpid(), False

    @classmethod
    def running(cls) -> "ForkServer":
        """The one that is there, or a new one if it is gone, or belongs to the process that forked this one."""
        with cls._lock, _interrupts_later():
            server = cls._of_this_process
            if server is None or server.owner != os.getpid() or server.process.poll() is not None:
                if server is None:
                    atexit.register(lambda: cls._of_this_process.dismiss())
                else:
                    server.requests.close()
                server = cls._of_this_process = cls()
            return server

    def fork(self, line: socket.socket, job: int, meeting: socket.socket, connections: list[socket.socket]) -> None:
        """Ask for a rank for each connection."""
        descriptors = [line.fileno(), job, meeting.fileno(), *(connection.fileno() for connection in connections)]
        with suppress(BrokenPipeError, ConnectionResetError):  # it is gone: the line will say so
            socket.send_fds(self.requests, [bytes([len(connections)])], descriptors)

    def dismiss(self) -> None:
        """End it, a stopped one too, and with it every rank that it has forked."""
        if self.owner == os.getpid():
            self.requests.close()
            self.process.kill()
            self.process.wait()


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Hold an interrupt back until the block is left: of a process that is half started nobody knows the number."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    held_back = []
    signal.signal(signal.SIGINT, lambda *_: held_back.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if held_back:
            signal.raise_signal(signal.SIGINT)


@dataclass
class _Launch:
    """The ranks of one call that still live, and the socket on which their ends are told."""

    caller: socket.socket
    ranks: dict[int, int]  # process number → rank
    wanted: bool = True


def serve(control: int) -> None:
    """The life of the server: fork, watch and end ranks until the caller goes.

    A request is one byte, the number of ranks, with the descriptors of the launch's socket, of the file with the job,
    of the socket at which rank 0 receives the others, and of a socket for each rank. On the launch's socket the server tells ``started``, then ``rank status`` for each
    rank that ends, a line each, and closes it after the last; it is told ``dump`` to show where ranks stand.
    """
    requests = socket.socket(fileno=control)
    woken, waker = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    alive, still_here = os.pipe()  # nothing is ever written: it closes when the server is gone
    launches: list[_Launch] = []
    while True:
        wanted = [launch.caller for launch in launches if launch.wanted]
        ready = wait([requests, woken, *wanted])
        if woken in ready:
            with suppress(BlockingIOError):
                os.read(woken, 4096)
            for launch in launches:
                _reap(launch)
            launches = [launch for launch in launches if launch.ranks]
        for launch in launches:
            if launch.wanted and launch.caller in ready:
                _listen(launch)
        if requests in ready:
            count, descriptors, _, _ = socket.recv_fds(requests, 1, 128)
            if not count:
                for launch in launches:
                    _end(launch)
                os._exit(0)
            for descriptor in descriptors:  # a program that a rank starts must not hold them open
                os.set_inheritable(descriptor, False)
            of_the_server = [
                requests.fileno(),
                woken,
                waker,
                still_here,
                *(launch.caller.fileno() for launch in launches),
            ]
            launches += _fork(count[0], descriptors, of_the_server, alive)


def _fork(ranks: int, descriptors: list[int], of_the_server: list[int], alive: int) -> list[_Launch]:
    """Fork the ranks of one launch."""
    if len(descriptors) != ranks + 3:  # more than this process may open; the caller sees its socket close
        for descriptor in descriptors:
            os.close(descriptor)
        return []
    caller, job, meeting, *connections = descriptors
    launch = _Launch(socket.socket(fileno=caller), {})
    server = os.getpid()
    try:
        for rank in range(ranks):
            pid = os.fork()
            if pid == 0:
                _become_a_rank(server)
                kept = {connections[rank]} | ({meeting} if rank == 0 else set())
                for descriptor in {*of_the_server, caller, meeting, *connections} - kept:
                    os.close(descriptor)
                run_rank(rank, job, meeting, connections[rank], alive)
            launch.ranks[pid] = rank
    except OSError as error:  # no room for another process
        _tell(launch, f"failed {error}\n".encode())
        _end(launch)
    else:
        _tell(launch, STARTED + b"\n")
    for descriptor in (job, meeting, *connections):
        os.close(descriptor)
    return [launch] if launch.ranks else []


def _become_a_rank(server: int) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # An interrupt from the keyboard is for the caller, and whatever the function starts can be ended with the rank.
    os.setsid()
    if sys.platform == "linux":  # even a rank that holds the interpreter's lock dies with the server
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        if os.getppid() != server:
            os._exit(1)


def _listen(launch: _Launch) -> None:
    """The caller wants to know where its ranks stand, or has closed its end."""
    try:
        message = launch.caller.recv(len(DUMP))
    except OSError:
        message = b""
    if message == DUMP:
        for pid in launch.ranks:
            os.kill(pid, signal.SIGUSR1)
    else:
        _end(launch)


def _end(launch: _Launch) -> None:
    launch.wanted = False
    for pid in launch.ranks:
        _kill(pid)


def _reap(launch: _Launch) -> None:
    """Tell of the ranks that have ended, and end what they have started."""
    for pid, rank in list(launch.ranks.items()):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            del launch.ranks[pid]
            _tell(launch, f"{rank} {os.waitstatus_to_exitcode(status)}\n".encode())
    if not launch.ranks:
        launch.caller.close()


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # before the rank has its session there is no such group
        os.killpg(pid, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)


def _tell(launch: _Launch, message: bytes) -> None:
    with suppress(OSError):  # the caller may be gone
        launch.caller.sendall(message)
