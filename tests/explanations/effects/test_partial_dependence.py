"""Partial dependence and individual curves: by scikit-learn, in closed form, and what the grid may be."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import inspection
from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPRegressor
from torch.testing import assert_close

from lib.core import seeded
from lib.explanations import individual_effects, model_of, partial_dependence
from lib.explanations.effects.columns import quantile_edges


def table(rows=60, columns=4):
    return torch.randn(rows, columns, generator=seeded(2), dtype=torch.float64)


def fitted():
    """A forest of three classes and a network for one number, each beside the callable that explanations take."""
    x = table()
    y = x[:, 0] * x[:, 1] + x[:, 2]
    classes = (y > -0.5).long() + (y > 0.5).long()
    forest = RandomForestClassifier(7, random_state=0).fit(x.numpy(), classes.numpy())
    network = MLPRegressor(
        hidden_layer_sizes=(8,), activation="tanh", solver="lbfgs", max_iter=2000, random_state=0
    ).fit(x.numpy(), y.numpy())
    yield "forest", forest, model_of(forest)
    yield "network", network, model_of(network)


@pytest.mark.equation("eq-partial-dependence")
@pytest.mark.parametrize("feature", [0, 3])
def test_scikit_learn_gives_the_same_curves(feature):
    x, grid = table(), torch.tensor([-1.5, -0.2, 0.4, 2.0], dtype=torch.float64)
    for name, estimator, model in fitted():
        theirs = inspection.partial_dependence(
            estimator, x.numpy(), [feature], kind="both", method="brute", custom_values={feature: grid.numpy()}
        )
        target = 2 if name == "forest" else 0
        ours = partial_dependence(model, x, target, feature, grid=grid, chunk_size=37)
        each = individual_effects(model, x, target, feature, grid=grid)
        assert_close(ours.average, torch.from_numpy(theirs["average"][target]))
        assert_close(each.curves, torch.from_numpy(theirs["individual"][target]))
        assert_close(ours.spread, torch.from_numpy(theirs["individual"][target].std(0)))


@pytest.mark.equation("eq-ice")
def test_a_product_has_a_line_for_each_example_whose_slope_is_the_other_factor():
    x, grid = table(), torch.tensor([-1.0, 0.0, 3.0], dtype=torch.float64)
    product = lambda z: z[:, [0]] * z[:, [1]] + z[:, [2]]  # noqa: E731
    curves = individual_effects(product, x, 0, 0, grid=grid).curves
    assert_close(curves, x[:, 1, None] * grid + x[:, 2, None])
    assert_close(partial_dependence(product, x, 0, 0, grid=grid).average, x[:, 1].mean() * grid + x[:, 2].mean())


@pytest.mark.equation("eq-centred-ice")
@given(st.lists(st.floats(-3, 3), min_size=2, max_size=5, unique=True), st.data())
def test_centred_curves_coincide_for_a_sum_and_are_zero_at_their_anchor(values, data):
    x, grid = table(), torch.tensor(values, dtype=torch.float64)
    anchor = data.draw(st.integers(0, len(values) - 1))
    for model, additive in (
        (lambda z: z[:, [0]].exp() + z[:, [1]] * z[:, [2]], True),
        (lambda z: z[:, [0]] * z[:, [1]], False),
    ):
        centred = individual_effects(model, x, 0, 0, grid=grid).centred(anchor)
        assert (centred.curves[:, anchor] == 0).all()
        # A sum of e^3 and a product; both round in the sixteenth digit.
        alike = (centred.curves - centred.curves[0]).abs().max() < 1e-12
        assert alike == (additive or (grid - grid[anchor]).abs().max() < 1e-13)
    assert_close(centred.curves, x[:, [1]] * (grid - grid[anchor]))


@pytest.mark.parametrize(
    ("intervals", "edges"), [(1, [0, 9]), (3, [0, 3, 6, 9]), (4, [0, 2, 4, 7, 9]), (30, range(10))]
)
def test_edges_are_quantiles_of_the_sample_in_the_sense_of_the_smallest_value_not_exceeded_by_its_share(
    intervals, edges
):
    values = torch.arange(10.0)[torch.randperm(10, generator=seeded(0))]
    # k/K of ten values: the ⌈10 k / K⌉-th smallest, and the smallest itself for k = 0.
    expected = {"1": [0, 9], "3": [0, 3, 6, 9], "4": [0, 2, 4, 7, 9], "30": list(range(10))}[str(intervals)]
    assert quantile_edges(values, intervals).tolist() == expected == list(edges)


def test_a_column_of_few_values_has_a_grid_of_these():
    x = torch.tensor([[0.0, 1], [1, 2], [1, 3], [1, 4], [0, 5]])
    ours = partial_dependence(lambda z: z[:, [0]] * z[:, [1]], x, 0, 0, grid=10)
    assert ours.grid.tolist() == [0, 1]
    assert ours.average.tolist() == [0, 3]
