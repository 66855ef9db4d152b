"""Setting up says what is missing instead of failing in the middle, and recovers from every middle it was left in."""

import ast
import errno
import importlib.util
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from tools import set_up


class Commands:
    """Stands in for the commands that set-up runs: records each, makes what venv would make, fails those that hold a chosen text."""

    def __init__(self):
        self.seen = []
        self.failing = None
        self.told = ""

    def run(self, command):
        command = [str(part) for part in command]
        self.seen.append(command)
        if self.failing is not None and self.failing in " ".join(command):
            return 1, self.told
        if command[1:3] == ["-m", "venv"]:
            make_environment(Path(command[3]))
        return 0, ""

    def installs(self):
        return [command for command in self.seen if "install" in command]


def make_environment(folder):
    set_up.python_of(folder).parent.mkdir(parents=True)
    set_up.python_of(folder).touch()
    (folder / "pyvenv.cfg").touch()


@pytest.fixture
def commands(monkeypatch):
    recorder = Commands()
    monkeypatch.setattr(set_up, "run", recorder.run)
    monkeypatch.setattr(set_up.subprocess, "call", lambda command, **_: 0 if Path(command[0]).exists() else 1)
    monkeypatch.setattr(set_up.subprocess, "check_output", lambda command, **_: b"global.index-url='somewhere'\n")
    return recorder


def free(monkeypatch, gigabytes):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(0, 0, int(gigabytes * 1e9)))


def test_two_pinned_steps_after_the_environment(commands, tmp_path):
    set_up.main(tmp_path / "venv", "")
    assert commands.seen[0][1:3] == ["-m", "venv"]
    first, second = commands.installs()
    assert first[-1].endswith("requirements.txt")
    assert "--no-deps" not in first
    assert second[-1].endswith("requirements-no-deps.txt")
    assert "--no-deps" in second
    assert not (tmp_path / "venv" / set_up.UNFINISHED).exists()


@pytest.mark.parametrize(
    ("platform", "settings", "torch", "from_the_cpu_index"),
    [
        ("linux", b"", "", True),
        ("linux", b"global.extra-index-url='https://mirror.example/simple'\n", "", False),
        ("linux", b"", "pip", False),
        ("linux", b"global.index-url='https://mirror.example/simple'\n", "cpu", True),
        ("darwin", b"", "", False),  # pip's own source has the CPU build there
    ],
)
def test_the_small_torch_comes_first_where_pip_would_take_the_large_one(
    commands, tmp_path, monkeypatch, platform, settings, torch, from_the_cpu_index
):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(set_up.subprocess, "check_output", lambda command, **_: settings)
    set_up.main(tmp_path / "venv", torch)
    chosen = commands.installs()[0]
    assert (set_up.CPU_INDEX in chosen) == from_the_cpu_index
    assert len(commands.installs()) == 2 + from_the_cpu_index
    assert not from_the_cpu_index or chosen[-1].startswith("torch==")


def test_without_the_cpu_index_pip_goes_on_alone_unless_it_was_asked_for(commands, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(set_up.subprocess, "check_output", lambda command, **_: b"")
    commands.failing = set_up.CPU_INDEX
    set_up.main(tmp_path / "venv", "")
    assert "6.3 GB on disk" in capsys.readouterr().out
    assert len(commands.installs()) == 3
    with pytest.raises(SystemExit, match="could not be installed"):
        set_up.main(tmp_path / "venv", "cpu")


def test_an_old_python_is_told_so_before_anything_is_made(commands, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    with pytest.raises(
        SystemExit, match=r"Python 3\.11 or newer is needed, this is 3\.10(.|\n)*make book PYTHON=\S*python3"
    ):
        set_up.main(tmp_path / "venv", "")
    assert commands.seen == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("absent", "remedy"), [("ensurepip", r"apt-get install python3\.\d+-venv"), ("_ssl", "built without ssl")]
)
def test_a_python_without_what_is_needed_is_told_so_before_anything_is_made(
    commands, tmp_path, monkeypatch, absent, remedy
):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == absent else find(name))
    with pytest.raises(SystemExit, match=remedy):
        set_up.main(tmp_path / "venv", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("failing", "told", "message"),
    [
        ("-m venv", "", "venv module did not work"),
        ("-m venv", "OSError: [Errno 28] No space left on device", "is full(.|\n)*2.7 GB are needed|takes 2.7 GB"),
        ("requirements.txt", "ERROR: (from versions: none)\nERROR: No matching distribution", "the first set-up needs the network"),
        ("requirements.txt", "ERROR: (from versions: 1.0)\nERROR: No matching distribution", "Name another Python, one of 3.11 to 3.13"),
        ("requirements.txt", "OSError: [Errno 28] No space left on device", "is full(.|\n)*6.3 GB"),
        ("requirements-no-deps.txt", "OSError: [Errno 30] Read-only file system", "cannot be written to"),
        ("requirements-no-deps.txt", "something else", "could not be installed(.|\n)*Call make again"),
    ],
)  # fmt: skip
def test_a_failing_step_ends_with_its_remedy(commands, tmp_path, failing, told, message):
    commands.failing, commands.told = failing, told
    with pytest.raises(SystemExit, match=f"(?i){message}"):
        set_up.main(tmp_path / "venv", "")
    commands.failing = None
    set_up.main(tmp_path / "venv", "")  # and the next call recovers
    assert set_up.pip_works(tmp_path / "venv")


