"""Ranks are real processes: their answers, their failures, and what is left of them."""

import ctypes
import itertools
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import types

import psutil
import pytest
import torch
import torch.distributed as dist

from lib.parallelism import run_ranks


def sum_of_ranks(offset):
    total = torch.tensor([float(dist.get_rank() + offset)])
    dist.all_reduce(total)
    return dist.get_rank(), total.item(), os.getpid(), torch.get_num_threads()


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_ranks_are_processes_that_meet_in_an_all_reduce(world_size):
    answers = run_ranks(sum_of_ranks, world_size, 10)
    assert [rank for rank, *_ in answers] == list(range(world_size))
    expected = sum(rank + 10 for rank in range(world_size))
    assert all(total == expected for _, total, _, _ in answers)
    assert len({pid for _, _, pid, _ in answers} | {os.getpid()}) == world_size + 1
    assert {threads for *_, threads in answers} == {1}


def test_a_function_that_no_module_holds_is_sent_along():
    scale = 3
    assert run_ranks(lambda: dist.get_rank() * scale, 2) == [0, 3]


def test_two_threads_may_launch_at_the_same_time():
    main, answers = sys.modules["__main__"], {}

    def launch(offset):
        answers[offset] = [total for _, total, *_ in run_ranks(sum_of_ranks, 2, offset)]

    threads = [threading.Thread(target=launch, args=(offset,)) for offset in (0, 10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {0: [1.0, 1.0], 10: [21.0, 21.0], 20: [41.0, 41.0]}
    assert sys.modules["__main__"] is main


def test_a_rank_finds_the_callers_environment_and_folder_and_its_own_place(tmp_path, monkeypatch):
    # Set after the fork server started, and so unknown to it.
    monkeypatch.setenv("CUPBOARD", "bare")
    monkeypatch.chdir(tmp_path)
    names = ("CUPBOARD", "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
    answers = run_ranks(lambda: ([os.environ[name] for name in names], os.getcwd()), 2)
    assert answers == [(["bare", str(rank), str(rank), "2", "2"], str(tmp_path)) for rank in range(2)]


def test_a_rank_may_have_processes_of_its_own():
    def ask_a_child():
        context = multiprocessing.get_context("fork")
        queue = context.SimpleQueue()
        child = context.Process(target=queue.put, args=(dist.get_rank() * 10,))
        child.start()
        child.join()
        return queue.get()

    assert run_ranks(ask_a_child, 2) == [0, 10]


def test_a_call_inside_a_rank_joins_the_ranks_that_are_there():
    def inner():
        return [total for _, total, *_ in run_ranks(sum_of_ranks, 2, 5)]

    assert run_ranks(inner, 2) == [[11.0, 11.0]] * 2
    with pytest.raises(RuntimeError, match="world_size must be 2, the number of processes launched already, got 3"):
        run_ranks(lambda: run_ranks(sum_of_ranks, 3, 5), 2)


def test_large_answers_and_answers_in_shared_memory_arrive_whole():
    def answer():
        large = torch.arange(25_000_000, dtype=torch.float32)  # 100 MB
        shared = torch.full((1000,), float(dist.get_rank())).share_memory_()
        return large, shared, shared[10:20], {"learned": torch.ones(2, requires_grad=True)}

    for rank, (large, shared, view, learned) in enumerate(run_ranks(answer, 2)):
        assert torch.equal(large, torch.arange(25_000_000, dtype=torch.float32))
        assert shared.tolist() == [rank] * 1000
        assert view.tolist() == [rank] * 10
        assert learned["learned"].requires_grad


def test_the_group_may_be_gone_when_the_function_returns():
    started = time.monotonic()
    assert run_ranks(dist.destroy_process_group, 2) == [None, None]
    assert time.monotonic() - started < 5


def test_fifty_launches_in_a_row_leave_nothing():
    # Processes and files are looked for after every test of this folder; here also pipes, sockets and threads.
    descriptors, threads = psutil.Process().num_fds(), psutil.Process().num_threads()
    started = time.monotonic()
    assert [sum(run_ranks(dist.get_rank, 2)) for _ in range(50)] == [1] * 50
    assert psutil.Process().num_fds() == descriptors
    assert psutil.Process().num_threads() == threads
    # About 0.06 s each when nobody else computes. Loading torch anew each time would take over two seconds each.
    assert time.monotonic() - started < 50


# --- failures: each function fails on rank 1 only, while the others wait for it -------------------------------------


class Refuses:
    """Can be pickled, and not unpickled."""

    def __reduce__(self):
        return _refuse, ()


def _refuse():
    raise OSError("stays in its box")


class MuteError(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def leave_a_child_that_holds_the_pipe_and_die():
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)


def raise_(error):
    raise error


FAILURES = {
    "raises": (lambda: raise_(KeyError("the cupboard is bare")), r"raised:\n(.|\n)*in raise_(.|\n)*the cupboard is bare"),
    "raises without words": (lambda: raise_(MuteError()), r"raised:\n(.|\n)*MuteError"),
    "is interrupted": (lambda: raise_(KeyboardInterrupt()), r"raised:\n(.|\n)*KeyboardInterrupt"),
    "calls sys.exit": (lambda: sys.exit(3), r"raised:\n(.|\n)*SystemExit: 3"),
    "calls os._exit": (lambda: os._exit(3), "left with exit code 3 before it could answer"),
    "leaves as if all were well": (lambda: os._exit(0), "left with exit code 0 before it could answer"),
    "is killed": (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed by SIGKILL before it could answer"),
    "crashes": (lambda: os.kill(os.getpid(), signal.SIGSEGV), "was killed by SIGSEGV before it could answer"),
    "dies before its child": (leave_a_child_that_holds_the_pipe_and_die, "was killed by SIGKILL"),
}  # fmt: skip


@pytest.mark.parametrize(("fail", "message"), FAILURES.values(), ids=FAILURES)
def test_a_failing_rank_ends_the_run_at_once_and_is_named(fail, message):
    def wait_for_rank_one():
        if dist.get_rank() == 1:
            fail()
        dist.barrier()

    started = time.monotonic()
    with pytest.raises(RuntimeError, match=f"^rank 1 of 3 {message}"):
        run_ranks(wait_for_rank_one, 3, timeout=60)
    assert time.monotonic() - started < 5
    assert run_ranks(sum_of_ranks, 2, 0)[1][1] == 1.0


ANSWERS = {
    "cannot be pickled": (
        threading.Lock,
        r"rank [01] of 2 raised:\n(.|\n)*the result of fn must be picklable, got lock",
    ),
    "cannot be unpickled": (Refuses, "rank 0 of 2 gave an answer that cannot be unpickled .*stays in its box"),
}


@pytest.mark.parametrize(("fn", "message"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_cannot_travel_is_an_error_of_the_run(fn, message):
    with pytest.raises(RuntimeError, match=message):
        run_ranks(fn, 2)


def test_an_argument_that_cannot_be_unpickled_is_an_error_of_the_run():
    with pytest.raises(RuntimeError, match=r"raised:\n(.|\n)*stays in its box"):
        run_ranks(len, 2, Refuses())


def test_the_rank_that_failed_first_is_named_when_several_fail():
    def fail_in_turn():
        time.sleep(0.1 * (2 - dist.get_rank()))
        raise ValueError(f"said rank {dist.get_rank()}")

    with pytest.raises(RuntimeError, match=r"^rank 2 of 3 raised:\n(.|\n)*said rank 2"):
        run_ranks(fail_in_turn, 3)


def test_a_rank_that_gives_up_because_another_raised_is_not_blamed():
    def give_up():
        if dist.get_rank() == 1:
            raise KeyError("the cupboard is bare")
        try:
            dist.barrier()
        except RuntimeError:
            os._exit(7)

    with pytest.raises(RuntimeError, match=r"^rank 1 of 3 raised:\n(.|\n)*the cupboard is bare"):
        run_ranks(give_up, 3)


def sleep_on_rank_one():
    if dist.get_rank() == 1:
        time.sleep(60)
    dist.barrier()


def hold_the_interpreter_on_rank_one():
    if dist.get_rank() == 1:
        ctypes.PyDLL(None).sleep(60)  # C code that lets no Python run beside it
    return dist.get_rank()


@pytest.mark.parametrize(
    ("fn", "late"),
    [(sleep_on_rank_one, "0, 1"), (hold_the_interpreter_on_rank_one, "1")],
    ids=["sleeps", "holds the lock"],
)
def test_a_hanging_rank_ends_the_run_at_the_timeout_and_is_named_with_its_place(fn, late):
    started = time.monotonic()
    with pytest.raises(RuntimeError, match=f"^rank {late} of 2 did not finish within 1.5 s and was ended") as caught:
        run_ranks(fn, 2, timeout=1.5)
    assert 1.5 <= time.monotonic() - started < 6.5
    place = str(caught.value).split("rank 1 stood in:\n")[1]
    assert f"in {fn.__name__}" in place.splitlines()[0]
    # Who waits for the late one is told apart by the place.
    assert ("barrier" in str(caught.value)) == (late == "0, 1")
    assert run_ranks(sum_of_ranks, 2, 0)[1][1] == 1.0


def test_a_process_that_a_rank_started_does_not_outlive_it():
    def start():
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid

    def lives(pid):
        # Init need not have noticed yet that a process without a parent has ended.
        return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE

    (pid,) = run_ranks(start, 1)
    patience = time.monotonic() + 2
    while lives(pid) and time.monotonic() < patience:
        time.sleep(0.01)
    assert not lives(pid)


# --- a caller of its own, in a script ---------------------------------------------------------------------------------

SCRIPT = """
import os, sys, time
import torch, torch.distributed as dist
from lib.parallelism import ring_all_reduce, run_ranks

class Answer:
    def __init__(self, total):
        self.total = total

def fn(offset):
    return Answer(ring_all_reduce(torch.tensor([dist.get_rank() + offset])).item())

print("the script is read")
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Write a script and a mark that its processes carry; give the mark's processes and a way to run the script."""
    numbers, mark = itertools.count(), f"mark-of-{tmp_path}"
    environment = os.environ | {"OMP_NUM_THREADS": "2", "BOOK_TEST_MARK": mark}
    environment.pop("PYTHONUNBUFFERED", None)  # what a rank prints waits in a buffer, as it does by default

    def marked():
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("BOOK_TEST_MARK") == mark:
                    found.append(process)
            except psutil.Error:  # not ours, or gone meanwhile
                pass
        return found

    def start(code, *launcher, **options):
        path = tmp_path / f"script-{next(numbers)}.py"
        path.write_text(SCRIPT + code, encoding="utf-8")
        command = [sys.executable, *launcher, str(path)]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=environment, cwd=tmp_path, **streams, **options)

    yield types.SimpleNamespace(start=start, marked=marked)
    for process in marked():
        process.kill()


def gone(marked, seconds):
    patience = time.monotonic() + seconds
    while (left := marked()) and time.monotonic() < patience:
        time.sleep(0.02)
    return left == []


REPLACED = """
answers = run_ranks(fn, 2, 10)
print([isinstance(answer, Answer) for answer in answers], answers[0].total)
run_ranks(lambda: print("said rank", dist.get_rank()), 2)
print("threads", run_ranks(torch.get_num_threads, 2), torch.get_num_threads())

import psutil
(server,) = [child for child in psutil.Process().children() if "forkserver" in " ".join(child.cmdline())]
server.kill()
while server.status() != psutil.STATUS_ZOMBIE:
    time.sleep(0.01)
print(run_ranks(fn, 2, 20)[1].total)
"""


def test_a_script_needs_no_guard_its_classes_return_as_themselves_and_a_killed_fork_server_is_replaced(script):
    output, errors = script.start(REPLACED).communicate(timeout=60)
    # Read once: no rank runs the script again. And what a rank has printed is not lost when it is let go.
    lines = ["41", "[True, True] 21", "said rank 0", "said rank 1", "the script is read", "threads [1, 1] 2"]
    assert sorted(output.splitlines()) == lines, errors
    assert errors == ""


WAIT = """
def wait(folder):
    open(f"{folder}/rank-{os.getpid()}", "w").close()
    time.sleep(60)

run_ranks(wait, 2, os.getcwd())
"""


def test_a_caller_that_is_interrupted_or_killed_takes_its_ranks_along(script, tmp_path):
    ends = [signal.SIGINT, signal.SIGKILL]
    callers = [script.start(WAIT, start_new_session=True) for _ in ends]
    patience = time.monotonic() + 30
    while len(list(tmp_path.glob("rank-*"))) < 4 and time.monotonic() < patience:
        time.sleep(0.02)
    assert len(script.marked()) >= 8  # two callers, each with a fork server and two ranks
    os.killpg(callers[0].pid, signal.SIGINT)  # as the keyboard does: to all that belong to the terminal
    callers[1].kill()
    errors = [caller.communicate(timeout=10)[1] for caller in callers]
    assert [caller.returncode for caller in callers] == [-end for end in ends]
    assert [error.count("Traceback") for error in errors] == [1, 0]  # the interrupted caller's, and no rank's
    assert gone(script.marked, seconds=5)


LAUNCHED = """
first = [answer.total for answer in run_ranks(fn, 2, 10)]
print(os.environ["GROUP_RANK"], os.environ["RANK"], first, [answer.total for answer in run_ranks(fn, 2, 20)])
assert run_ranks(torch.get_num_threads, 2) == [1, 1]
assert torch.get_num_threads() == 2  # as before
"""


def torchrun(*options):
    return ["-m", "torch.distributed.run", *map(str, options)]


ONE_NODE = torchrun("--standalone", "--nproc-per-node", 2)


def test_under_torchrun_the_processes_that_are_there_become_the_ranks(script):
    launched = script.start(LAUNCHED, *ONE_NODE)
    output, errors = launched.communicate(timeout=60)
    assert sorted(output.splitlines()) == [
        "0 0 [21, 21] [41, 41]",
        "0 1 [21, 21] [41, 41]",
        "the script is read",
        "the script is read",
    ], errors
    assert launched.returncode == 0, errors
    assert gone(script.marked, seconds=2)


def test_under_torchrun_ranks_may_sit_on_several_nodes(script, unused_port):
    place = ["--nnodes", 2, "--nproc-per-node", 1, "--master-addr", "127.0.0.1", "--master-port", unused_port]
    nodes = [script.start(LAUNCHED, *torchrun(*place, "--node-rank", node)) for node in range(2)]
    answers = [node.communicate(timeout=60) for node in nodes]
    for node, (output, errors) in enumerate(answers):
        assert output.splitlines()[-1:] == [f"{node} {node} [21, 21] [41, 41]"], errors
    assert gone(script.marked, seconds=2)


FAILING = """
def fail():
    if dist.get_rank() == 1:
        {}
    dist.barrier()

run_ranks(fail, 2, timeout={})
"""


def test_under_torchrun_a_failing_or_hanging_rank_ends_all(script):
    # Both at once, because each has to load torch three times.
    raising = script.start(FAILING.format("raise KeyError('the cupboard is bare')", 60), *ONE_NODE)
    hanging = script.start(FAILING.format("time.sleep(60)", 2), *ONE_NODE)
    for launched, messages in [
        (raising, ["rank 1 of 2 raised:", "the cupboard is bare"]),
        (hanging, ["Timeout (0:00:02)!", "in fail"]),
    ]:
        _, errors = launched.communicate(timeout=60)
        assert launched.returncode == 1
        assert all(message in errors for message in messages)
    assert gone(script.marked, seconds=2)


@pytest.fixture
def unused_port():
    """A port for torchrun's own meeting point; ``run_ranks`` needs none."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
