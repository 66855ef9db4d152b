"""python -m tools.stage NAME command…: run one stage of `make test`, alone in this folder, and note how long it takes.

A second run of the same stage waits for the first one and says so: two `make test` at once both come to their end. Without a command
it prints the seconds of all stages, and what a chapter costs. While the stage is pytest, this module is also its plugin: it tells
the seconds that chapters take (tests whose name holds the path of one) from those that are the same with any number of chapters.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "_build" / "stages"
STAGES = ("unit", "notebooks", "site")
PLANNED = 45  # chapters of the finished book
_NOTES = "BOOK_STAGE_NOTES"  # where the plugin leaves the chapters' share


@contextlib.contextmanager
def alone(name: str, folder: Path = FOLDER) -> Iterator[None]:
    """Wait until no other process runs this stage in this folder. The system lets go of the lock, whatever ends its holder."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)  # a command that outlives this process still holds it
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print(f"== Another run of `{name}` is at work in this folder; waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(name: str, command: list[str], folder: Path = FOLDER) -> int:
    """Run the command as that stage; its seconds are kept when it succeeds. While pages are judged, none are rendered."""
    with contextlib.ExitStack() as held:
        for lock in ["book", "site"] if name == "site" else [name]:
            held.enter_context(alone(lock, folder))
        notes = folder / f"{name}.json"
        notes.unlink(missing_ok=True)
        plugins = ",".join(filter(None, [os.environ.get("PYTEST_PLUGINS"), "tools.stage"]))
        environment = {**os.environ, _NOTES: str(notes), "PYTEST_PLUGINS": plugins}
        started = time.monotonic()
        with subprocess.Popen(command, env=environment, close_fds=False) as process:
            while (status := _status(process)) is None:
                pass  # Ctrl-C reaches the command as well: what it says of it comes first
        seconds = time.monotonic() - started
        if status == 0:
            share = json.loads(notes.read_text())["share"] if notes.exists() else 0.0
            notes.write_text(json.dumps({"seconds": seconds, "chapters": share * seconds}))
        return status


def _status(process: subprocess.Popen) -> int | None:
    try:
        return process.wait()
    except KeyboardInterrupt:
        return None


def report(chapters: int, folder: Path = FOLDER) -> str:
    """One line on the stages that have run, one on a chapter."""
    noted = {
        name: json.loads((folder / f"{name}.json").read_text()) for name in STAGES if (folder / f"{name}.json").exists()
    }
    if not noted or not chapters:
        return "no stage has been timed yet"
    total = sum(stage["seconds"] for stage in noted.values())
    each = {name: stage["chapters"] / chapters for name, stage in noted.items()}
    planned = total + (PLANNED - chapters) * sum(each.values())
    stages = ", ".join(f"{name} {stage['seconds']:.0f} s" for name, stage in noted.items())
    parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in each.items())
    return (
        f"{stages}: {total / 60:.1f} min for {chapters} chapters\n"
        f"Seconds per chapter: {sum(each.values()):.1f} ({parts}); {PLANNED} chapters would take {planned / 60:.0f} min"
    )


class _Shares:
    """Adds up what pytest says of each test."""

    def __init__(self, notes: str) -> None:
        self.notes = Path(notes)
        self.seconds = {True: 0.0, False: 0.0}

    def pytest_runtest_logreport(self, report) -> None:
        self.seconds["chapters/" in report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        total = sum(self.seconds.values())
        self.notes.write_text(json.dumps({"share": self.seconds[True] / total if total else 0.0}))


def pytest_configure(config) -> None:
    """Hook of pytest: the process that sees all reports keeps the notes; workers, and pytest within a test, know nothing of it."""
    if notes := os.environ.pop(_NOTES, ""):
        others = [name for name in os.environ.pop("PYTEST_PLUGINS", "").split(",") if name not in ("", "tools.stage")]
        os.environ |= {"PYTEST_PLUGINS": ",".join(others)} if others else {}
        config.pluginmanager.register(_Shares(notes))


def main(arguments: list[str] | None = None) -> int:
    """Run a stage, or report."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) == 1:
        print("usage: python -m tools.stage [NAME command…]", file=sys.stderr)
        return 2
    if arguments:
        return run(arguments[0], arguments[1:])
    from tools.notebooks import chapter_paths

    print(report(len(chapter_paths())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
