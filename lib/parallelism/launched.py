"""The ranks of one launch as their caller sees them: sockets, notes, and a line to the server that has forked them."""

import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import IO, Any

from .fork_server import DUMP, STARTED, ForkServer
from .rank import HEADER, Setting, notes_of, write_job

# All of it serves run_ranks alone.
__all__ = []

# Above this a slip of the keyboard is likelier than a plan: every rank is a process of this machine.
MAX_RANKS = 64
# For leaving after all is said.
FAREWELL_S = 5.0


@dataclass
class LaunchedRank:
    """A rank as its caller sees it: what it has sent so far, and how it ended."""

    number: int
    connection: socket.socket
    received: bytearray = field(default_factory=bytearray)
    closed: bool = False
    exitcode: int | None = None

    def read(self) -> None:
        """Take in what has arrived, and wait for nothing."""
        self.closed = _read(self.connection, self.received) or self.closed

    @property
    def place(self) -> str:
        """The lines of code in which it stands, as far as it was told to write them down, whole ones only."""
        written = bytes(self.received[: self._start]).decode(errors="replace")
        return written[: written.rfind("\n") + 1]

    @property
    def is_located(self) -> bool:
        """Whether all of its function's lines have come: a signal's handler writes them piece by piece.

        Below them stands ``run_rank``, or three dots after the hundred lines that the handler writes at most.
        """
        return " in run_rank\n" in self.place or self.place.endswith("\n  ...\n")

    @property
    def answer(self) -> tuple[bool, float, bytes] | None:
        """Whether its function returned, when, and what; None as long as that is not all there."""
        if len(self.received) < self._start + HEADER.size:
            return None
        start = self._start + HEADER.size
        succeeded, moment, length = HEADER.unpack_from(self.received, self._start)
        return (
            None
            if len(self.received) < start + length
            else (succeeded, moment, bytes(memoryview(self.received)[start:]))
        )

    @property
    def _start(self) -> int:
        """Where the answer begins: with a truth value, which no text contains."""
        return next((place for place, byte in enumerate(self.received[: 2**16]) if byte < 2), len(self.received))


def _read(connection: socket.socket, received: bytearray) -> bool:
    """Append what has arrived; whether the other end is closed."""
    try:
        while data := connection.recv(2**20, socket.MSG_DONTWAIT):
            received += data
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


class Launch:
    """The ranks of one call: their sockets, the notes that they keep, and the line to the server that has forked them."""

    def __init__(
        self, server: ForkServer, line: socket.socket, ranks: list[LaunchedRank], pages: list[memoryview]
    ) -> None:
        self.server, self.line, self.ranks, self.pages = server, line, ranks, pages
        self.told, self.started, self.gone = bytearray(), False, False

    def listen(self) -> None:
        """What the server tells: that all are started, and who has ended how."""
        self.gone = _read(self.line, self.told) or self.gone
        *lines, rest = self.told.split(b"\n")
        self.told[:] = rest
        for line in lines:
            if line == STARTED:
                self.started = self.server.loaded = True
            elif line.startswith(b"failed"):
                raise RuntimeError(
                    f"{len(self.ranks)} ranks cannot be started: {line.decode().removeprefix('failed ')}"
                )
            else:
                number, exitcode = map(int, line.split())
                self.ranks[number].exitcode = exitcode

    def ask_where_they_stand(self) -> None:
        with suppress(OSError):
            self.line.send(DUMP)

    def end(self, seconds: float) -> bool:
        """Wait until the server says, by closing its end, that every rank has ended."""
        deadline = time.monotonic() + seconds
        while not self.gone and time.monotonic() < deadline:
            wait([self.line], timeout=max(0.0, deadline - time.monotonic()))
            self.listen()
        return self.gone


@contextmanager
def launched(setting: dict[str, Any], job: bytes) -> Iterator[Launch]:
    """Ranks that run while the block does. Whatever interrupts it, its sockets are closed, and the server ends the ranks."""
    mine, theirs, pages = [], [], []
    try:
        server = ForkServer.running()
        # The ranks meet at rank 0, not in a file, whose reader never returns from a record that was cut short.
        meeting = socket.create_server(("127.0.0.1", 0), backlog=MAX_RANKS)
        with meeting, _file_without_a_name() as file:
            port = meeting.getsockname()[1]
            surroundings = {"environment": dict(os.environ), "path": list(map(str, sys.path)), "arguments": sys.argv}
            with suppress(FileNotFoundError):  # a folder that was deleted
                surroundings["folder"] = os.getcwd()
            pages += notes_of(write_job(file.fileno(), Setting(port=port, **setting, **surroundings), job))
            for _ in range(1 + setting["world_size"]):
                pair = socket.socketpair()
                mine.append(pair[0])
                theirs.append(pair[1])
            server.fork(theirs[0], file.fileno(), meeting, theirs[1:])
        while theirs:
            theirs.pop().close()
        ranks = [LaunchedRank(number, connection) for number, connection in enumerate(mine[1:])]
        launch = Launch(server, mine[0], ranks, pages)
        try:
            yield launch
        finally:
            # The server reads the end of this line and ends the ranks.
            with suppress(OSError):
                mine[0].shutdown(socket.SHUT_WR)
            if not launch.end(FAREWELL_S):
                server.dismiss()
    except OSError as error:
        raise RuntimeError(f"{setting['world_size']} ranks cannot be started: {error}") from error
    finally:
        for page in pages:
            page.release()
        for end in (*mine, *theirs):
            end.close()


def _file_without_a_name() -> IO[bytes]:
    """Where the job and the notes lie: in memory where the system can, and gone with the last who has it open."""
    return os.fdopen(os.memfd_create("ranks"), "r+b") if hasattr(os, "memfd_create") else tempfile.TemporaryFile()
