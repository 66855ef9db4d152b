"""How the score changes with one column while the others stay: for each example, and in the mean."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from lib.core.targets import Target
from lib.core.validation import check_finite, check_floating, check_not_empty, check_positive_int, check_rank
from lib.explanations.calls import explaining

from .columns import check_columns, check_table, quantile_edges, rows_at_once, scores_with

__all__ = ["IndividualEffects", "PartialDependence", "individual_effects", "partial_dependence"]


@dataclass(frozen=True)
class IndividualEffects:
    """One curve an example: its score (units: score) where the column has each value of the grid."""

    grid: Float[Tensor, " points"]
    curves: Float[Tensor, "batch points"]

    def centred(self, point: int = 0) -> "IndividualEffects":
        """The curves less their own value at one point of the grid, so that only shapes differ.

        Equation: eq-centred-ice. Goldstein et al. 2015, section 3.2, anchor at the smallest value, as here unless told.
        """
        return IndividualEffects(self.grid, self.curves - self.curves[:, point, None])


@dataclass(frozen=True)
class PartialDependence:
    """Mean of the individual curves, and their standard deviation over the examples, at each value of the grid."""

    grid: Float[Tensor, " points"]
    average: Float[Tensor, " points"]
    spread: Float[Tensor, " points"]


def individual_effects(
    model: Callable,
    inputs: Float[Tensor, "batch features"],
    target: Target,
    feature: int,
    *,
    grid: int | Float[Tensor, " points"] = 20,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> IndividualEffects:
    """Individual conditional expectation (ICE): each example's score while one column takes the values of a grid.

    Equation: eq-ice. Goldstein et al. 2015, section 3.1. The grid is given, or so many values at equally spaced
    quantiles of the column, both ends included; equal ones count once. The other columns stay, so that rows may arise
    that the data never hold. Units: score.

    >>> individual_effects(lambda x: x.prod(1, True), torch.tensor([[1.0, 2.0], [3.0, 5.0]]), 0, 0, grid=2).curves
    tensor([[ 2.,  6.],
            [ 5., 15.]])

    Raises:
        TypeError: inputs that are not floating point, a feature that is no int, a target that is no class index.
        ValueError: a column that is not there, a grid that is empty or holds NaN, inputs that are no table.
    """
    check_table(inputs)
    check_columns("feature", [feature], inputs)
    if not isinstance(grid, Tensor):
        check_positive_int("grid", grid)
        if grid == 1:
            raise ValueError("grid must hold at least 2 values when it is given as their number, got 1")
        grid = quantile_edges(inputs.detach()[:, feature], grid - 1)
    check_rank("grid", grid, "points")
    check_floating("grid", grid)
    check_not_empty("grid", grid)
    check_finite("grid", grid)
    grid = grid.detach().to(inputs)
    rows = rows_at_once(model, inputs, chunk_size)
    with explaining(model, inputs, target, arguments=arguments, chunk_size=rows) as score:
        return IndividualEffects(grid, scores_with(score, [feature], grid[:, None]).T)


def partial_dependence(
    model: Callable,
    inputs: Float[Tensor, "batch features"],
    target: Target,
    feature: int,
    *,
    grid: int | Float[Tensor, " points"] = 20,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> PartialDependence:
    """Partial dependence (PDP): the mean score if a column had one value for all examples, along a grid.

    Equation: eq-partial-dependence. Friedman 2001, section 8.2. The others keep the values that they have, whatever
    they have to do with the column: the expectation is over their marginal distribution, not the conditional one.
    Grid and errors as for `individual_effects`, of whose curves this is the mean. Units: score.

    >>> partial_dependence(lambda x: x.prod(1, True), torch.tensor([[1.0, 2.0], [3.0, 5.0]]), 0, 0, grid=2).average
    tensor([ 3.5000, 10.5000])
    """
    effects = individual_effects(model, inputs, target, feature, grid=grid, arguments=arguments, chunk_size=chunk_size)
    return PartialDependence(effects.grid, effects.curves.mean(0), effects.curves.std(0, correction=0))
