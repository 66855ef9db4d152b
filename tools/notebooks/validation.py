"""Proving stored outputs: every notebook runs again with the network off and must show the same.

nbval compares text, HTML and LaTeX strictly but never looks at images; `compare_pictures`, which
`chapters/conftest.py` calls after each cell, does. `nbval-ignore-output` excuses a cell from both.
"""

import base64
import io
import os
import sys
from pathlib import Path

import numpy as np
from matplotlib import image

from tools.notebooks.files import ROOT

CELL_TIMEOUT = 300  # seconds, as in `execute`
NBVAL = [
    "--nbval",
    "--nbval-current-env",
    f"--nbval-cell-timeout={CELL_TIMEOUT}",
    f"--nbval-sanitize-with={ROOT / 'sanitize.cfg'}",
]

# Pictures are compared by the mean colours of small blocks, so that a line which another CPU's last
# bit moves by one pixel stays equal: two pixels wide, it shifts at most 1/8 of one block's range.
_BLOCK = 8  # pixels
_VISIBLE = 0.15  # change of a block's mean, of the range of a channel
_INK = 0.02  # difference from the background that makes a block part of the drawing
_LARGEST_SHARE = 0.05  # of the drawing's blocks


def command(paths: list[Path], workers: int) -> list[str]:
    """The whole command line: network off, one notebook to one worker, strict comparison."""
    pytest = [sys.executable, "-m", "pytest", "-n", str(workers), "--dist", "loadfile", *NBVAL]
    return [sys.executable, "-m", "tools.offline", *pytest, *map(str, paths)]


def verify(paths: list[Path], workers: int) -> None:
    """Become that command."""
    arguments = command(paths, workers)
    os.execv(arguments[0], arguments)


def compare_pictures(stored: list[dict], fresh: list[dict]) -> str:
    """How the PNG images of two lists of outputs differ; empty when a reader would see the same."""
    before, after = _pictures(stored), _pictures(fresh)
    if len(before) != len(after):
        return f"{len(before)} pictures are stored, {len(after)} were drawn"
    for left, right in zip(before, after, strict=True):
        if left.shape != right.shape:
            return f"the stored picture is {left.shape[1]} × {left.shape[0]}, the new one {right.shape[1]} × {right.shape[0]}"
        share = _changed_share(left, right)
        if share > _LARGEST_SHARE:
            return f"{share:.0%} of the picture changed visibly; at most {_LARGEST_SHARE:.0%} may"
    return ""


def _pictures(outputs: list[dict]) -> list[np.ndarray]:
    found = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    return [_on_white(image.imread(io.BytesIO(base64.b64decode(png)), format="png")) for png in found]


def _on_white(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 2:
        pixels = np.stack([pixels] * 3, axis=-1)
    opacity = pixels[..., 3:] if pixels.shape[-1] == 4 else 1.0
    return pixels[..., :3] * opacity + (1 - opacity)


def _changed_share(before: np.ndarray, after: np.ndarray) -> float:
    """The share of changed blocks among those on which either picture has something."""
    before, after = _block_means(before), _block_means(after)
    background = before[0, 0]
    ink = np.maximum(np.abs(before - background).max(-1), np.abs(after - background).max(-1)) > _INK
    changed = np.abs(before - after).max(-1) > _VISIBLE
    return float(changed.sum() / max(1, ink.sum()))


def _block_means(pixels: np.ndarray) -> np.ndarray:
    height, width = (-(-size // _BLOCK) * _BLOCK for size in pixels.shape[:2])
    padding = ((0, height - pixels.shape[0]), (0, width - pixels.shape[1]), (0, 0))
    padded = np.pad(pixels, padding, mode="edge")
    return padded.reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK, 3).mean(axis=(1, 3))
