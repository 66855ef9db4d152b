"""Ranks are real processes: their answers, their failures, and what is left of them."""

import contextlib
import ctypes
import itertools
import multiprocessing
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
import torch
import torch.distributed as dist
from forked import SUBPROCESS, Forked, gone, start

from lib.parallelism import fork_server, launch, run_ranks
from lib.parallelism.fork_server import ForkServer
from lib.parallelism.launched import LaunchedRank


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
    # Also while other ranks still make their connections: six ranks meet in fifteen pairs, one launch in ten was cut off.
    for _ in range(3):
        assert run_ranks(dist.destroy_process_group, 6) == [None] * 6


def test_launches_in_a_row_leave_nothing():
    # Processes and files are looked for after every test of this folder; here also pipes, sockets and threads.
    descriptors, threads = psutil.Process().num_fds(), psutil.Process().num_threads()
    servers = {run_ranks(os.getppid, 1)[0] for _ in range(3)}
    assert [sum(run_ranks(dist.get_rank, 2)) for _ in range(5)] == [1] * 5
    assert psutil.Process().num_fds() == descriptors
    assert psutil.Process().num_threads() == threads
    # One server has forked them all: torch was loaded once.
    assert servers == set(run_ranks(os.getppid, 2))


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

    # Not the timeout's message: it was not waited for.
    with pytest.raises(RuntimeError, match=f"^rank 1 of 3 {message}"):
        run_ranks(wait_for_rank_one, 3, timeout=60)
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


class LostError(Exception):
    """Can be pickled, and not unpickled: it wants two arguments and remembers one."""

    def __init__(self, first, second):
        super().__init__(first)


def test_what_a_rank_raised_is_the_cause_of_the_error_with_its_own_type():
    with pytest.raises(RuntimeError, match=r"^rank 0 of 1 raised:\nTraceback(.|\n)*KeyError: 'bare'") as caught:
        run_ranks(lambda: raise_(KeyError("bare")), 1)
    cause = caught.value.__cause__
    assert type(cause) is KeyError
    assert cause.args == ("bare",)
    # The quoted lines begin with the function, not with what called it.
    assert "rank.py" not in str(caught.value)


def test_an_exception_that_cannot_travel_is_quoted():
    with pytest.raises(RuntimeError, match="LostError: one") as caught:
        run_ranks(lambda: raise_(LostError("one", "two")), 1)
    assert caught.value.__cause__ is None


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


HANGING = {"sleeps": (sleep_on_rank_one, "0, 1"), "holds the lock": (hold_the_interpreter_on_rank_one, "1")}


@pytest.fixture(scope="module")
def told():
    """What is said of each function that hangs; both at once, since each is waited for."""

    def message(name):
        with pytest.raises(RuntimeError) as caught:
            run_ranks(HANGING[name][0], 2, timeout=6)
        return str(caught.value)

    with ThreadPoolExecutor() as pool:
        return dict(zip(HANGING, pool.map(message, HANGING), strict=True))


@pytest.mark.parametrize("name", HANGING)
def test_a_hanging_rank_ends_the_run_at_the_timeout_and_is_named_with_its_place(told, name):
    fn, late = HANGING[name]
    assert told[name].startswith(f"rank {late} of 2 did not finish within 6 s and was ended")
    place = told[name].split("rank 1 stood in:\n")[1]
    # The function's own line, and nothing of what called it.
    assert [line.split(" in ")[1] for line in place.splitlines()] == [fn.__name__]
    # Who waits for the late one is told apart by the place.
    assert ("barrier" in told[name]) == (late == "0, 1")
    assert run_ranks(sum_of_ranks, 2, 0)[1][1] == 1.0


@pytest.mark.parametrize("outermost", ['  File "rank.py", line 9 in run_rank', "  ..."])
def test_a_place_is_told_in_whole_lines_however_the_handler_writes_it(outermost):
    written = f'Stack (most recent call first):\n  File "a b.py", line 3 in fn\n{outermost}\n'.encode()
    rank = LaunchedRank(0, socket.socket())
    for end in range(len(written) + 1):
        rank.received[:] = written[:end]
        assert rank.place in {"", *(written[: place + 1].decode() for place in range(end) if written[place] == 10)}
        assert rank.is_located == (end == len(written))
    rank.connection.close()


