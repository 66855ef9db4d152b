"""Proving stored outputs: every notebook runs again with the network off and must show the same.

nbval runs the cells and compares text, HTML and LaTeX strictly; it never looks at images, knows no tolerance, and waits
for a dead kernel. `tools.notebooks.plugin`, a pytest plugin, adds that, and tries the exercises while the kernel is there.
`nbval-ignore-output` excuses a cell's outputs.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from tools.notebooks.files import ROOT

CELL_TIMEOUT = 300  # seconds, as in `execute`
NBVAL = [
    "--nbval",
    "--nbval-current-env",
    f"--nbval-cell-timeout={CELL_TIMEOUT}",
    f"--nbval-sanitize-with={ROOT / 'sanitize.cfg'}",
    "--continue-on-collection-errors",  # a damaged notebook loses nobody else's verdict
]


def command(paths: list[Path], workers: int, *options: str, environment: Mapping[str, str] | None = None) -> list[str]:
    """The whole command line: network off, one notebook to one worker, strict comparison.

    The longest notebooks come first, so that at the end no worker is left alone with one. `environment` is set in the
    kernels beside, or in place of, what every kernel of the book has.
    """
    side_by_side = ["-n", str(workers), "--dist", "loadfile", "--no-loadscope-reorder"]
    beside = side_by_side if workers > 1 else ["-n", "0"]  # alone: no other process
    pytest = [sys.executable, "-m", "pytest", *beside, "-p", "tools.notebooks.plugin"]
    kernels = [f"--in-kernels={name}={value}" for name, value in (environment or {}).items()]
    return [sys.executable, "-m", "tools.offline", *pytest, *NBVAL, *kernels, *options, *map(str, longest_first(paths))]


def longest_first(paths: list[Path]) -> list[Path]:
    """By the seconds that their last run took; of what has not been run, or cannot be read, the worst is assumed."""

    def seconds(path: Path) -> float:
        try:
            return float(json.loads(path.read_text(encoding="utf-8"))["metadata"]["book"]["running_seconds"])
        except (OSError, ValueError, LookupError, TypeError):
            return float("inf")

    return sorted(paths, key=seconds, reverse=True)


def verify(paths: list[Path], workers: int, *options: str) -> None:
    """Become that command."""
    arguments = command(paths, workers, *options)
    os.execv(arguments[0], arguments)
