"""Friedman's H²: by plain loops, in closed form, and for what does not interact."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from lib.core import seeded
from lib.explanations import interaction_strength


def table(rows=25):
    return torch.randn(rows, 4, generator=seeded(4), dtype=torch.float64)


def wiggly(z):
    return (z[:, [0]] * z[:, [1]]).tanh() + z[:, [1]] * z[:, [2]] - z[:, [3]].exp()


def dependence(model, x, columns):
    """Friedman's partial dependence at each example, row by row, less its mean."""
    values = []
    for row in x:
        mixed = x.clone()
        mixed[:, columns] = row[columns]
        values.append(model(mixed).mean())
    values = torch.stack(values)
    return values - values.mean()


@pytest.mark.equation("eq-friedman-h")
@pytest.mark.parametrize("pair", [(0, 1), (2, 1), (0, 3), (0, 2)])
def test_loops_that_read_like_the_paper_agree_for_a_pair(pair):
    x = table()
    first, second = (dependence(wiggly, x, [column]) for column in pair)
    together = dependence(wiggly, x, list(pair))
    left = (together - first - second).square().mean()
    ours = interaction_strength(wiggly, x, 0, *pair, chunk_size=31)
    assert_close(ours.share, (left / together.square().mean()).item(), rtol=1e-9, atol=1e-20)
    assert_close(ours.size, left.sqrt().item(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("feature", range(4))
def test_loops_that_read_like_the_paper_agree_for_one_against_all(feature):
    x = table()
    others = [column for column in range(4) if column != feature]
    whole = wiggly(x)[:, 0] - wiggly(x).mean()
    left = (whole - dependence(wiggly, x, [feature]) - dependence(wiggly, x, others)).square().mean()
    ours = interaction_strength(wiggly, x, 0, feature)
    assert_close(ours.share, (left / whole.square().mean()).item(), rtol=1e-9, atol=1e-20)


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0.1, 3))
def test_on_a_full_grid_the_share_of_a_product_is_its_share_of_the_variance(a, b, c):
    x = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 2)
    model = lambda z: a * z[:, [0]] + b * z[:, [1]] + c * z.prod(1, keepdim=True) + 7  # noqa: E731
    for ours in (interaction_strength(model, x, 0, 0, 1), interaction_strength(model, x, 0, 1)):
        assert_close(ours.share, c**2 / (a**2 + b**2 + c**2))
        assert_close(ours.size, c)


def test_a_sum_has_no_interaction_and_what_the_model_does_not_use_has_no_share():
    x = table()
    additive = lambda z: 1e6 + z[:, [0]].exp() - z[:, [1]] ** 3  # noqa: E731
    assert interaction_strength(additive, x, 0, 0, 1).share < 1e-18  # doubles beside 10⁶ have ten digits left
    assert interaction_strength(additive, x, 0, 2, 3).share == 0
    assert interaction_strength(additive, x.float(), 0, 2, 3).share == 0
    assert interaction_strength(lambda z: 0 * z[:, [0]], x, 0, 2, 3).share == 0
    # 29 equal means of tenths: less their mean, they are not zero but 1e-17.
    assert interaction_strength(lambda z: 0.1 * z[:, [0]] + 0.1, table(29), 0, 2, 3).share == 0


def test_the_unit_of_the_score_changes_the_size_and_not_the_share():
    ours = interaction_strength(wiggly, table(), 0, 0, 1)
    for unit in (1e-6, 1e6):
        scaled = interaction_strength(lambda z, unit=unit: unit * wiggly(z), table(), 0, 0, 1)
        assert_close(scaled.share, ours.share)
        assert_close(scaled.size, unit * ours.size)
