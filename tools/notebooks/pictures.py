"""Whether two drawings show a reader the same, and how much of one may change: `"book": {"picture": {"share": 0.15, "reason": …}}`."""

import base64
import io

import nbformat
import numpy as np

from tools.notebooks.tolerance import check_declaration, check_number

# Pictures are compared by the mean colours of small blocks, so that a line which another CPU's last
# bit moves by one pixel stays equal: two pixels wide, it shifts at most 1/8 of one block's range.
_BLOCK = 8  # pixels
_VISIBLE = 0.15  # change of a block's mean, of the range of a channel
_INK = 0.02  # difference from the background that makes a block part of the drawing
_USUAL_SHARE = 0.05  # of the drawing's blocks
_LARGEST_SHARE = 0.3  # that a cell may ask for


def allowed_share(cell: nbformat.NotebookNode) -> float:
    """The share of a picture's blocks that may change: what the cell declares, else a twentieth.

    Raises ValueError for a declaration without a reason or with a share that no longer tells two pictures apart.
    """
    declared = cell.metadata.get("book", {}).get("picture")
    if declared is None:
        return _USUAL_SHARE
    reason = check_declaration("book.picture", declared, {"share", "reason"})
    share = check_number("book.picture: share", declared.get("share"))
    if not _USUAL_SHARE < share <= _LARGEST_SHARE:
        raise ValueError(
            f"book.picture: share {share:g} must lie above the usual {_USUAL_SHARE} and be at most {_LARGEST_SHARE} ({reason})"
        )
    return share


def compare_pictures(stored: list[dict], fresh: list[dict], allowed: float = _USUAL_SHARE) -> str:
    """How the PNG images of two lists of outputs differ; empty when a reader would see the same."""
    try:
        share = largest_change(stored, fresh)
    except ValueError as error:
        return str(error)
    return f"{share:.0%} of the picture changed visibly; at most {allowed:.0%} may" if share > allowed else ""


def largest_change(stored: list[dict], fresh: list[dict]) -> float:
    """The share of the picture that changed visibly; of several pictures, the one that changed most.

    Raises ValueError when there are more pictures than before, or fewer, or of another size.
    """
    before, after = _pictures(stored), _pictures(fresh)
    if len(before) != len(after):
        raise ValueError(f"{len(before)} pictures are stored, {len(after)} were drawn")
    shares = [0.0]
    for left, right in zip(before, after, strict=True):
        if left.shape != right.shape:
            raise ValueError(
                f"the stored picture is {left.shape[1]} × {left.shape[0]}, the new one {right.shape[1]} × {right.shape[0]}"
            )
        shares.append(_changed_share(left, right))
    return max(shares)


def _pictures(outputs: list[dict]) -> list[np.ndarray]:
    from matplotlib import image  # here: most commands compare no picture

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
