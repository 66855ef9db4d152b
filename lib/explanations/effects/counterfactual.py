"""The nearest row to which the model answers otherwise, while only what may change changes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from numbers import Real

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lib.core.targets import Target
from lib.core.validation import as_number, check_positive_int
from lib.explanations.baselines import check_background
from lib.explanations.calls import Score, explaining

from .columns import check_columns, check_table, quantile_edges

__all__ = ["Counterfactuals", "counterfactuals"]


@dataclass(frozen=True)
class Counterfactuals:
    """One row for each example, at ``distance`` 0 where it reaches the level itself; NaN and ∞ where none was ``found``."""

    points: Float[Tensor, "batch features"]
    distance: Float[Tensor, " batch"]
    found: Bool[Tensor, " batch"]


def counterfactuals(
    model: Callable,
    inputs: Float[Tensor, "batch features"],
    target: Target,
    *,
    level: Real,
    background: Float[Tensor, "background features"],
    changeable: Sequence[int],
    changes: int = 2,
    values: int = 20,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> Counterfactuals:
    """The nearest row whose score is at least ``level``, with at most ``changes`` of the ``changeable`` columns changed.

    Equation: eq-counterfactual. Wachter, Mittelstadt & Russell 2017, with the distance of their section on the choice of
    distance function: absolute differences, each divided by the column's spread over the background (here the standard
    deviation, since the median deviation of a column of few values is 0). All rows are tried whose changed columns hold
    one of ``values`` quantiles of the background, so no gradient is needed and what is found is nearest on that grid.

    >>> x = torch.tensor([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]])
    >>> counterfactuals(lambda x: x, x[:1], 0, level=0.9, background=x, changeable=[0]).points
    tensor([[1., 0.]])

    Raises:
        TypeError: inputs that are not floating point, a background of another dtype, a level that is no number.
        ValueError: a column that is not there or constant in the background, a level that is not finite.
    """
    check_table(inputs)
    background = check_background(background, inputs)
    changeable = tuple(changeable)
    check_columns("changeable", changeable, inputs)
    check_positive_int("changes", changes)
    check_positive_int("values", values)
    level = as_number("level", level)
    if not math.isfinite(level):
        raise ValueError(f"level must be finite, got {level}")
    scale = background.double().std(dim=0, correction=0)
    for column in changeable:
        if scale[column] == 0:
            raise ValueError(
                f"changeable must name columns that vary over the background, got {column}, which is constant"
            )
    if values < 2:
        raise ValueError(f"values must be at least 2, got {values}")
    grids = {column: quantile_edges(background[:, column], values - 1) for column in changeable}
    wanted = _combined(grids, changes, inputs)
    points = torch.full_like(inputs, torch.nan)
    distance = points.new_full((len(inputs),), torch.inf)
    with explaining(model, inputs, target, arguments=arguments, chunk_size=chunk_size) as score:
        reached = score.at(score.inputs) >= level
        points[reached], distance[reached] = score.inputs[reached], 0
        for row in score.rows[~reached]:
            others = torch.where(wanted.isnan(), score.inputs[row], wanted)
            steps = (others - score.inputs[row]).double().abs()
            far = torch.where(steps > 0, steps / scale, 0).sum(dim=1)
            order = far.argsort(stable=True)
            place = _first(score, others[order], row, level)
            if place is not None:
                points[row], distance[row] = others[order[place]], far[order[place]]
    return Counterfactuals(points, distance, distance.isfinite())


def _combined(
    grids: dict[int, Float[Tensor, " values"]], changes: int, inputs: Float[Tensor, "batch features"]
) -> Float[Tensor, "rows features"]:
    """All settings of at most ``changes`` columns, NaN where a column stays as it is."""
    rows = []
    for count in range(1, min(changes, len(grids)) + 1):
        for columns in combinations(grids, count):
            settings = torch.cartesian_prod(*(grids[column] for column in columns)).reshape(-1, count)
            row = inputs.new_full((len(settings), inputs.shape[1]), torch.nan)
            row[:, columns] = settings
            rows.append(row)
    return torch.cat(rows)


def _first(score: Score, points: Float[Tensor, "points features"], row: Tensor, level: float) -> int | None:
    """Place of the first point whose score is at least ``level``; the model is asked no further than needed."""
    for start in range(0, len(points), score.chunk):
        part = points[start : start + score.chunk]
        reached = (score.of(part, row.expand(len(part))) >= level).nonzero()
        if len(reached):
            return start + reached[0].item()
    return None
