"""Setting up says what is missing instead of failing in the middle."""

import ast
import sys
from pathlib import Path

import pytest

from tools import set_up


class Commands:
    """Stands in for `subprocess.call`: records each command, and fails those that hold a chosen text."""

    def __init__(self):
        self.seen = []
        self.failing = None

    def __call__(self, command):
        self.seen.append(command)
        return int(self.failing is not None and self.failing in " ".join(command))


@pytest.fixture
def commands(monkeypatch):
    recorder = Commands()
    monkeypatch.setattr(set_up.subprocess, "call", recorder)
    return recorder


def test_two_pinned_steps_after_the_environment(commands, tmp_path):
    set_up.main(tmp_path / "venv")
    create, first, second = commands.seen
    assert create[1:3] == ["-m", "venv"]
    assert first[-1].endswith("requirements.txt")
    assert "--no-deps" not in first
    assert second[-1].endswith("requirements-no-deps.txt")
    assert "--no-deps" in second


def test_an_old_python_is_told_so_before_anything_is_made(commands, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    with pytest.raises(SystemExit, match=r"Python 3\.11 or newer is needed, this is 3\.10"):
        set_up.main(tmp_path / "venv")
    assert commands.seen == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("failing", "message"),
    [
        ("-m venv", "apt-get install python3-venv"),
        ("requirements.txt", "the packages could not be installed(.|\n)*needs the network"),
        ("requirements-no-deps.txt", "the packages could not be installed(.|\n)*needs the network"),
    ],
)
def test_a_failing_step_ends_with_a_sentence(commands, tmp_path, failing, message):
    commands.failing = failing
    with pytest.raises(SystemExit, match=message):
        set_up.main(tmp_path / "venv")


def test_an_old_python_can_read_the_file():
    # Feature by feature, as far back as 3.6: otherwise a SyntaxError stands where the sentence should.
    ast.parse(Path(set_up.__file__).read_text(), feature_version=(3, 6))