def test_a_process_that_a_rank_started_does_not_outlive_it():
    (pid,) = run_ranks(lambda: subprocess.Popen(["sleep", "60"]).pid, 1)
    with contextlib.suppress(psutil.NoSuchProcess):  # gone already
        assert gone([psutil.Process(pid)], 2)


def connections_that_a_program_would_inherit():
    """Those of this library; gloo's own to the other ranks are of another family."""
    found = []
    for descriptor in map(int, os.listdir("/dev/fd")):
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as copy:  # or no socket
            if copy.family == socket.AF_UNIX and os.get_inheritable(descriptor):
                found.append(descriptor)
    return found


def test_a_program_that_a_rank_starts_holds_none_of_its_connections_open():
    assert run_ranks(connections_that_a_program_would_inherit, 2) == [[], []]


def draw():
    return torch.randn(1).item(), np.random.rand(), random.random()  # noqa: NPY002


def test_ranks_and_launches_draw_different_random_numbers_that_repeat():
    first = run_ranks(draw, 2), run_ranks(draw, 2)
    drawn = [[answer[source] for answers in first for answer in answers] for source in range(3)]
    assert [len(set(numbers)) for numbers in drawn] == [4, 4, 4]
    torch.manual_seed(0)  # as before each test
    assert (run_ranks(draw, 2), run_ranks(draw, 2)) == first


def test_a_seed_gives_each_rank_its_own_random_numbers_and_leaves_the_callers_alone():
    before = torch.get_rng_state()
    answers = run_ranks(draw, 2, seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    for rank, (of_torch, of_numpy, of_python) in enumerate(answers):
        assert of_torch == torch.randn(1, generator=torch.Generator().manual_seed(5 + rank)).item()
        assert of_numpy == np.random.RandomState(5 + rank).rand()
        assert of_python == random.Random(5 + rank).random()


def test_variables_that_another_run_has_left_in_the_shell_are_not_believed(monkeypatch):
    strays = {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "", "MASTER_ADDR": "nowhere", "MASTER_PORT": "x"}
    for name, value in strays.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth-of-another-run")
    assert [total for _, total, *_ in run_ranks(sum_of_ranks, 2, 5)] == [11.0, 11.0]


def test_a_variable_of_torchrun_that_is_no_number_is_named(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "")
    with pytest.raises(ValueError, match=r"RANK must be a whole number where torchrun has started .* got ''"):
        run_ranks(dist.get_rank, 2)


def test_a_process_that_the_function_forks_gives_no_answer():
    def fork():
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        return child != 0

    for _ in range(5):
        assert run_ranks(fork, 2) == [True, True]


def test_a_folder_for_temporary_files_with_a_long_name_is_not_needed(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 100)))
    monkeypatch.setenv("TMPDIR", str(tmp_path / ("x" * 100)))
    assert run_ranks(dist.get_rank, 2) == [0, 1]


