"""With the network off, this machine is reachable and nothing else is: by namespace, and by guard."""

import datetime
import json
import multiprocessing
import os
import runpy
import socket
import subprocess
import sys

import pytest
import torch
import torch.distributed as dist
from nbformat.v4 import new_code_cell, new_notebook

from tools import offline
from tools.notebooks import read, write
from tools.notebooks.files import ROOT

# 192.0.2.0/24 and 2001:db8::/32 are reserved for documentation: nobody is there, on any network.
ATTEMPTS = {
    "connect": "socket.create_connection(('192.0.2.1', 80), 20)",
    "connect to a name": "socket.create_connection(('example.org', 80), 20)",
    "look up": "socket.getaddrinfo('example.org', 443)",
    "old look up": "socket.gethostbyname('example.org')",
    "datagram": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
    "connected datagram": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 53))",
    "version 6": "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).connect(('2001:db8::1', 53))",
    "mapped": "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).connect(('::ffff:192.0.2.1', 53))",
    "asyncio": "ThreadPoolExecutor().submit(asyncio.run, asyncio.open_connection('192.0.2.1', 80)).result()",
    "urllib": "urllib.request.urlopen('http://192.0.2.1/', timeout=20)",
}
TRY_ALL = f"""\
import asyncio, json, socket, urllib.request
from concurrent.futures import ThreadPoolExecutor
told = {{}}
for name, attempt in {ATTEMPTS!r}.items():
    try:
        eval(attempt)
        told[name] = "REACHED"
    except OSError as error:
        told[name] = str(error)
print(json.dumps(told))
"""
LOOPBACK = """\
import os, socket, tempfile
server = socket.create_server(("localhost", 0))
client = socket.create_connection(server.getsockname())
server.accept()[0].sendall(b"tcp")
assert client.recv(3) == b"tcp"
sender, receiver = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
receiver.bind(("127.0.0.1", 0))
sender.sendto(b"udp", receiver.getsockname())
assert receiver.recv(3) == b"udp"
with tempfile.TemporaryDirectory() as folder:
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(os.path.join(folder, "s"))
    unix.listen()
    socket.socket(socket.AF_UNIX).connect(os.path.join(folder, "s"))
print("reached")
"""
OBSTACLE = offline.namespace_obstacle()
WAYS = ["--guard"] if OBSTACLE else ["--guard", "--namespace"]
each_way = pytest.mark.parametrize("way", WAYS)


def run_offline(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "tools.offline", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


@each_way
def test_outside_is_unreachable_and_this_machine_is_not(way):
    # From the process itself and from a child of it; what is asked of the child comes last on its line.
    child = f"import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', {TRY_ALL!r}], capture_output=True, text=True).stdout)"
    done = run_offline(way, sys.executable, "-c", f"{TRY_ALL}\n{child}\n{LOOPBACK}\nsys.exit(7)")
    assert done.returncode == 7, done.stderr  # the command's own
    own, childs, loopback = done.stdout.split("\n", 1)[0], done.stdout.split("\n")[1], done.stdout.split()[-1]
    for told in (json.loads(own), json.loads(childs)):
        assert set(told) == set(ATTEMPTS)
        assert "REACHED" not in told.values(), told
        if way == "--guard":  # which refuses by itself, wherever the machine stands
            assert all("the network is off: refused" in text for text in told.values()), told
    assert loopback == "reached"
    [line] = done.stderr.splitlines()  # the way is told in one line
    assert line.startswith({"--guard": "offline: socket guard", "--namespace": "offline: network namespace"}[way])


# In a namespace a kernel or a rank is a process like any other, and `make unit` itself lives in one; the guard must reach into each.
def test_the_guard_reaches_a_notebook_kernel(tmp_path):
    path = tmp_path / "chapter.ipynb"
    write(path, new_notebook(cells=[new_code_cell(TRY_ALL), new_code_cell(LOOPBACK)]))
    done = run_offline("--guard", sys.executable, "-m", "tools.notebooks", "execute", str(path))
    assert done.returncode == 0, done.stderr
    outside, loopback = (cell.outputs[0].text for cell in read(path).cells)
    assert outside.count("the network is off: refused") == len(ATTEMPTS)
    assert loopback == "reached\n"


def meet(rank, meeting, answers):
    """What a rank does under the guard, in a fork of this process, which has torch loaded."""
    runpy.run_path(str(offline.GUARD / "sitecustomize.py"))
    with pytest.raises(OSError, match="the network is off: refused"):
        socket.create_connection(("192.0.2.1", 80), 20)
    dist.init_process_group(
        "gloo", init_method=meeting, rank=rank, world_size=2, timeout=datetime.timedelta(seconds=60)
    )
    total = torch.tensor(rank + 1)
    dist.all_reduce(total)
    answers.put(total.item())
    dist.destroy_process_group()


@pytest.mark.parametrize("meeting", ["file://{}", "tcp://localhost:{}"], ids=["in a file", "at a port"])
def test_the_guard_lets_ranks_meet(tmp_path, meeting):
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    place = meeting.format(port if "tcp" in meeting else tmp_path / "meeting")
    ranks = [context.Process(target=meet, args=(rank, place, answers)) for rank in range(2)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(timeout=120)
    assert [rank.exitcode for rank in ranks] == [0, 0]
    assert [answers.get() for _ in ranks] == [3, 3]


def test_the_namespace_is_preferred():
    done = run_offline(sys.executable, "-c", "import socket; print(*[name for _, name in socket.if_nameindex()])")
    if OBSTACLE:
        assert done.stderr == f"offline: socket guard in every Python process ({OBSTACLE})\n"
    else:
        assert done.stderr == "offline: network namespace, only loopback is there\n"
        assert done.stdout == "lo\n"


def test_the_user_stays_the_same(tmp_path):
    done = run_offline(sys.executable, "-c", f"import os; print(os.getuid()); open({str(tmp_path / 'f')!r}, 'w')")
    assert done.stdout == f"{os.getuid()}\n"
    assert (tmp_path / "f").stat().st_uid == os.getuid()


def test_without_a_namespace_the_guard_takes_over(monkeypatch, capfd):
    seen = {}
    monkeypatch.setattr(offline, "namespace_obstacle", lambda: "Operation not permitted")
    monkeypatch.setattr(os, "execvp", lambda *command: seen.update(command=command, path=os.environ["PYTHONPATH"]))
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    offline.main(["program", "--option"])
    assert seen == {"command": ("program", ["program", "--option"]), "path": f"{offline.GUARD}{os.pathsep}elsewhere"}
    assert capfd.readouterr().err == "offline: socket guard in every Python process (Operation not permitted)\n"
    assert offline.main(["--namespace", "program"]) == 1
    assert "no network namespace: Operation not permitted" in capfd.readouterr().err


def test_a_sitecustomize_that_the_guard_hides_is_run_as_well(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import builtins\nbuiltins.hidden = 'was run'\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert run_offline("--guard", sys.executable, "-c", "print(hidden)").stdout == "was run\n"


@pytest.mark.parametrize(
    ("arguments", "status", "told"), [([], 2, "no command"), (["no-such-program"], 127, "no-such-program")]
)
def test_a_command_that_cannot_run_is_told(arguments, status, told):
    done = run_offline(*arguments)
    assert done.returncode == status
    assert told in done.stderr
