"""What all effects do with a table: name its columns, cut one at its quantiles, score examples whose columns were set."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.validation import check_rank
from lib.explanations.calls import Score, at_least_single, check_inputs

__all__ = ["check_columns", "check_table", "quantile_edges", "rows_at_once", "scores_with"]

# An estimator's call costs milliseconds whatever it holds, and no graph is kept: four times as many numbers as a module
# gets at once, whose layers should fit the cache.
_NUMBERS_OF_A_CALLABLE = 2**19


def check_table(inputs: Tensor) -> None:
    """Require a table of finite floating-point numbers, ``[batch, features]``.

    Raises:
        TypeError: no tensor, or integers.
        ValueError: another number of axes, nothing in it, NaN or infinity.
    """
    check_inputs(inputs)
    check_rank("inputs", inputs, "batch features")


def check_columns(name: str, columns: Sequence[int], inputs: Tensor) -> None:
    """Require numbers of different columns of ``inputs``, counted from 0.

    Raises:
        TypeError: a number that is no int.
        ValueError: a column that is not there, or one named twice, or none.
    """
    if not columns:
        raise ValueError(f"{name} must name at least one column, got {columns!r}")
    for column in columns:
        if isinstance(column, bool) or not isinstance(column, int):
            raise TypeError(f"{name} must be the number of a column, an int, got {type(column).__name__} {column!r}")
        if not 0 <= column < inputs.shape[1]:
            raise ValueError(f"{name} must lie in 0 … {inputs.shape[1] - 1}, the columns of inputs, got {column}")
    if len(set(columns)) < len(columns):
        raise ValueError(f"{name} must name different columns, got {tuple(columns)}")


def rows_at_once(model: Callable, inputs: Tensor, chunk_size: int | None) -> int | None:
    """The chunk size that was asked for, or that suits a callable on the CPU; None leaves it to `explaining`."""
    if chunk_size is not None or isinstance(model, nn.Module) or inputs.device.type != "cpu":
        return chunk_size
    return max(1, _NUMBERS_OF_A_CALLABLE // inputs.shape[1])


def quantile_edges(values: Float[Tensor, " batch"], intervals: int) -> Float[Tensor, " edges"]:
    """Values that cut a sample into intervals of nearly equal counts: its smallest, its k/K-quantiles, its largest.

    The quantile of share k/K is the smallest value that k/K of the sample do not exceed, so every edge is a value of
    the sample. Ties make intervals fall together: K + 1 edges at most, strictly increasing.
    """
    ordered, levels = values.sort().values, torch.arange(intervals + 1, device=values.device)
    # ⌈k n / K⌉ − 1 in whole numbers, where k/K · n in floating point may fall on either side.
    places = (levels * len(values) + intervals - 1) // intervals - 1
    return ordered[places.clamp(min=0)].unique()


def scores_with(
    score: Score, columns: Sequence[int], values: Float[Tensor, "points columns"]
) -> Float[Tensor, "points batch"]:
    """Scores of all examples while ``columns`` hold one row of ``values`` after another, at least in single precision."""
    columns, values = list(columns), values.to(score.inputs)
    found = []
    for rows in score.rows.split(score.chunk):
        examples, blocks = score.inputs[rows], []
        for settings in values.split(max(1, score.chunk // len(rows))):
            points = examples.repeat(len(settings), 1, 1)  # settings × rows × features
            points[:, :, columns] = settings[:, None]
            scores = score.of(points.flatten(0, 1), rows.repeat(len(settings)))
            blocks.append(scores.view(len(settings), len(rows)))
        found.append(torch.cat(blocks))
    found = torch.cat(found, dim=1)
    return found.to(at_least_single(found.dtype))