def test_more_ranks_than_open_files_allow_are_refused_before_any_starts():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        with pytest.raises(
            RuntimeError, match=r"20 ranks need up to 112 open files a process, and `ulimit -n` allows 64"
        ):
            run_ranks(dist.get_rank, 20)
        assert run_ranks(dist.get_rank, 8) == list(range(8))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def own_server():
    """Servers that the test may stop and kill, in place of the one that all other tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fork_server, "subprocess", SUBPROCESS)
        patch.setattr(ForkServer, "_of_this_process", None)
        yield
        ForkServer.running().dismiss()


def kill_the_server_and_wait():
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


@pytest.mark.usefixtures("own_server")
def test_a_stopped_server_is_noticed_at_the_timeout_and_a_killed_one_at_once_and_both_are_replaced():
    (server,) = run_ranks(os.getppid, 1)
    os.kill(server, signal.SIGSTOP)
    with pytest.raises(RuntimeError, match=r"^2 ranks did not start within 1 s: .* did not answer, and was ended"):
        run_ranks(dist.get_rank, 2, timeout=1)
    (second,) = run_ranks(os.getppid, 1)
    assert second != server
    with pytest.raises(RuntimeError, match=r"rank 0 of 1 was ended together with the process that had forked it"):
        run_ranks(kill_the_server_and_wait, 1)
    assert run_ranks(dist.get_rank, 2) == [0, 1]


@pytest.mark.usefixtures("own_server")
def test_a_server_that_was_killed_while_nobody_looked_is_replaced():
    (server,) = run_ranks(os.getppid, 1)
    os.kill(server, signal.SIGKILL)
    assert gone([psutil.Process(server)])
    (second,) = run_ranks(os.getppid, 1)
    assert second != server


@pytest.mark.usefixtures("own_server")
def test_a_server_that_dies_just_now_is_not_met_twice(monkeypatch):
    """Its socket closes before the system says that it has ended; whoever launches then must wait for that."""
    (number,) = run_ranks(os.getppid, 1)
    process = ForkServer.running().process
    assert process.pid == number
    os.kill(number, signal.SIGKILL)
    monkeypatch.setattr(process, "poll", lambda: process.returncode)  # None until somebody waits for it
    assert run_ranks(dist.get_rank, 2) == [0, 1]


def test_a_server_that_ends_at_each_launch_is_tried_twice(monkeypatch):
    tried = []

    def launch_and_lose_the_server(*_):
        tried.append(1)
        raise launch._ServerGoneError

    monkeypatch.setattr(launch, "_launch_and_collect", launch_and_lose_the_server)
    with pytest.raises(RuntimeError, match="ended twice before it had started them"):
        run_ranks(dist.get_rank, 2)
    assert len(tried) == 2


@pytest.mark.usefixtures("own_server")
def test_a_rank_that_holds_the_interpreter_dies_with_its_server(tmp_path):
    """No thread of its own can run, and its caller does not know its number."""

    (server,) = run_ranks(os.getppid, 1)
    holding = []

    def hold():
        if dist.get_rank() == 1:
            (tmp_path / f"rank-{os.getpid()}").touch()
        return hold_the_interpreter_on_rank_one()

    def kill_the_server():
        while not (ranks := list(tmp_path.glob("rank-*"))):
            time.sleep(0.01)
        holding.append(psutil.Process(int(ranks[0].name.removeprefix("rank-"))))
        time.sleep(0.1)
        os.kill(server, signal.SIGKILL)

    killer = threading.Thread(target=kill_the_server)
    killer.start()
    with pytest.raises(RuntimeError, match="was ended together with"):
        run_ranks(hold, 2)
    killer.join()
    assert sys.platform != "linux" or gone(holding)


# --- a caller of its own ----------------------------------------------------------------------------------------------

SCRIPT = """
import os, sys, time
import torch, torch.distributed as dist
from lib.parallelism import ring_all_reduce, run_ranks

class Answer:
    def __init__(self, total):
        self.total = total

def fn(offset):
    return Answer(ring_all_reduce(torch.tensor([dist.get_rank() + offset])).item())

print("the script is read", flush=True)
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Write scripts; processes that run them have two threads, their own folder, and a mark by which they are found."""
    numbers, mark = itertools.count(), f"mark-of-{tmp_path}"
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("BOOK_TEST_MARK", mark)
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # what a rank prints waits in a buffer, as it does by default
    monkeypatch.chdir(tmp_path)

    def marked():
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("BOOK_TEST_MARK") == mark:
                    found.append(process)
            except psutil.Error:  # not ours, or gone meanwhile
                pass
        return found

    def write(code):
        path = tmp_path / f"script-{next(numbers)}.py"
        path.write_text(SCRIPT + code, encoding="utf-8")
        return str(path)

    yield types.SimpleNamespace(write=write, marked=marked)
    for process in marked():
        process.kill()


def ranks_in(folder, number):
    """The processes of ranks that have left a file, as soon as there are so many."""
    patience = time.monotonic() + 200
    while len(files := list(folder.glob("rank-*"))) < number and time.monotonic() < patience:
        time.sleep(0.02)
    assert len(files) == number
    return [psutil.Process(int(file.name.removeprefix("rank-"))) for file in files]


def wait_on_each_rank(folder):
    open(f"{folder}/rank-{os.getpid()}", "w").close()
    time.sleep(60)


OWN_SCRIPT = """
answers = run_ranks(fn, 2, 10)
print([isinstance(answer, Answer) for answer in answers], answers[0].total)
run_ranks(lambda: print("said rank", dist.get_rank()), 2)
print("threads", run_ranks(torch.get_num_threads, 2), torch.get_num_threads(), flush=True)

