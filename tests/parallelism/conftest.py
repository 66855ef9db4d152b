"""After each test of this folder nothing may be left: no rank and no file."""

import tempfile
import time

import cloudpickle
import psutil
import pytest
import torch.distributed as dist

from lib.parallelism import run_ranks
from lib.parallelism.fork_server import ForkServer


def descendants() -> set[psutil.Process]:
    """Processes that this one has started, and theirs, without the fork server that is kept for the next launch."""
    found = set(psutil.Process().children(recursive=True))
    server = ForkServer._of_this_process
    return found - ({psutil.Process(server.process.pid)} if server and server.process.poll() is None else set())


@pytest.fixture(scope="session", autouse=True)
def _fork_server():
    """The first launch also starts the fork server, which stays."""
    run_ranks(dist.get_rank, 1)


@pytest.fixture(scope="module", autouse=True)
def _functions_travel(request):
    """A rank is sent a test's functions themselves: to find them in their module it would import pytest and more each time."""
    cloudpickle.register_pickle_by_value(request.module)
    yield
    cloudpickle.unregister_pickle_by_value(request.module)


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path, monkeypatch):
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(meeting))
    before = descendants()
    yield
    # A process that was killed disappears a moment later.
    patience = time.monotonic() + 2
    while descendants() - before and time.monotonic() < patience:
        time.sleep(0.01)
    assert descendants() - before == set()
    # The engine makes its compiler's cache folder where temporary files live, at the first optimizer of a process.
    assert [path for path in meeting.iterdir() if not path.name.startswith("torchinductor_")] == []
