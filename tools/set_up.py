"""Make the book's environment: `python3 tools/set_up.py .venv [cpu|pip]`.

Runs under whatever Python a reader has, before anything is installed: the standard library only, and syntax that Python 2.7 can
read far enough to say that it is too old. It may be stopped at any moment; the next call finds out how far this one came.
"""

from __future__ import print_function

import errno
import os
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 13)
CPU_INDEX = "https://download.pytorch.org/whl/cpu"  # PyTorch's own, public
GIGABYTES = {"cpu": 2.7, "pip": 6.3}  # what an environment takes: with PyTorch's CPU build, with its CUDA build
UNFINISHED = ".unfinished"  # stands in an environment until pip works in it


def stop(reason, remedy):
    """End with one line on what is missing and one on how to mend it."""
    sys.exit("\n  Cannot set up the book: {}.\n  {}.\n".format(reason, remedy))


def say(step):
    """Announce a long step."""
    print("\n== " + step)
    sys.stdout.flush()


def main(folder, torch):
    """Create the environment in `folder` and install the pinned packages; `torch` is "cpu", "pip" or "" (decide here)."""
    require_this_python()
    from pathlib import Path

    root, folder = Path(__file__).resolve().parent.parent, Path(folder).absolute()
    if torch not in ("", "cpu", "pip"):
        stop(
            "TORCH must be cpu or pip, got {!r}".format(torch),
            "cpu is PyTorch's own CPU build, pip what pip's settings lead to",
        )
    require_own(folder)
    lock = take_turns(folder)
    try:
        require_room(folder, torch or "cpu")
        create(folder)
        install(folder, root, torch)
    finally:
        lock.close()


# The Python that runs this


def require_this_python():
    """Stop where the running Python is too old, or lacks what makes environments and fetches packages."""
    here = version(sys.version_info)
    if sys.version_info < OLDEST:
        stop(
            "Python {} or newer is needed, this is {}".format(version(OLDEST), here),
            "Install a newer Python and name it: make book PYTHON={}".format(newer_python()),
        )
    from importlib.util import find_spec

    if not (find_spec("venv") and find_spec("ensurepip")):
        stop(
            "this Python {} came without the modules venv and ensurepip".format(here),
            "On Debian and Ubuntu: apt-get install python{}-venv. Or name another: make book PYTHON=/path/to/python".format(
                here
            ),
        )
    if not find_spec("_ssl"):
        stop(
            "this Python {} was built without ssl, so that it can fetch no packages".format(here),
            "Name another: make book PYTHON=/path/to/python",
        )


def version(numbers):
    """(3, 11, 7) as "3.11"."""
    return ".".join(str(number) for number in numbers[:2])


def newer_python():
    """A Python on the PATH that is new enough, else an example."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        name = "python3.{}".format(minor)
        if any(os.access(os.path.join(place, name), os.X_OK) for place in os.environ.get("PATH", "").split(os.pathsep)):
            return name
    return "/path/to/python{}".format(version(NEWEST))


# The place


def require_own(folder):
    """Stop unless `folder` is absent, empty, an environment, or one that was begun: only such a one may be made anew."""
    ours = not folder.exists() or (
        folder.is_dir()
        and (not any(folder.iterdir()) or any((folder / name).exists() for name in ("pyvenv.cfg", UNFINISHED)))
    )
    if not ours:
        stop(
            "{} is there already and is no Python environment".format(folder),
            "Move it away, or name another place: make book VENV=/path/to/environment",
        )


def take_turns(folder):
    """Wait until no other set-up works on `folder`. The system lets go of the lock, whatever ends its holder and its pip."""
    path = folder.with_name(folder.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("w")
    except OSError as error:
        not_writable(path.parent, error)
    try:
        import fcntl
    except ImportError:  # Windows: taking turns is up to the reader there
        return lock
    os.set_inheritable(lock.fileno(), True)  # a pip that outlives this process still holds it
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        say("Another set-up of {} runs; waiting for it".format(folder))
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def require_room(folder, torch):
    """Stop where a new environment would not fit."""
    import shutil

    if (folder / ".ready").exists():
        return  # little is left to install
    there = sum(path.lstat().st_size for path in folder.rglob("*")) / 1e9
    free = shutil.disk_usage(str(folder.parent)).free / 1e9
    if there + free < GIGABYTES[torch]:
        disk_full(folder, "{:.1f} GB are free".format(free))


def not_writable(folder, error):
    """Stop: nothing can be written in the folder."""
    if error.errno == errno.ENOSPC:
        disk_full(folder, error.strerror)
    stop(
        "nothing can be written in {} ({})".format(folder, error.strerror),
        "Copy the book to a folder of your own and call make there",
    )


def disk_full(folder, reason):
    """Stop: there is no room for the environment."""
    stop(
        "the disk that holds {} is full ({})".format(folder, reason),
        "The environment takes {cpu} GB, or {pip} GB with PyTorch's CUDA build, and pip's cache half as much again. "
        "Make room and call make again, or name another place: make book VENV=/path/to/environment".format(**GIGABYTES),
    )


# The environment


def create(folder):
    """Leave an environment in `folder` in which pip works: the one that is there, or a new one."""
    discarded = folder.with_name(folder.name + ".discarded")
    try:
        remove(discarded)
        if pip_works(folder):
            return
        if folder.exists():
            say("The environment in {} is incomplete and is made anew".format(folder))
            folder.rename(discarded)  # at once: half a removal must not look like a folder of somebody's own
            remove(discarded)
        say("Creating the environment in {}".format(folder))
        folder.mkdir()
        (folder / UNFINISHED).touch()
    except OSError as error:
        not_writable(folder.parent, error)
    status, told = run([sys.executable, "-m", "venv", folder])
    (folder / UNFINISHED).unlink()
    if status != 0 or not pip_works(folder):
        (folder / UNFINISHED).touch()
        if "No space left" in told:
            disk_full(folder, "venv's own words stand above")
        stop(
            "Python's venv module did not work (its own words stand above)",
            "Name another Python, one of {} to {}: make book PYTHON=/path/to/python".format(
                version(OLDEST), version(NEWEST)
            ),
        )


def remove(folder):
    """Delete a folder that this program has set aside."""
    import shutil

    if folder.exists():
        shutil.rmtree(str(folder))


def python_of(folder):
    """The interpreter of an environment."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def pip_works(folder):
    """Was the environment completed, and does pip run in it?"""
    if (folder / UNFINISHED).exists():
        return False
    command = [str(python_of(folder)), "-m", "pip", "--version"]
    try:
        return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:  # no interpreter, or one that leads nowhere
        return False


