"""The surrogate is the tree that the definition gives, and fidelity is what it says."""

import math
from itertools import product

import pytest
import torch
from sklearn.metrics import r2_score
from sklearn.tree import DecisionTreeRegressor
from torch.testing import assert_close

from lib.core import seeded
from lib.explanations import fidelity, model_of, surrogate_tree

X = torch.randn(200, 4, generator=seeded(0)).double()


def curved(x):
    """Two columns of scores with an interaction; the third feature counts for little, the fourth for nothing."""
    return torch.stack([x[:, 0], x[:, 0].sign() * x[:, 1].exp() + 0.1 * x[:, 2]], dim=1)


@pytest.mark.equation("eq-surrogate-split")
def test_the_first_question_is_the_best_of_all_by_brute_force():
    scores = curved(X)[:, 1]
    best = (math.inf, None, None)
    for feature, row in product(range(4), range(200)):
        below = X[:, feature] <= X[row, feature]
        if below.all():
            continue
        error = sum((part - part.mean()).square().sum().item() for part in (scores[below], scores[~below]))
        if error < best[0]:
            above = X[~below, feature].min()
            best = error, feature, ((X[row, feature] + above) / 2).item()
    tree = surrogate_tree(curved, X, 1, leaves=2)
    assert (tree.feature, tree.threshold) == (best[1], pytest.approx(best[2]))
    below = X[:, tree.feature] <= tree.threshold
    assert tree.below.value == pytest.approx(scores[below].mean().item())
    assert (tree.below.rows, tree.above.rows) == (below.sum(), (~below).sum())


@pytest.mark.parametrize(("leaves", "smallest"), [(2, 1), (3, 1), (7, 5), (20, 9)])
def test_it_is_the_tree_of_scikit_learn(leaves, smallest):
    scores = curved(X)[:, 1]
    peer = DecisionTreeRegressor(max_leaf_nodes=leaves, min_samples_leaf=smallest, random_state=0)
    peer.fit(X.numpy(), scores.numpy())
    tree = surrogate_tree(curved, X, 1, leaves=leaves, smallest=smallest)
    assert tree.leaves() == peer.get_n_leaves()
    fresh = torch.randn(300, 4, generator=seeded(1)).double()
    # scikit-learn reads the table in float32, so a threshold may lie a rounding error elsewhere; no fresh row is that near.
    assert_close(tree(fresh), model_of(peer)(fresh), rtol=1e-6, atol=1e-9)


def test_a_model_of_three_values_is_its_own_surrogate():
    def steps(x):
        return torch.where(x[:, 1:2] <= 0.5, -10.0, torch.where(x[:, 0:1] <= -0.25, 2.0, 4.0)).to(x)

    tree = surrogate_tree(steps, X, 0, leaves=10)
    assert tree.leaves() == 3
    assert torch.equal(tree(X), steps(X))
    assert fidelity(steps, tree, X, 0) == 1
    just_there = X[:1].clone()
    just_there[0, tree.feature] = tree.threshold
    assert tree(just_there).item() == -10  # "at most" says the rule
    first, second, third = tree.rules(["width", "height", "depth", "age"], digits=0)
    share = [100 * (steps(X) == value).double().mean().item() for value in (-10.0, 2.0, 4.0)]
    cut, deeper = tree.threshold, tree.above.threshold
    assert first == f"height ≤ {cut:g}: -10 ({share[0]:.0f} %)"
    assert second == f"height > {cut:g} and width ≤ {deeper:g}: 2 ({share[1]:.0f} %)"
    assert third == f"height > {cut:g} and width > {deeper:g}: 4 ({share[2]:.0f} %)"


def test_conditions_on_one_feature_are_joined_and_a_leaf_alone_speaks_of_all():
    x = torch.arange(6.0)[:, None]
    tree = surrogate_tree(lambda x: (x - 3).relu() ** 2, x, 0, leaves=3)
    assert tree.rules(["age"], digits=1) == [
        "age ≤ 3.5: 0.0 (67 %)",
        "3.5 < age ≤ 4.5: 1.0 (17 %)",
        "age > 4.5: 4.0 (17 %)",
    ]
    assert surrogate_tree(lambda x: x, x, 0, leaves=1).rules(["age"]) == ["all: 2.50 (100 %)"]


@pytest.mark.parametrize("constant", [0.1, 1e30, 0.0])
def test_a_constant_model_is_one_leaf(constant):
    for rows in range(20, 200, 11):  # the mean of some of them is not quite the constant
        tree = surrogate_tree(lambda x: torch.full_like(x[:, :1], constant), X[:rows], 0, leaves=5)
        assert tree.leaves() == 1


def test_equal_values_stay_together():
    # The best place to cut the sorted scores lies between two rows of the same value.
    scores = torch.tensor([[0.0], [9.0], [9.0], [9.0]])
    tree = surrogate_tree(lambda x, s: s, torch.tensor([[0.0], [0.0], [1.0], [1.0]]), 0, leaves=4, arguments=(scores,))
    assert (tree.threshold, tree.below.value, tree.above.value) == (0.5, 4.5, 9)
    assert tree.leaves() == 2


def test_equal_columns_and_neighbouring_numbers_are_told_apart_where_they_can_be():
    twins = X[:, :1].expand(-1, 2)
    assert surrogate_tree(lambda x: x[:, 1:].sign(), twins, 0, leaves=2).feature == 0
    step = torch.finfo(torch.float64).eps
    for low in (1.0, 1 + step):  # the midpoint is rounded to either side
        close = torch.tensor([[low], [low + step]], dtype=torch.float64)
        tree = surrogate_tree(lambda x, low=low: (x > low).to(x), close, 0, leaves=2)
        assert tree(close).tolist() == [[0], [1]]


@pytest.mark.equation("eq-fidelity")
def test_fidelity_by_hand_and_by_scikit_learn():
    def twice(x):
        return 2 * x[:, :1]

    scores, answers = curved(X)[:, 1], twice(X)[:, 0]
    by_hand = 1 - sum((s - a) ** 2 for s, a in zip(scores, answers, strict=True)) / sum((scores - scores.mean()) ** 2)
    found = fidelity(curved, twice, X, 1, chunk_size=7)
    assert found == pytest.approx(by_hand.item())
    assert found == pytest.approx(r2_score(scores, answers))
    assert fidelity(curved, lambda x: scores.mean().expand(len(x), 1), X, 1) == pytest.approx(0)


def test_more_leaves_imitate_better_the_rows_that_they_were_fitted_to():
    found = [fidelity(curved, surrogate_tree(curved, X, 1, leaves=leaves), X, 1) for leaves in (1, 2, 4, 8, 200)]
    assert found == sorted(found)
    assert found[0] == pytest.approx(0)
    assert found[-1] == 1


def test_arguments_follow_their_rows():
    shift = torch.linspace(-5, 5, 200).double()[:, None]
    tree = surrogate_tree(lambda x, s: 0 * x[:, :1] + s, shift, 0, leaves=2, arguments=(shift,), chunk_size=9)
    assert tree.threshold == pytest.approx(0)