def begun(folder):
    folder.mkdir()
    (folder / set_up.UNFINISHED).touch()
    (folder / "lib").mkdir()


def without_pip(folder):
    make_environment(folder)
    set_up.python_of(folder).unlink()  # here an environment works when its interpreter is there


def unfinished_with_pip(folder):
    make_environment(folder)
    (folder / set_up.UNFINISHED).touch()


def half_discarded(folder):
    discarded = folder.with_name(folder.name + ".discarded")
    discarded.mkdir()
    (discarded / "lib").mkdir()


@pytest.mark.parametrize("left", [Path.mkdir, begun, without_pip, unfinished_with_pip, half_discarded])
def test_what_an_interrupted_creation_left_is_made_anew(commands, tmp_path, left):
    left(tmp_path / "venv")
    set_up.main(tmp_path / "venv", "")
    assert [command[1:3] for command in commands.seen].count(["-m", "venv"]) == 1
    assert set_up.pip_works(tmp_path / "venv")
    assert {path.name for path in tmp_path.iterdir()} == {"venv", "venv.lock"}


def test_a_sound_environment_is_kept(commands, tmp_path):
    make_environment(tmp_path / "venv")
    (tmp_path / "venv" / "mine").touch()
    set_up.main(tmp_path / "venv", "")
    assert (tmp_path / "venv" / "mine").exists()
    assert len(commands.seen) == 2


def test_a_package_that_pip_did_not_finish_is_installed_again(commands, tmp_path):
    make_environment(tmp_path / "venv")
    packages = tmp_path / "venv/lib/python3.11/site-packages"
    for name, files in (("whole", ["INSTALLER", "RECORD"]), ("half", ["INSTALLER"]), ("part", ["RECORD"])):
        (packages / f"{name}-1.0.dist-info").mkdir(parents=True)
        for file in files:
            (packages / f"{name}-1.0.dist-info" / file).touch()
    set_up.main(tmp_path / "venv", "")
    assert [path.name for path in packages.iterdir()] == ["whole-1.0.dist-info"]


def test_a_folder_of_somebodys_own_is_never_touched(commands, tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(SystemExit, match="is there already and is no Python environment"):
        set_up.main(tmp_path, "")
    assert commands.seen == []
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_small_disk_is_told_before_anything_is_made(commands, tmp_path, monkeypatch):
    free(monkeypatch, 2.0)
    with pytest.raises(SystemExit, match=r"2\.0 GB are free(.|\n)*takes 2\.7 GB, or 6\.3 GB"):
        set_up.main(tmp_path / "venv", "")
    free(monkeypatch, 3.0)
    with pytest.raises(SystemExit, match=r"3\.0 GB are free"):
        set_up.main(tmp_path / "venv", "pip")
    assert commands.seen == []
    set_up.main(tmp_path / "venv", "cpu")


@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.EROFS, "Copy the book to a folder of your own"), (errno.ENOSPC, "Make room")]
)
def test_a_folder_that_takes_nothing_gets_the_remedy_for_its_reason(tmp_path, monkeypatch, number, remedy):
    def refuse(*_, **__):
        raise OSError(number, "refused")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SystemExit, match=remedy):
        set_up.main(tmp_path / "venv", "")


def test_two_set_ups_take_turns(tmp_path):
    held = set_up.take_turns(tmp_path / "venv")
    program = f"from tools import set_up; from pathlib import Path; set_up.take_turns(Path({str(tmp_path / 'venv')!r}))"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(set_up.__file__).parents[1]) as second:
        assert second.stdout.readline() == "\n"
        assert second.stdout.readline().startswith("== Another set-up of")
        assert second.poll() is None
        held.close()
        assert second.wait() == 0


def test_what_a_command_says_is_passed_on_and_kept(capfd):
    program = "import sys; print('out'); sys.stderr.write('a reason\\n'); sys.exit(3)"
    assert set_up.run([sys.executable, "-c", program]) == (3, "a reason\n")
    assert capfd.readouterr() == ("out\n", "a reason\n")


def test_another_build_of_torch_is_refused(commands, tmp_path):
    with pytest.raises(SystemExit, match="TORCH must be cpu or pip, got 'cuda'"):
        set_up.main(tmp_path / "venv", "cuda")


def test_an_old_python_can_read_the_file():
    # A SyntaxError would stand where the sentence should. Python 2.7 knows none of these.
    tree = ast.parse(Path(set_up.__file__).read_text(), feature_version=(3, 4))
    modern = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.Nonlocal, ast.AsyncFunctionDef, ast.YieldFrom)
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, modern)] == []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert not any([node.args.kwonlyargs, node.returns, *(given.annotation for given in node.args.args)])
        if isinstance(node, ast.Call):  # f(*a, b) and [*a, b] came later
            assert not any(isinstance(given, ast.Starred) for given in node.args[:-1]), node.lineno
        if isinstance(node, ast.List | ast.Tuple):
            assert not any(isinstance(element, ast.Starred) for element in node.elts), node.lineno
        if isinstance(node, ast.Raise):
            assert node.cause is None, node.lineno
