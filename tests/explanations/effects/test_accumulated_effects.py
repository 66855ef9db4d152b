"""Accumulated local effects: by the paper's formula as a loop, in closed form, and without rows far from the data."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from lib.core import seeded
from lib.explanations import accumulated_effects, accumulated_interaction

RHO = 0.8


def correlated(rows, correlation=RHO):
    """Three standard normal columns, of which the first two are correlated."""
    x = torch.randn(rows, 3, generator=seeded(3), dtype=torch.float64)
    x[:, 1] = correlation * x[:, 0] + (1 - correlation**2) ** 0.5 * x[:, 1]
    return x


def curved(z):
    return z[:, [0]].sin() * z[:, [1]] + z[:, [1]] * z[:, [2]] + z[:, [0]] ** 2


def by_the_paper(model, x, feature, intervals):
    """Apley & Zhu 2020, the estimate of main effects, with the sample's own quantiles; not centred."""
    ordered = sorted(x[:, feature].tolist())
    edges = [ordered[0]] + [ordered[-(-k * len(ordered) // intervals) - 1] for k in range(1, intervals + 1)]
    total, values = 0.0, [0.0]
    for k in range(1, intervals + 1):
        inside = [row for row in x if edges[k - 1] < row[feature] <= edges[k] or (k == 1 and row[feature] == edges[0])]
        differences = []
        for row in inside:
            up, down = row.clone(), row.clone()
            up[feature], down[feature] = edges[k], edges[k - 1]
            differences.append((model(up[None]) - model(down[None])).item())
        total += sum(differences) / len(differences)
        values.append(total)
    return torch.tensor(edges, dtype=x.dtype), torch.tensor(values, dtype=x.dtype)


@pytest.mark.equation("eq-ale")
@pytest.mark.parametrize("feature", [0, 1, 2])
def test_a_loop_that_reads_like_the_paper_agrees(feature):
    x = correlated(53)
    edges, values = by_the_paper(curved, x, feature, 7)
    ours = accumulated_effects(curved, x, 0, feature, intervals=7, chunk_size=11)
    assert torch.equal(ours.grid, edges)
    # Only the constant is chosen otherwise: the broken line has mean 0 over the examples.
    assert_close(ours.values.diff(), values.diff())
    positions = torch.searchsorted(edges[1:-1].contiguous(), x[:, feature].contiguous())
    share = (x[:, feature] - edges[positions]) / edges.diff()[positions]
    at_examples = ours.values[positions] + share * ours.values.diff()[positions]
    assert_close(at_examples.mean(), torch.zeros((), dtype=x.dtype), rtol=0, atol=1e-12)
    assert ours.counts.sum() == 53
    assert ours.counts.tolist() == torch.bincount(positions).tolist()


@given(st.integers(1, 9), st.floats(-2, 2), st.floats(-0.99, 0.99))
def test_a_linear_model_has_its_slope_whatever_the_columns_have_to_do_with_each_other(intervals, slope, correlation):
    x = correlated(40, correlation)
    model = lambda z: slope * z[:, [0]] - 3 * z[:, [1]]  # noqa: E731
    ours = accumulated_effects(model, x, 0, 0, intervals=intervals)
    # Sums of nine differences of numbers of about 10.
    assert_close(ours.values, slope * (ours.grid - x[:, 0].mean()), rtol=0, atol=1e-12)


def test_a_product_of_correlated_columns_has_the_parabola_that_the_theory_gives():
    x = correlated(40_000)
    ours = accumulated_effects(lambda z: z[:, [0]] * z[:, [1]], x, 0, 0, intervals=60)
    inner = slice(3, -3)  # the outermost intervals are wide: the slope there is taken at their mean
    # The slope at x is E[z₁ | z₀ = x] = ρ x. 667 examples an interval scatter its mean by 0.6/√667 = 0.02, over steps of 0.05.
    assert_close(ours.values[inner], RHO * (ours.grid[inner] ** 2 - 1) / 2, rtol=0, atol=0.03)


@pytest.mark.equation("eq-ale-interaction")
def test_second_order_is_what_the_theory_gives_for_a_product():
    x = correlated(40_000)
    ours = accumulated_interaction(
        lambda z: 5 * z[:, [0]].exp() - z[:, [2]] + z[:, [0]] * z[:, [1]], x, 0, (0, 1), intervals=30
    )
    u, v = ours.grids[0][:, None], ours.grids[1]
    expected = u * v - RHO * (u**2 + v**2) / 2
    inner = (slice(2, -2), slice(2, -2))
    # Conditional means ρ x of about 1,333 examples, added up over intervals, as above.
    assert_close(ours.values[inner], expected[inner], rtol=0, atol=0.05)
    assert ours.counts.sum() == 40_000


def test_second_order_of_a_loop_over_cells_agrees_where_every_cell_holds_an_example():
    x = correlated(400, 0.0)
    ours = accumulated_interaction(curved, x, 0, (2, 0), intervals=4, chunk_size=29)
    assert ours.counts.min() > 0
    mean = torch.zeros(4, 4, dtype=x.dtype)
    down, across = ours.grids
    for i in range(4):
        for j in range(4):
            inside = (x[:, 2] <= down[i + 1]) & ((x[:, 2] > down[i]) | (i == 0))
            inside &= (x[:, 0] <= across[j + 1]) & ((x[:, 0] > across[j]) | (j == 0))
            assert ours.counts[i, j] == inside.sum()
            corners = {}
            for a in (0, 1):
                for b in (0, 1):
                    moved = x[inside].clone()
                    moved[:, 2], moved[:, 0] = down[i + a], across[j + b]
                    corners[a, b] = curved(moved).mean()
            mean[i, j] = corners[1, 1] - corners[1, 0] - corners[0, 1] + corners[0, 0]
    # Main effects and the constant have no second difference.
    assert_close(ours.values.diff(dim=0).diff(dim=1), mean)


def test_second_order_has_no_effect_of_either_column_and_mean_zero():
    x = correlated(300)
    ours = accumulated_interaction(curved, x, 0, (0, 1), intervals=6)

    def surface(z):  # the bilinear surface as a model of its own
        total = 0.0
        weights = []
        for column, grid in enumerate(ours.grids):
            k = torch.searchsorted(grid[1:-1].contiguous(), z[:, column].contiguous())
            share = (z[:, column] - grid[k]) / grid.diff()[k]
            weights.append((k, share))
        (i, s), (j, t) = weights
        for a in (0, 1):
            for b in (0, 1):
                factor = (s if a else 1 - s) * (t if b else 1 - t)
                total = total + factor * ours.values[i + a, j + b]
        return total[:, None]

    zero = torch.zeros(7, dtype=x.dtype)
    assert ours.values.abs().max() > 0.1
    for column in (0, 1):
        assert_close(accumulated_effects(surface, x, 0, column, intervals=6).values, zero, rtol=0, atol=1e-12)
    assert abs(surface(x).mean()) < 1e-12


def test_a_sum_has_no_second_order_effect_and_empty_cells_continue_a_product():
    x = correlated(200, 0.95)
    nothing = accumulated_interaction(lambda z: z[:, [0]].exp() + z[:, [1]] * z[:, [2]], x, 0, (0, 1), intervals=8)
    assert_close(nothing.values, torch.zeros_like(nothing.values), rtol=0, atol=1e-12)
    product = accumulated_interaction(lambda z: z[:, [0]] * z[:, [1]], x, 0, (0, 1), intervals=8)
    assert (product.counts == 0).sum() > 20
    cells = product.grids[0].diff()[:, None] * product.grids[1].diff()
    assert_close(product.values.diff(dim=0).diff(dim=1), cells)


def test_no_example_is_moved_out_of_its_interval():
    x, seen = correlated(60), []

    def watching(z):
        seen.append(z.clone())
        return curved(z)

    ours = accumulated_effects(watching, x, 0, 0, intervals=5)
    for points in seen:
        assert torch.equal(points[:, 1:], x[:, 1:])
        k = torch.searchsorted(ours.grid[1:-1].contiguous(), x[:, 0].contiguous())
        assert ((points[:, 0] == ours.grid[k]) | (points[:, 0] == ours.grid[k + 1])).all()


def test_a_column_of_two_values_has_one_step():
    x = torch.tensor([[0.0, 1], [1, 2], [1, 3], [0, 6]])
    ours = accumulated_effects(lambda z: z[:, [0]] * z[:, [1]], x, 0, 0)
    assert ours.grid.tolist() == [0, 1]
    assert ours.counts.tolist() == [4]
    assert ours.values.tolist() == [-1.5, 1.5]  # the mean of the other factor is 3
