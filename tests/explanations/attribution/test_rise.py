"""Random masks: the mean over all masks by hand, the form of the masks, and where a square decides."""

import itertools

import pytest
import torch
from explained_models import build, sample
from torch.testing import assert_close

from lib.core import seeded
from lib.explanations import localisation, rise

WEIGHTS = torch.tensor([2.0, -1.0, 0.5, 0.0, 3.0, -2.0])


def product(x):
    return (x @ WEIGHTS + 2 * x[:, 0] * x[:, 3])[:, None]


@pytest.mark.equation("eq-rise")
def test_many_masks_come_to_the_mean_over_all_of_them():
    x, start = sample("rows")[:2], torch.linspace(-1, 1, 6)
    masks = torch.tensor(list(itertools.product([0.0, 1.0], repeat=6)))
    scores = product((start + masks[:, None] * (x - start)).flatten(0, 1)).reshape(64, 2)
    expected = (scores.T @ masks) / masks.sum(0) - scores.mean(0)[:, None]
    found = rise(product, x, 0, cells=(6,), generator=seeded(0), samples=40_000, baseline=start)
    # The scores spread by about 5; the mean of 20,000 masks that show an entry is right to 0.035.
    assert_close(found, expected, rtol=0, atol=0.15)
    assert expected.abs().max() > 2


def test_a_linear_model_is_explained_by_half_of_its_terms():
    x = sample("rows")
    found = rise(lambda z: (z @ WEIGHTS)[:, None], x, 0, cells=(6,), generator=seeded(0), samples=40_000)
    # Shown or not: w x or 0, of which the mean is half.
    assert_close(found, WEIGHTS * x / 2, rtol=0, atol=0.1)


def masks_of(cells, shape, samples=64):
    seen = []

    def model(points):
        seen.append(points.detach().clone())
        return points.flatten(1).sum(1, keepdim=True)

    rise(model, torch.ones(1, *shape), 0, cells=cells, generator=seeded(0), samples=samples)
    return torch.cat(seen)


def test_masks_are_smooth_between_cells_and_one_cell_takes_an_axis_as_a_whole():
    masks = masks_of((1, 3, 4), (3, 12, 20))
    assert torch.equal(masks[:, 0], masks[:, 2])  # all colours together
    assert 0.45 < masks.mean() < 0.55
    assert (masks >= 0).all()
    assert (masks <= 1).all()
    # Between the centres of two cells, 4 rows and 5 columns apart, a mask climbs in equal steps.
    assert masks.diff(dim=2).abs().max() <= 1 / 4 + 1e-6
    assert masks.diff(dim=3).abs().max() <= 1 / 5 + 1e-6
    assert (masks.amax((1, 2, 3)) - masks.amin((1, 2, 3)) > 0.5).float().mean() > 0.9


def test_the_grid_is_shifted_at_random():
    # In an enlarged grid of cells 5 wide the slope changes at the centres; unshifted, at two places only.
    bends = masks_of((1, 1, 4), (1, 1, 20), samples=400)[:, 0, 0].diff(dim=1).diff(dim=1).abs() > 1e-4
    assert (bends.float().mean(0) > 0.03).all()


def test_one_cell_an_entry_gives_coins():
    masks = masks_of((6,), (6,), samples=2000)
    assert set(masks.unique().tolist()) == {0, 1}
    assert (masks.mean(0) - 0.5).abs().max() < 0.05  # 4.5 standard deviations of 2,000 coins
    assert torch.corrcoef(masks.T).fill_diagonal_(0).abs().max() < 0.1


def test_a_square_that_decides_is_found():
    images = 0.1 * torch.rand(3, 1, 24, 24, generator=seeded(0))
    inside = torch.zeros(3, 1, 24, 24, dtype=torch.bool)
    for image, mark, (row, column) in zip(images, inside, [(2, 3), (12, 14), (15, 2)], strict=True):
        image[:, row : row + 7, column : column + 7] = 1.0
        mark[:, row : row + 7, column : column + 7] = True

    def model(x):  # fires on seven bright pixels by seven
        return torch.nn.functional.avg_pool2d(x, 7, stride=1).amax((2, 3))

    found = rise(model, images, 0, cells=(1, 6, 6), generator=seeded(0), samples=2000)
    assert localisation(found, inside).hit.tolist() == [1, 1, 1]
    assert (localisation(found, inside).rank > 0.6).all()  # 49 of 576 pixels


@pytest.mark.parametrize("chunk_size", [1, 5, 9])
@pytest.mark.parametrize("kind", ["images", "rows"])
def test_chunks_change_nothing(kind, chunk_size):
    model, x, target = build(kind)
    model, x = model.double(), x.double()
    knobs = {"cells": (1, 3, 3) if kind == "images" else (4,), "samples": 20}
    whole = rise(model, x, target, generator=seeded(0), **knobs)
    assert_close(rise(model, x, target, generator=seeded(0), chunk_size=chunk_size, **knobs), whole)


def test_an_entry_that_no_mask_shows_gets_zero():
    found = rise(product, torch.ones(1, 6), 0, cells=(6,), generator=seeded(0), samples=1)
    assert found.isfinite().all()
    assert (found == 0).all()  # of one mask the mean is the score itself
