"""Trees explained exactly: by the definition of both games, by all coalitions, and by the package shap."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from torch.testing import assert_close

from lib.core import seeded
from lib.explanations import exact_shapley, model_of, shapley_value, tree_shap

# Single-precision numbers: the package shap compares doubles with thresholds that were found in single precision.
X = torch.randn(120, 6, generator=seeded(0)).double()
SCORE = X[:, 0] * X[:, 1] + X[:, 2].abs() - X[:, 3]
LABELS = {
    "two classes": (SCORE > 0.5).long().numpy(),
    "three classes": ((SCORE > 0.5).long() + (X[:, 4] > 1).long()).numpy(),
    "numbers": SCORE.numpy(),
}
CLASSIFIERS = {
    "tree": DecisionTreeClassifier(random_state=0),
    "forest": RandomForestClassifier(7, max_depth=5, random_state=0),
    "extra trees": ExtraTreesClassifier(5, max_depth=6, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=6, random_state=0),
    "histograms": HistGradientBoostingClassifier(max_iter=6, min_samples_leaf=5, random_state=0),
}
REGRESSORS = {
    "tree": DecisionTreeRegressor(random_state=0),
    "forest": RandomForestRegressor(7, max_depth=5, random_state=0),
    "extra trees": ExtraTreesRegressor(5, max_depth=6, random_state=0),
    "boosting": GradientBoostingRegressor(n_estimators=6, random_state=0),
    "histograms": HistGradientBoostingRegressor(max_iter=6, min_samples_leaf=5, random_state=0),
}
KINDS = [(kind, task) for task in LABELS for kind in CLASSIFIERS]


def fitted(kind, task):
    estimator = (REGRESSORS if task == "numbers" else CLASSIFIERS)[kind]
    return estimator.fit(X.numpy(), LABELS[task])


def explained(estimator):
    """The score that the trees add up to: raw for boosting, else what `model_of` gives."""
    if not hasattr(estimator, "decision_function"):
        return model_of(estimator)

    def model(inputs):
        raw = torch.as_tensor(estimator.decision_function(inputs.numpy()))
        return torch.stack([-raw, raw], dim=1) if raw.ndim == 1 else raw

    return model


@pytest.mark.equation("eq-tree-shap")
@pytest.mark.parametrize(("kind", "task"), KINDS)
def test_with_a_background_it_is_the_exact_shapley_value(kind, task):
    estimator, background = fitted(kind, task), X[50:63]
    model = explained(estimator)
    for target in range(model(X[:1]).shape[1]):
        found = tree_shap(estimator, X[:9], target, background=background)
        assert_close(found, exact_shapley(model, X[:9], target, background=background))


def path_dependent_game(tree, x, present):
    """v(S) of Lundberg et al. 2020, algorithm 1: at a split on an absent feature, both ways by the training data."""

    def expected(node):
        left, right = tree.children_left[node], tree.children_right[node]
        if left < 0:
            return tree.value[node, 0]
        if tree.feature[node] in present:
            return expected(left if np.float32(x[tree.feature[node]]) <= tree.threshold[node] else right)
        cover = tree.weighted_n_node_samples
        return (cover[left] * expected(left) + cover[right] * expected(right)) / cover[node]

    return expected(0)


@pytest.mark.parametrize(
    ("kind", "task"), [("tree", "three classes"), ("forest", "three classes"), ("forest", "numbers")]
)
def test_without_a_background_absent_features_follow_the_tree(kind, task):
    estimator = fitted(kind, task)
    trees = [estimator.tree_] if kind == "tree" else [member.tree_ for member in estimator.estimators_]
    coalitions = [{j for j in range(6) if k >> j & 1} for k in range(64)]
    for example in range(3):
        games = np.mean(
            [[path_dependent_game(t, X[example].numpy(), s) for s in coalitions] for t in trees], axis=0
        )  # coalitions × outputs
        shares = shapley_value(torch.from_numpy(games.T.copy()))
        for target, expected in enumerate(shares):
            assert_close(tree_shap(estimator, X[example : example + 1], target)[0], expected)


@pytest.mark.parametrize("with_background", [False, True])
@pytest.mark.parametrize(
    ("kind", "task"),
    # Of gradient boosting the package takes two classes at most.
    [(kind, task) for kind, task in KINDS if (kind, task) != ("boosting", "three classes")],
)
def test_the_package_shap_agrees(kind, task, with_background):
    import shap

    estimator, background = fitted(kind, task), X[50:63] if with_background else None
    explainer = shap.TreeExplainer(
        estimator,
        data=background.numpy() if with_background else None,
        feature_perturbation="interventional" if with_background else "tree_path_dependent",
    )
    theirs = torch.from_numpy(np.asarray(explainer.shap_values(X[:9].numpy())))
    target = 0 if task == "numbers" else 1
    theirs = theirs[..., target] if theirs.ndim == 3 else theirs
    # With a background the package adds up in single precision.
    assert_close(tree_shap(estimator, X[:9], target, background=background), theirs.double(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("with_background", [False, True])
@pytest.mark.parametrize(("kind", "task"), KINDS)
def test_attributions_differ_from_the_score_by_one_constant(kind, task, with_background):
    estimator, background = fitted(kind, task), X[50:63] if with_background else None
    model = explained(estimator)
    for target in range(model(X[:1]).shape[1]):
        found = tree_shap(estimator, X, target, background=background)
        empty = model(X)[:, target] - found.sum(dim=1)
        constant = model(background)[:, target].mean() if with_background else empty.mean()
        assert_close(empty, constant.expand(len(X)))


@pytest.mark.parametrize("kind", sorted(REGRESSORS.keys() - {"boosting"}))  # which takes no gaps
def test_trees_that_were_fitted_with_gaps_explain_complete_rows(kind):
    # A split at ∞ asks only whether a value is missing, and may stand below an ordinary one on the same feature.
    gaps = X.clone()
    gaps[::5, 0] = torch.nan
    estimator, background = clone(REGRESSORS[kind]).fit(gaps.numpy(), SCORE.numpy()), X[50:63]
    model = model_of(estimator)
    exact = exact_shapley(model, X[:9], 0, background=background)
    assert_close(tree_shap(estimator, X[:9], 0, background=background), exact)
    empty = model(X)[:, 0] - tree_shap(estimator, X, 0).sum(dim=1)
    assert_close(empty, empty[:1].expand(len(X)))


@given(
    seed=st.integers(0, 1000),
    features=st.integers(1, 5),
    leaves=st.integers(2, 12),
    weighted=st.booleans(),
    rows=st.integers(1, 5),
)
@settings(deadline=None, max_examples=40)
def test_of_any_tree_unread_features_get_nothing_and_sums_add_up(seed, features, leaves, weighted, rows):
    x = torch.randint(0, 4, (40, features + 2), generator=seeded(seed)).double()  # ties at the thresholds
    y = (x[:, 0] * 2 + x[:, -2] * x[:, 0] + torch.rand(40, generator=seeded(seed))).numpy()
    weights = torch.rand(40, generator=seeded(seed + 1)).numpy() if weighted else None
    fit_on = x.clone()
    fit_on[:, -1] = 0  # the last column varies in what is explained, not in what was learnt
    tree = DecisionTreeRegressor(max_leaf_nodes=leaves, random_state=seed).fit(fit_on.numpy(), y, weights)
    for background in (None, x[:rows]):
        found = tree_shap(tree, x, 0, background=background)
        assert (found[:, -1] == 0).all()
        empty = torch.from_numpy(tree.predict(x.numpy())) - found.sum(dim=1)
        assert_close(empty, empty[:1].expand(40))
        if background is not None:
            assert_close(found, exact_shapley(model_of(tree), x, 0, background=background))
    # Of a sum of two games the shares add up.
    other = DecisionTreeRegressor(max_leaf_nodes=3, random_state=1).fit(fit_on.numpy(), -y)
    forest = RandomForestRegressor(2).fit(fit_on.numpy(), y)
    forest.estimators_ = [tree, other]
    assert_close(tree_shap(forest, x, 0), (tree_shap(tree, x, 0) + tree_shap(other, x, 0)) / 2)


def test_the_two_games_differ_where_features_hang_together():
    # x0 decides, x1 copies it; the tree reads x1 only below x0's split, where it knows x1 already.
    x = torch.tensor([[0.0, 0], [0, 0], [1, 1], [1, 1], [0, 1], [1, 0]]).double()
    weights = np.array([10, 10, 10, 10, 1, 1.0])
    tree = DecisionTreeRegressor().fit(x.numpy(), [0.0, 0, 1, 1, 3, 4], weights)
    at = torch.tensor([[1.0, 1.0]]).double()
    by_path, by_rows = tree_shap(tree, at, 0), tree_shap(tree, at, 0, background=x)
    assert (by_path - by_rows).abs().max() > 0.1
    assert by_rows.sum() == pytest.approx(1 - tree.predict(x.numpy()).mean())
    assert by_path.sum() == pytest.approx(1 - np.average(tree.predict(x.numpy()), weights=weights))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_tree_of_one_leaf_and_a_batch_of_targets(dtype):
    constant = DecisionTreeRegressor().fit(X.numpy(), np.ones(120))
    assert (tree_shap(constant, X.to(dtype), 0) == 0).all()
    estimator = fitted("forest", "three classes")
    target = torch.arange(9) % 3
    for background in (None, X[50:63].to(dtype)):
        mixed = tree_shap(estimator, X[:9].to(dtype), target, background=background)
        assert mixed.dtype == dtype
        single = torch.stack([tree_shap(estimator, X[:9].to(dtype), c, background=background) for c in range(3)])
        assert torch.equal(mixed, single[target, torch.arange(9)])
