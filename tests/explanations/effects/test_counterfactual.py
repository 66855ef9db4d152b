"""The nearest row on the grid, by brute force and where it can be seen."""

from itertools import combinations, product

import pytest
import torch
from torch.testing import assert_close

from lib.core import seeded
from lib.explanations import counterfactuals

X = torch.randn(60, 4, generator=seeded(0)).double() * torch.tensor([1.0, 3.0, 0.1, 1.0])


def bent(x):
    return torch.stack([x[:, 0] * 0, x[:, 0] * x[:, 1] + 5 * x[:, 2] + x[:, 3]], dim=1)


@pytest.mark.equation("eq-counterfactual")
def test_it_is_the_nearest_of_all_rows_of_the_grid():
    changeable, level = (0, 1, 2), 2.5
    scale = X.std(dim=0, correction=0)
    found = counterfactuals(bent, X[:5], 1, level=level, background=X, changeable=changeable, values=6, chunk_size=11)
    # The smallest value that a share of the background does not exceed.
    ordered = X.sort(dim=0).values
    grid = ordered[[0, 11, 23, 35, 47, 59]]
    for row in range(5):
        best = (torch.inf, None)
        for columns in combinations(changeable, 2):
            for places in product(range(7), repeat=2):  # the seventh leaves the column as it is
                other = X[row].clone()
                for column, place in zip(columns, places, strict=True):
                    if place < 6:
                        other[column] = grid[place, column]
                if bent(other[None])[0, 1] >= level:
                    distance = ((other - X[row]).abs() / scale).sum().item()
                    best = min(best, (distance, other), key=lambda pair: pair[0])
        assert found.distance[row].item() == pytest.approx(best[0])
        assert_close(found.points[row], best[1])
    assert (found.distance > 0).any()
    assert torch.equal(found.points[:, 3], X[:5, 3])


def test_an_example_at_the_level_stays_and_one_that_cannot_reach_it_is_not_found():
    x = torch.tensor([[0.0, 1.0], [3.0, 0.0], [1.0, 0.0]])
    found = counterfactuals(lambda x: x, x, 0, level=3.0, background=x, changeable=[1], changes=1)
    assert found.found.tolist() == [False, True, False]
    assert found.distance.tolist() == [torch.inf, 0, torch.inf]
    assert torch.equal(found.points[1], x[1])
    assert found.points[0].isnan().all()


def test_columns_are_measured_in_their_own_spread():
    # A step of 100 in the first column is a tenth of its spread; a step of 1 in the second is one whole.
    background = torch.tensor([[0.0, 0.0], [2000.0, 2.0], [100.0, 1.0], [0.0, 2.0], [2000.0, 0.0]])
    found = counterfactuals(
        lambda x: x[:, :1] / 100 + x[:, 1:], torch.zeros(1, 2), 0, level=1.0, background=background, changeable=[0, 1]
    )
    assert found.points.tolist() == [[100.0, 0.0]]
    assert found.distance.item() == pytest.approx(100 / background[:, 0].double().std(correction=0).item())


def test_one_change_is_allowed_one_change_and_two_reach_further():
    def both(x):
        return x.sign().sum(1, keepdim=True)

    x = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    knobs = {"level": 2.0, "background": x, "changeable": [0, 1]}
    assert counterfactuals(both, x[:1], 0, changes=1, **knobs).found.tolist() == [False]
    assert counterfactuals(both, x[:1], 0, changes=5, **knobs).points.tolist() == [[1, 1]]


def test_arguments_follow_their_rows_and_nothing_of_the_callers_moves():
    x, shift = torch.tensor([[0.0], [0.0], [0.0]]), torch.tensor([[0.0], [1.0], [5.0]])
    kept = x.clone()
    background = torch.arange(4.0)[:, None]
    found = counterfactuals(
        lambda x, s: x + s, x, 0, level=3.0, background=background, changeable=[0], arguments=(shift,), chunk_size=2
    )
    assert found.points.tolist() == [[3.0], [2.0], [0.0]]
    assert torch.equal(x, kept)
