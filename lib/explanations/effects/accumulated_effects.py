"""Small local differences, averaged where the examples are and added up: effects without rows that the data never hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from lib.core.targets import Target
from lib.core.validation import check_positive_int
from lib.explanations.calls import Score, explaining

from .columns import check_columns, check_table, quantile_edges, rows_at_once

__all__ = ["AccumulatedEffects", "AccumulatedInteraction", "accumulated_effects", "accumulated_interaction"]


@dataclass(frozen=True)
class AccumulatedEffects:
    """The effect of a column at the edges of intervals (units: score), and how many examples each interval holds."""

    grid: Float[Tensor, " edges"]
    values: Float[Tensor, " edges"]
    counts: Int64[Tensor, " intervals"]


@dataclass(frozen=True)
class AccumulatedInteraction:
    """What two columns do beyond their own effects, at the corners of cells, and how many examples each cell holds."""

    grids: tuple[Float[Tensor, " rows"], Float[Tensor, " columns"]]
    values: Float[Tensor, "rows columns"]
    counts: Int64[Tensor, "cells_down cells_across"]


def accumulated_effects(
    model: Callable,
    inputs: Float[Tensor, "batch features"],
    target: Target,
    feature: int,
    *,
    intervals: int = 20,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> AccumulatedEffects:
    """Accumulated local effects (ALE) of one column, Apley & Zhu 2020, main effects.

    Equation: eq-ale. The column is cut at its quantiles. In each interval the examples that lie in it are moved to its two
    ends, others unchanged; the mean differences are added up. Between edges the curve is taken as linear, and its mean
    over the examples is 0 (the paper takes a step function there). Two model calls an example. Units: score.

    >>> accumulated_effects(lambda x: 3 * x, torch.tensor([[0.0], [1.0], [5.0]]), 0, 0, intervals=2).values
    tensor([-6., -3.,  9.])

    Raises:
        TypeError: inputs that are not floating point, a feature that is no int, a target that is no class index.
        ValueError: a column that is not there or is constant, fewer than 1 interval, inputs that are no table.
    """
    (edges,) = _edges(inputs, "feature", (feature,), intervals)
    rows = rows_at_once(model, inputs, chunk_size)
    with explaining(model, inputs, target, arguments=arguments, chunk_size=rows) as score:
        place = _Places(edges, score.inputs[:, feature])
        low, high = (_moved(score, {feature: edges[place.interval + side]}) for side in (0, 1))
        values = place.accumulated(high - low)
        return AccumulatedEffects(edges, values - place.between(values[:, None]).mean(), place.counts)


def accumulated_interaction(
    model: Callable,
    inputs: Float[Tensor, "batch features"],
    target: Target,
    features: tuple[int, int],
    *,
    intervals: int = 10,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> AccumulatedInteraction:
    """Second-order accumulated local effects of two columns, Apley & Zhu 2020.

    Equation: eq-ale-interaction. In each cell of the two grids the examples in it are moved to its four corners; the mean
    second differences are added up, and the accumulated effects of the sum in either column are taken off, so that both are
    0, and its mean over the examples too. Between corners the surface is bilinear. A cell without examples gets the second
    difference by area of the nearest cell that has some: read no value whose cells have no ``counts``. Units: score.

    >>> corners = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> accumulated_interaction(lambda x: x.prod(1, True), corners, 0, (0, 1)).values
    tensor([[ 0.2500, -0.2500],
            [-0.2500,  0.2500]])

    Raises:
        TypeError: inputs that are not floating point, features that are no ints, a target that is no class index.
        ValueError: columns that are not there, equal or constant, fewer than 1 interval, inputs that are no table.
    """
    if not isinstance(features, tuple) or len(features) != 2:
        raise TypeError(f"features must be a pair of two columns, got {features!r}")
    edges = _edges(inputs, "features", features, intervals)
    rows = rows_at_once(model, inputs, chunk_size)
    with explaining(model, inputs, target, arguments=arguments, chunk_size=rows) as score:
        down, across = (_Places(e, score.inputs[:, f]) for e, f in zip(edges, features, strict=True))
        second = 0.0
        for i in (0, 1):
            for j in (0, 1):
                corner = (edges[0][down.interval + i], edges[1][across.interval + j])
                second = second + (-1) ** (i + j) * _moved(score, dict(zip(features, corner, strict=True)))
    cells = (len(edges[0]) - 1, len(edges[1]) - 1)
    cell = down.interval * cells[1] + across.interval
    counts = torch.bincount(cell, minlength=cells[0] * cells[1]).view(cells)
    mean = second.new_zeros(cells[0] * cells[1]).index_add(0, cell, second).view(cells) / counts
    surface = F.pad(_filled(mean, counts, edges).cumsum(0).cumsum(1), (1, 0, 1, 0))
    # The surface's own effect of each column: its local differences where the examples are.
    own_down = down.accumulated(across.between(surface.T.diff(dim=1), down.interval))
    own_across = across.accumulated(down.between(surface.diff(dim=1), across.interval))
    surface = surface - own_down[:, None] - own_across
    surface_at = down.share * across.between(surface.T, down.interval + 1) + (1 - down.share) * across.between(
        surface.T, down.interval
    )
    return AccumulatedInteraction(edges, surface - surface_at.mean(), counts)


def _edges(inputs: Tensor, name: str, features: tuple[int, ...], intervals: int) -> tuple[Tensor, ...]:
    check_table(inputs)
    check_columns(name, features, inputs)
    check_positive_int("intervals", intervals)
    edges = tuple(quantile_edges(inputs.detach()[:, feature], intervals) for feature in features)
    for feature, cuts in zip(features, edges, strict=True):
        if len(cuts) < 2:
            raise ValueError(f"{name} must vary, got column {feature}, which is {cuts.item()} for all examples")
    return edges


def _moved(score: Score, columns: dict[int, Float[Tensor, " batch"]]) -> Float[Tensor, " batch"]:
    """Scores of the examples with some columns set, to one value for each example."""
    points = score.inputs.clone()
    for column, values in columns.items():
        points[:, column] = values
    return score.at(points)


class _Places:
    """Where examples lie between edges z₀ < z₁ < …: their interval (z_k, z_{k+1}], and the share of it left behind."""

    def __init__(self, edges: Float[Tensor, " edges"], values: Float[Tensor, " batch"]) -> None:
        self.interval = torch.searchsorted(edges[1:-1].contiguous(), values.contiguous())  # z₀ belongs to the first
        low = edges[self.interval]
        self.share = (values - low) / (edges[self.interval + 1] - low)
        self.counts = torch.bincount(self.interval, minlength=len(edges) - 1)

    def accumulated(self, differences: Float[Tensor, " batch"]) -> Float[Tensor, " edges"]:
        """Mean difference in each interval, added up from 0. No interval is empty: its upper edge is an example's value."""
        total = differences.new_zeros(len(self.counts)).index_add(0, self.interval, differences)
        return F.pad((total / self.counts).cumsum(0), (1, 0))

    def between(
        self, values: Float[Tensor, "edges others"], other: Int64[Tensor, " batch"] | int = 0
    ) -> Float[Tensor, " batch"]:
        """Values at the edges, interpolated linearly at the examples, each in its column ``other``."""
        low, high = values[self.interval, other], values[self.interval + 1, other]
        return low + self.share * (high - low)


def _filled(
    mean: Float[Tensor, "down across"], counts: Int64[Tensor, "down across"], edges: tuple[Tensor, Tensor]
) -> Float[Tensor, "down across"]:
    """Second differences where no example is: those by area of the nearest cell with examples, each range taken as 1."""
    full = counts.flatten() > 0
    scaled = [(cuts - cuts[0]) / (cuts[-1] - cuts[0]) for cuts in edges]
    area = (scaled[0].diff()[:, None] * scaled[1].diff()).to(mean)
    middles = torch.cartesian_prod(*((cuts[1:] + cuts[:-1]) / 2 for cuts in scaled))
    nearest = torch.cdist(middles, middles[full]).argmin(1)
    by_area = (mean / area).flatten()
    return torch.where(counts > 0, mean, by_area[full][nearest].view_as(mean) * area)
