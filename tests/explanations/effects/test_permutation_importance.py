"""Permutation importance: by scikit-learn with the same shuffles, in closed form over all shuffles, by groups and residuals."""

from importlib import import_module
from itertools import permutations

import numpy as np
import pytest
import torch
from sklearn import inspection
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from torch.testing import assert_close

from lib.core import seeded
from lib.explanations import permutation_importance

# The module, whose name in the package is that of its function.
MODULE = import_module("lib.explanations.effects.permutation_importance")


def minus_squared_error(outputs, labels):
    return -(outputs[:, 0] - labels).square().mean()


def accuracy(outputs, labels):
    return (outputs.argmax(1) == labels).double().mean()


@pytest.fixture
def all_shuffles(monkeypatch):
    """Every order of the rows once, so that means over repeats are expectations."""
    monkeypatch.setattr(
        MODULE, "_orders", lambda batch, _repeats, _generator: torch.tensor(list(permutations(range(batch))))
    )


def linear(weights):
    return lambda z: (z @ weights)[:, None]


@pytest.mark.parametrize("chunk_size", [None, 1, 50])
def test_scikit_learn_gives_the_same_drops_for_the_same_shuffles(monkeypatch, chunk_size):
    x = torch.randn(40, 3, generator=seeded(5), dtype=torch.float64)
    y = (x[:, 0] + x[:, 1] ** 2 > 0.5).long()
    forest = RandomForestClassifier(5, random_state=0).fit(x.numpy(), y.numpy())
    y = torch.where(torch.arange(40) % 5 == 0, 1 - y, y)  # so that not all answers are right
    # scikit-learn draws one seed for all columns and shuffles, at each repetition, what is shuffled already.
    state = np.random.RandomState(np.random.RandomState(7).randint(np.iinfo(np.int32).max + 1))
    rows, shuffled, orders = np.arange(40), np.arange(40), []
    for _ in range(6):
        state.shuffle(rows)
        shuffled = shuffled[rows]
        orders.append(shuffled.copy())
    theirs = inspection.permutation_importance(
        forest, x.numpy(), y.numpy(), n_repeats=6, random_state=7, scoring="roc_auc"
    )
    monkeypatch.setattr(MODULE, "_orders", lambda *_: torch.from_numpy(np.stack(orders)))
    ours = permutation_importance(
        lambda z: torch.from_numpy(forest.predict_proba(z.numpy())),
        x,
        y,
        score=lambda outputs, labels: roc_auc_score(labels.numpy(), outputs[:, 1].numpy()),
        repeats=6,
        generator=seeded(0),
        chunk_size=chunk_size,
    )
    assert_close(ours.drops, torch.from_numpy(theirs.importances))
    assert_close(ours.mean, torch.from_numpy(theirs.importances_mean))
    assert_close(ours.spread, torch.from_numpy(theirs.importances_std))


@pytest.mark.equation("eq-permutation-importance")
@pytest.mark.usefixtures("all_shuffles")
def test_over_all_shuffles_a_linear_model_loses_twice_weight_squared_times_variance():
    x = torch.randn(6, 3, generator=seeded(6), dtype=torch.float64)
    weights = torch.tensor([2.0, -1.0, 0.0], dtype=torch.float64)
    ours = permutation_importance(
        linear(weights), x, x @ weights, score=minus_squared_error, repeats=720, generator=seeded(0)
    )
    assert_close(ours.mean, 2 * weights**2 * x.var(0, correction=0))
    assert ours.score == 0
    assert ours.spread[0] > 0.1


@pytest.mark.equation("eq-conditional-permutation")
@pytest.mark.usefixtures("all_shuffles")
def test_with_predictions_only_the_variance_of_the_residuals_counts():
    x = torch.randn(6, 3, generator=seeded(6), dtype=torch.float64)
    x[:, 1] = 0.9 * x[:, 0] + 0.1 * x[:, 1]
    weights = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)
    predicted = x.clone()
    for j in range(3):
        others = torch.cat([x[:, [k for k in range(3) if k != j]], torch.ones(6, 1, dtype=x.dtype)], 1)
        predicted[:, j] = others @ torch.linalg.lstsq(others, x[:, j]).solution
    ours = permutation_importance(
        linear(weights),
        x,
        x @ weights,
        score=minus_squared_error,
        repeats=720,
        generator=seeded(0),
        predicted=predicted,
    )
    residual = (x - predicted).var(0, correction=0)
    assert_close(ours.mean, 2 * weights**2 * residual)
    assert (residual[:2] < 0.1 * x.var(0, correction=0)[:2]).all()


@pytest.mark.usefixtures("all_shuffles")
def test_a_group_moves_together():
    x = torch.randn(6, 3, generator=seeded(6), dtype=torch.float64)
    x[:, 1] = x[:, 0]
    weights = torch.tensor([1.0, -1.0, 3.0], dtype=torch.float64)  # the first two cancel
    ours = permutation_importance(
        linear(weights),
        x,
        x @ weights,
        score=minus_squared_error,
        repeats=720,
        generator=seeded(0),
        groups=[(0, 1), (1,), [2, 0]],
    )
    variance = x.var(0, correction=0)
    together = (x @ torch.tensor([1.0, 0.0, 3.0], dtype=x.dtype)).var(correction=0)
    assert_close(ours.mean, torch.stack([0 * variance[0], 2 * variance[1], 2 * together]), atol=1e-12, rtol=1e-9)


def test_shuffles_follow_the_generator_and_are_the_same_for_all_columns():
    x = torch.randn(30, 1, generator=seeded(6)).repeat(1, 2)
    model = lambda z: torch.stack([z[:, 0] + z[:, 1], -z[:, 0]], 1)  # noqa: E731
    labels = (x[:, 0] < 0).long()
    drops = [
        permutation_importance(
            lambda z: model(z) + model(z.flip(1)), x, labels, score=accuracy, repeats=4, generator=seeded(seed)
        ).drops
        for seed in (1, 1, 2)
    ]
    assert torch.equal(drops[0], drops[1])
    assert not torch.equal(drops[0], drops[2])
    assert torch.equal(drops[0][0], drops[0][1])  # two equal columns that the model treats alike
    assert drops[0].std() > 0


def test_further_arguments_stay_with_their_rows():
    x = torch.randn(20, 2, generator=seeded(6), dtype=torch.float64)
    secret = x[:, 1].clone()
    model = lambda z, s: ((z[:, 1] - s).abs() + z[:, 0] * 0)[:, None]  # noqa: E731
    ours = permutation_importance(
        model, x, secret, score=lambda z, y: -z.mean(), generator=seeded(0), arguments=(secret,), chunk_size=7
    )
    assert ours.score == 0
    assert (ours.drops[0] == 0).all()
    assert (ours.drops[1] > 0.3).all()
