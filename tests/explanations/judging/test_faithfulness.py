"""Deletion and insertion of a model whose probabilities can be written down."""

import pytest
import torch
from explained_models import build, sample
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from lib.core import seeded
from lib.explanations import deletion_curve, insertion_curve, saliency

WEIGHTS = torch.tensor([[3.0, -1.0, 0.5, 2.0, -2.0, 0.0], [0.0, 1.0, -0.5, 0.0, 1.0, 0.2]]).double()
X = torch.tensor([[1.0, 2.0, 3.0, -1.0, 0.5, 1.5], [-2.0, 0.1, 1.0, 1.0, 1.0, -1.0]]).double()
TARGET = torch.tensor([0, 1])


def model(x):
    """A linear classifier of two classes."""
    return x @ WEIGHTS.T


def by_hand(start, end, attributions, steps):
    """One example and one number of entries at a time, entry by entry."""
    curves = []
    for b in range(len(end)):
        order = sorted(range(6), key=lambda i: -attributions[b, i].item())
        probabilities = []
        for step in range(steps + 1):
            point = start[b].clone()
            for i in order[: round(6 * step / steps)]:
                point[i] = end[b, i]
            exponentials = (WEIGHTS @ point).exp()
            probabilities.append((exponentials[TARGET[b]] / exponentials.sum()).item())
        curves.append(probabilities)
    return torch.tensor(curves, dtype=torch.float64)


@pytest.mark.equation("eq-deletion-area")
@pytest.mark.parametrize("steps", [1, 4, 6])
def test_deletion_by_hand(steps):
    attributions = torch.randn(2, 6, generator=seeded(0)).double()
    curve = deletion_curve(model, X, TARGET, attributions, steps=steps, baseline=0.25)
    probability = by_hand(torch.full_like(X, 0.25), X, attributions, steps)
    expected = by_hand(X, torch.full_like(X, 0.25), attributions, steps)
    assert_close(curve.probability, expected)
    assert not torch.allclose(expected, probability)
    fraction = torch.tensor([round(6 * step / steps) / 6 for step in range(steps + 1)]).double()
    assert_close(curve.fraction, fraction)
    # The trapezoid rule, written out; the steps of four over six entries are not all of one width.
    width, height = fraction.diff(), (expected[:, 1:] + expected[:, :-1]) / 2
    assert_close(curve.area, (width * height).sum(1))


@pytest.mark.equation("eq-insertion-area")
@pytest.mark.parametrize("steps", [1, 4, 6])
def test_insertion_by_hand(steps):
    attributions = torch.randn(2, 6, generator=seeded(0)).double()
    baseline = torch.linspace(-1, 1, 6).double()
    curve = insertion_curve(model, X, TARGET, attributions, steps=steps, baseline=baseline)
    expected = by_hand(baseline.expand_as(X), X, attributions, steps)
    assert_close(curve.probability, expected)
    width, height = curve.fraction.diff(), (expected[:, 1:] + expected[:, :-1]) / 2
    assert_close(curve.area, (width * height).sum(1))


def test_the_true_order_beats_any_other():
    # For a linear model of two classes the entry's term in the difference of the logits is the whole truth.
    difference = WEIGHTS[TARGET] - WEIGHTS[1 - TARGET]
    truth = difference * X
    deleted = [deletion_curve(model, X, TARGET, order, steps=6).area for order in (truth, -truth)]
    inserted = [insertion_curve(model, X, TARGET, order, steps=6).area for order in (truth, -truth)]
    for seed in range(20):
        order = torch.randn(2, 6, generator=seeded(seed)).double()
        random_deletion = deletion_curve(model, X, TARGET, order, steps=6).area
        random_insertion = insertion_curve(model, X, TARGET, order, steps=6).area
        assert (deleted[0] <= random_deletion + 1e-12).all()
        assert (random_deletion <= deleted[1] + 1e-12).all()
        assert (inserted[1] <= random_insertion + 1e-12).all()
        assert (random_insertion <= inserted[0] + 1e-12).all()
    assert (deleted[1] - deleted[0] > 0.1).all()
    assert (inserted[0] - inserted[1] > 0.1).all()


@given(seed=st.integers(0, 2**31), steps=st.integers(1, 6))
def test_deleting_the_best_first_is_inserting_the_worst_first_read_backwards(seed, steps):
    attributions = torch.randn(2, 6, generator=seeded(seed)).double()
    deletion = deletion_curve(model, X, TARGET, attributions, steps=steps)
    insertion = insertion_curve(model, X, TARGET, -attributions, steps=steps)
    if 6 % steps == 0:  # else the rounded numbers of entries are not the same from both ends
        assert_close(deletion.probability.flip(1), insertion.probability)
        assert_close(deletion.area, insertion.area)
    assert_close(deletion.probability[:, [0, -1]], insertion.probability[:, [-1, 0]])


def test_an_axis_of_size_one_is_treated_as_a_whole():
    network, x, target = build("images")
    attributions = saliency(network, x, target)
    pixels = attributions.sum(1, keepdim=True)
    seen = []

    def watched(points):
        seen.append(points.clone())
        return network(points)

    curve = deletion_curve(watched, x, target, pixels, steps=8, baseline=7.0)
    points = torch.cat(seen).reshape(9, 4, 3, 6, 8)
    deleted = points == 7.0
    assert (deleted.sum((2, 3, 4)) == 3 * torch.arange(0, 49, 6)[:, None]).all()
    assert (deleted == deleted[:, :, :1]).all()  # all colours of a pixel, or none
    kept = torch.where(deleted[:, :, 0], torch.tensor(-torch.inf), pixels[:, 0]).amax((2, 3))
    gone = torch.where(deleted[:, :, 0], pixels[:, 0], torch.tensor(torch.inf)).amin((2, 3))
    assert (gone[1:] >= kept[1:]).all()  # what is gone was ranked above what is left
    tokens = insertion_curve(
        lambda z: z.sum(1)[:, :3], sample("tokens"), 0, sample("tokens").sum(2, keepdim=True), steps=5
    )
    assert_close(tokens.fraction, torch.linspace(0, 1, 6))
    assert curve.probability.shape == (4, 9)


def test_ties_are_deleted_from_the_front():
    seen = []
    deletion_curve(lambda x: seen.append(x) or model(x), X[:1], 0, torch.zeros(1, 6).double(), steps=3, baseline=9.0)
    assert (seen[0] == 9).int().tolist() == [[0] * 6, [1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0], [1] * 6]


def test_a_model_that_does_not_look_keeps_its_probability():
    curve = deletion_curve(lambda x: torch.tensor([[1.0, 2.0]]).repeat(len(x), 1), X.float(), 1, X.float(), steps=4)
    probability = torch.tensor(1.0).sigmoid()
    assert_close(curve.probability, probability.expand(2, 5))
    assert_close(curve.area, probability.expand(2))


@pytest.mark.parametrize("chunk_size", [1, 5, 7, 100])
def test_chunks_change_nothing(chunk_size):
    network, x, target = build("tokens")
    network, x = network.double(), x.double()
    attributions = saliency(network, x, target)
    whole, parts = (
        insertion_curve(network, x, target, attributions, steps=9, chunk_size=size) for size in (None, chunk_size)
    )
    assert_close(parts.probability, whole.probability)
