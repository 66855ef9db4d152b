"""Find a Chromium for the site checks, or install one: `python -m tools.chromium` prints its path.

Looked for in this order: the variable CHROMIUM, the usual names on PATH, a browser that playwright downloaded earlier. Otherwise it is
installed: by apt-get where that is permitted, else by playwright's own download. If that fails too, the message says what to do;
the site checks never skip themselves.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Headless and quiet: no background request of the browser's own may be taken for one of the book's.
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
REMEDY = """No Chromium was found, and it could not be installed here.
  On Debian and Ubuntu:  sudo apt-get install chromium
  Elsewhere:             python -m playwright install chromium
  Or name one:           CHROMIUM=/path/to/chrome make test"""


class ChromiumMissingError(RuntimeError):
    """No browser, and no way to get one."""


def find() -> Path | None:
    """The browser that is here already, if any.

    Raises:
        ChromiumMissingError: CHROMIUM names a file that cannot be run.
    """
    named = os.environ.get("CHROMIUM")
    if named:
        if not shutil.which(named):
            raise ChromiumMissingError(f"CHROMIUM must name a browser that can be run, got {named!r}")
        return Path(shutil.which(named))
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    return _playwrights_own()


def _playwrights_own() -> Path | None:
    """Asked in a process of its own: a playwright that already runs here would refuse a second one."""
    ask = "from playwright.sync_api import sync_playwright as p\nwith p() as started: print(started.chromium.executable_path)"
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    path = Path(told.stdout.strip())
    return path if path.is_file() else None


def install() -> Path:
    """Install a browser by the first way that works, saying on stderr what is being done.

    Raises:
        ChromiumMissingError: none did.
    """
    for commands in _ways():
        print(f"== Installing Chromium: {' '.join(commands[-1])}", file=sys.stderr, flush=True)
        if all(_succeeds(command) for command in commands) and (found := find()):
            return found
    raise ChromiumMissingError(REMEDY)


def _ways() -> list[list[list[str]]]:
    ways = []
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        apt = ["apt-get", "--quiet", "--yes"]
        ways.append([[*apt, "update"], [*apt, "install", "--no-install-recommends", "chromium"]])
    ways.append([[sys.executable, "-m", "playwright", "install", "chromium"]])
    return ways


def _succeeds(command: list[str]) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, stdout=sys.stderr, env=environment, check=False).returncode == 0


def main() -> int:
    """Print the path, or the reason why there is none."""
    try:
        print(find() or install())
    except ChromiumMissingError as error:
        print(f"\n  {error}\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