# The packages


def install(folder, root, torch):
    """Install what the requirements pin; a package that an interrupted pip left half is installed again."""
    forget_half_packages(folder)
    pip = [python_of(folder), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    if torch == "cpu" or (not torch and sys.platform == "linux" and not pip_knows_a_source(folder)):
        [pin] = [line for line in (root / "requirements.txt").read_text().splitlines() if line.startswith("torch==")]
        say("Installing PyTorch's CPU build (0.2 GB to fetch)")
        status, told = run(pip + ["--no-deps", "--retries", "1", "--index-url", CPU_INDEX, pin])
        if status != 0 and torch == "cpu":
            stop_for(told, folder)
        if status != 0:
            say(
                "{} gave nothing; pip's own source may give the CUDA build, {} GB on disk".format(
                    CPU_INDEX, GIGABYTES["pip"]
                )
            )
    say("Installing the pinned packages (two to five minutes, once)")
    for arguments in (
        ["--requirement", root / "requirements.txt"],
        ["--no-deps", "--requirement", root / "requirements-no-deps.txt"],
    ):
        status, told = run(pip + arguments)
        if status != 0:
            stop_for(told, folder)


def forget_half_packages(folder):
    """pip takes a package for installed that it has begun; INSTALLER and RECORD come last: let it forget what lacks them."""
    for package in folder.glob("lib/python*/site-packages/*.dist-info"):
        if not ((package / "INSTALLER").exists() and (package / "RECORD").exists()):
            remove(package)


def pip_knows_a_source(folder):
    """Do pip's settings name where packages come from? Then torch comes from there as well."""
    told = subprocess.check_output([str(python_of(folder)), "-m", "pip", "config", "list"]).decode()
    return any("{}=".format(key) in told for key in ("index-url", "find-links", "no-index"))


REMEDIES = [  # (words of pip's, what they mean, remedy); the first that fits is told
    ("No space left on device", None, None),
    (
        "Read-only file system",
        "the environment cannot be written to",
        "Copy the book to a folder of your own and call make there",
    ),
    (
        "Permission denied",
        "the environment cannot be written to",
        "Copy the book to a folder of your own and call make there",
    ),
    (
        "(from versions: none)",
        "pip found no package at its source (its own words stand above)",
        "The first set-up needs the network: connect this machine, or set pip's proxy or index, and call make again. "
        "Later calls need no network",
    ),
    (
        "No matching distribution",
        "a pinned package is not there for this Python or this machine (pip's own words stand above)",
        "Name another Python, one of {} to {}: make book PYTHON=/path/to/python".format(
            version(OLDEST), version(NEWEST)
        ),
    ),
]


def stop_for(told, folder):
    """Stop with the remedy for what pip said."""
    for words, reason, remedy in REMEDIES:
        if words in told and reason is None:
            disk_full(folder, "pip's own words stand above")
        if words in told:
            stop(reason, remedy)
    stop(
        "the packages could not be installed (pip's own words stand above)",
        "Call make again, it goes on from here; the first set-up needs the network and {cpu} GB of disk, {pip} GB with PyTorch's "
        "CUDA build".format(**GIGABYTES),
    )


def run(command):
    """Run a command; its status, and what it said on standard error, which is passed on as it comes."""
    process = subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE, close_fds=False)
    told = []
    try:
        for line in iter(process.stderr.readline, b""):
            told.append(line.decode("utf-8", "replace"))
            sys.stderr.write(told[-1])
            sys.stderr.flush()
        return process.wait(), "".join(told)
    finally:
        if process.poll() is None:  # stopped by Ctrl-C
            process.terminate()
            process.wait()
        process.stderr.close()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        stop("expected a folder, got {}".format(sys.argv[1:]), "Usage: python3 tools/set_up.py .venv [cpu|pip]")
    try:
        main(sys.argv[1], (sys.argv + [""])[2])
    except KeyboardInterrupt:
        print("\n  Stopped. The next call goes on from here.\n")
        sys.exit(130)