def wait(folder):
    open(f"{folder}/rank-{os.getpid()}", "w").close()
    time.sleep(60)

run_ranks(wait, 2, os.getcwd())
"""


def test_a_script_needs_no_guard_its_classes_return_as_themselves_and_an_interrupt_ends_it_with_its_ranks(
    script, tmp_path
):
    # A caller that was started with interrupts ignored, as under nohup, ignores them still.
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    caller = subprocess.Popen(
        [sys.executable, script.write(OWN_SCRIPT)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    signal.signal(signal.SIGINT, heard)
    ranks_in(tmp_path, 2)
    started = script.marked()
    assert len(started) == 4  # the caller, its server and two ranks
    os.killpg(caller.pid, signal.SIGINT)  # as the keyboard does: to all that belong to the terminal
    output, errors = caller.communicate(timeout=60)
    # Read once: no rank runs the script again. And what a rank has printed is not lost when it is let go.
    lines = ["[True, True] 21", "said rank 0", "said rank 1", "the script is read", "threads [1, 1] 2"]
    assert sorted(output.splitlines()) == lines, errors
    assert caller.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1  # the caller's, and no rank's
    assert gone(started)


def wait_beside_a_process_of_its_own(folder):
    subprocess.Popen(["sleep", "60"])
    wait_on_each_rank(folder)


def test_a_caller_that_is_killed_takes_its_ranks_along_and_what_they_have_started(tmp_path):
    caller = start(run_ranks, wait_beside_a_process_of_its_own, 2, tmp_path, output=tmp_path / "output")
    ranks = ranks_in(tmp_path, 2)
    started = psutil.Process(caller.pid).children(recursive=True)
    assert len(started) == 5  # a server, two ranks and a process of each
    assert set(ranks) <= set(started)
    caller.kill()
    caller.join()
    assert gone(started)


@pytest.mark.usefixtures("own_server")
def test_a_server_that_its_caller_lets_go_ends_what_its_ranks_have_started_too(tmp_path):
    started = []

    def let_go():
        ranks_in(tmp_path, 2)
        started.extend(psutil.Process(ForkServer.running().process.pid).children(recursive=True))
        ForkServer.running().requests.close()

    letting = threading.Thread(target=let_go)
    letting.start()
    with pytest.raises(RuntimeError, match="was ended together with"):
        run_ranks(wait_beside_a_process_of_its_own, 2, tmp_path)
    letting.join()
    assert len(started) == 4  # two ranks and a process of each
    assert gone(started)


def launch_while_the_server_loads(seconds):
    Forked.loading_s = seconds
    run_ranks(dist.get_rank, 2)


def test_a_caller_that_is_killed_while_its_server_loads_leaves_nothing(tmp_path):
    for seconds in (0, 0.2, 0.4):
        caller = start(launch_while_the_server_loads, 60, output=tmp_path / "output")
        while not (started := psutil.Process(caller.pid).children()):
            time.sleep(0.01)
        time.sleep(seconds)
        caller.kill()
        caller.join()
        assert len(started) == 1
        assert gone(started)


def launch_and_interrupt(seconds):
    """How many interrupts came to this process during a launch, or around it: one."""
    timer = threading.Timer(seconds, signal.raise_signal, [signal.SIGINT])
    timer.daemon = True
    try:
        timer.start()  # the signal may come before this line has ended
        run_ranks(dist.get_rank, 2)
        timer.join()
        time.sleep(0.1)  # the signal is answered between two lines of code
    except KeyboardInterrupt:
        return 1
    return 0


def launch_and_interrupt_often():
    Forked.loading_s, Forked.interrupted = 0.6, True
    interrupted = launch_and_interrupt(1e6)  # while the server is started, of which nobody knows the number yet
    interrupted += launch_and_interrupt(0.3)  # while it loads
    for number in range(15):
        interrupted += launch_and_interrupt(number * 0.01)
        assert run_ranks(dist.get_rank, 1) == [0]
    (server,) = psutil.Process().children()
    assert gone(server.children())
    ForkServer.running().dismiss()
    assert psutil.Process().children() == []
    os._exit(interrupted)


def test_an_interrupt_at_any_moment_of_a_launch_leaves_nothing_and_the_next_one_works(tmp_path):
    caller = start(launch_and_interrupt_often, output=tmp_path / "output")
    caller.join(timeout=300)
    assert caller.exitcode == 17, (tmp_path / "output").read_text()


# --- under torchrun -----------------------------------------------------------------------------------------------------

LAUNCHED = """
first = [answer.total for answer in run_ranks(fn, 2, 10)]
second = [answer.total for answer in run_ranks(fn, 2, 20)]
# In one piece: two processes write to one pipe.
sys.stdout.write(f"{os.environ['GROUP_RANK']} {os.environ['RANK']} {first} {second}\\n")
sys.stdout.flush()
assert run_ranks(torch.get_num_threads, 2) == [1, 1]
assert torch.get_num_threads() == 2  # as before
assert len(set(run_ranks(lambda: torch.rand(1).item(), 2))) == 2  # each rank draws its own
"""

FAILING = """
def fail():
    if dist.get_rank() == 1:
        {}
    dist.barrier()

