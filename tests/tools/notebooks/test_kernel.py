"""A kernel that dies is noticed, one that is asked answers, and a rehearsal in its copy leaves no trace."""

from pathlib import Path
from queue import Empty

import pytest
from nbval.kernel import CURRENT_ENV_KERNEL_NAME

from tools.course import proof
from tools.notebooks import NotebookError
from tools.notebooks.kernel import WatchedKernel

PROGRAM = """
answers = []
def add(left, right):
    answers.append(left + right)
    return answers
def fail():
    raise KeyError("lost")
def dream():
    import time
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def running() -> WatchedKernel:
    kernel = WatchedKernel(CURRENT_ENV_KERNEL_NAME)
    yield kernel
    kernel.stop()


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM, encoding="utf-8")
    return path


def run(kernel: WatchedKernel, source: str) -> list[dict]:
    """Run a cell as nbval does, and return what it sent, up to its end."""
    asked = kernel.execute_cell_input(source)
    kernel.await_reply(asked, timeout=60)
    messages = []
    while True:
        message = kernel.get_message("iopub", timeout=60)
        if message["parent_header"].get("msg_id") == asked:
            messages.append(message)
            if message["content"].get("execution_state") == "idle":
                return messages


def waiting(kernel: WatchedKernel) -> list[str]:
    """The kinds of messages that nobody has read yet."""
    kinds = []
    while True:
        try:
            kinds.append(kernel.get_message("iopub", timeout=0.5)["msg_type"])
        except Empty:
            return kinds


def printed(kernel: WatchedKernel, source: str) -> str:
    return "".join(message["content"].get("text", "") for message in run(kernel, source))


def rehearse(kernel: WatchedKernel, *cells: str, patience: int = 60) -> dict:
    return kernel.ask(proof._REHEARSAL, "rehearse", cells=list(cells), patience=patience, timeout=120)


def test_an_answer_comes_back_and_no_name_stays(running, program):
    before = printed(running, "print(sorted(dir()))")
    assert running.ask(program, "add", timeout=60, left=[1, "ü"], right=[None]) == [[1, "ü", None]]
    assert running.ask(program, "add", timeout=60, left=2, right=3) == [5]  # each question has a namespace of its own
    assert printed(running, "print(sorted(dir()))") == before


def test_a_question_that_fails_is_told(running, program):
    with pytest.raises(NotebookError, match=r"KeyError.*lost"):
        running.ask(program, "fail", timeout=60)


def test_a_question_without_an_answer_ends(running, program):
    with pytest.raises(NotebookError, match=r"did not answer within 0\.5 seconds"):
        running.ask(program, "dream", timeout=0.5)
    running.interrupt()
    assert printed(running, "print('awake')") == "awake\n"


def test_a_rehearsal_stops_at_the_cell_that_fails_and_leaves_no_trace(running):
    run(running, "calls = ['before']")
    cells = [
        "calls.append('x')\nprint('noise')\n1",
        "import sys; sys.stderr.write('noise')",
        "raise KeyError('lost')",
        "1",
    ]
    assert rehearse(running, *cells) == {"failed": 2, "error": "KeyError: 'lost'"}
    assert rehearse(running, "assert calls == ['before']", "display(calls)") == {"failed": None, "error": ""}
    assert set(waiting(running)) == {"status"}  # no print, no display, no traceback has reached whoever listens
    assert printed(running, "print(calls)") == "['before']\n"


def test_a_rehearsal_that_never_ends_is_stopped(running):
    assert rehearse(running, "while True: pass", patience=1) == {"status": 14}  # SIGALRM
    assert rehearse(running, "import os; os._exit(3)") == {"status": 3 << 8}


def test_a_network_can_be_trained_on_both_sides_of_the_fork(running):
    """Autograd and the thread pools of torch must survive in the copy."""
    run(
        running,
        "import torch\n"
        "layer = torch.nn.Linear(200, 200)\n"
        "def step():\n"
        "    layer(torch.randn(2000, 200)).square().mean().backward()\n"
        "    return float(layer.weight.grad.abs().sum())\n"
        "assert step() > 0",
    )
    assert rehearse(running, "assert step() > 0") == {"failed": None, "error": ""}
    assert printed(running, "print(step() > 0)") == "True\n"


def test_a_kernel_that_dies_is_noticed_long_before_the_time_is_up():
    kernel = WatchedKernel(CURRENT_ENV_KERNEL_NAME)
    asked = kernel.execute_cell_input("import os; os._exit(3)")
    with pytest.raises(RuntimeError, match="the kernel died while this cell ran"):
        kernel.await_reply(asked, timeout=300)
    assert not kernel.is_alive()
    kernel.stop()