run_ranks(fail, 2, timeout={})
"""


def torchrun(*arguments):
    """What the command of this name calls. The ranks that it starts are interpreters of their own."""
    from torch.distributed.run import main

    main(["--log-dir", "logs", *map(str, arguments)])


def test_under_torchrun_the_processes_that_are_there_become_the_ranks_and_one_that_fails_ends_all(script, tmp_path):
    path = script.write(LAUNCHED + FAILING.format("raise KeyError('the cupboard is bare')", 60))
    launched = start(torchrun, "--standalone", "--nproc-per-node", 2, path, output=tmp_path / "output")
    launched.join(timeout=300)
    output = (tmp_path / "output").read_text()
    for line in ["0 0 [21, 21] [41, 41]\n", "0 1 [21, 21] [41, 41]\n", "rank 1 of 2 raised:\n", "the cupboard is bare"]:
        assert line in output
    assert output.count("the script is read\n") == 2
    assert launched.exitcode == 1
    assert script.marked() == []


def test_under_torchrun_ranks_may_sit_on_several_nodes_and_one_that_hangs_ends_all(script, tmp_path, unused_port):
    place = ["--nnodes", 2, "--nproc-per-node", 1, "--master-addr", "127.0.0.1", "--master-port", unused_port]
    path = script.write(LAUNCHED + FAILING.format("time.sleep(60)", 6))  # the ranks may come to it seconds apart
    outputs = [tmp_path / f"output-{node}" for node in range(2)]
    nodes = [start(torchrun, *place, "--node-rank", node, path, output=output) for node, output in enumerate(outputs)]
    for node, (launched, file) in enumerate(zip(nodes, outputs, strict=True)):
        launched.join(timeout=300)
        output = file.read_text()
        assert f"{node} {node} [21, 21] [41, 41]\n" in output
        assert launched.exitcode == 1
    # Rank 0 may have been told sooner, by a connection that broke.
    assert "Timeout (0:00:06)!" in output
    assert "in fail" in output
    assert script.marked() == []


@pytest.fixture
def unused_port():
    """A port for torchrun's own meeting point; ``run_ranks`` needs none."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
