"""The Shapley values of trees, exact for any number of features: a leaf is a game of products."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from lib.core.targets import Target, target_classes
from lib.core.validation import check_indices, check_rank
from lib.explanations.baselines import check_background
from lib.explanations.calls import check_inputs

__all__ = ["tree_shap"]

_NUMBERS = 2**22  # of one tree in work at a time: leaves × examples × background rows


def tree_shap(
    estimator,
    inputs: Float[Tensor, "batch features"],
    target: Target,
    *,
    background: Float[Tensor, "background features"] | None = None,
) -> Float[Tensor, "batch features"]:
    """φ_j = Σ_leaves value · (o_j − z_j) ∫₀¹ Π_{i≠j} [u o_i + (1 − u) z_i] du, summed over scikit-learn's trees.

    Equation: eq-tree-shap. Lundberg et al. 2020, algorithms 1 and 2; the integral is Owen's (1972). o_i says whether x
    passes the leaf's splits on feature i. With a ``background``, z_i says so of one of its rows, and φ is the mean over
    them: `exact_shapley`. Without one, z_i is the share of the training data that passes them (path-dependent): another
    game. Explained is the probability or prediction of a tree or forest, and the raw score of (histogram) gradient
    boosting: ``decision_function``, negative for class 0 of two. Conserves: that less v(∅).

    >>> from sklearn.tree import DecisionTreeRegressor
    >>> tree_shap(DecisionTreeRegressor().fit([[0.0, 5], [1, 5]], [2.0, 6]), torch.tensor([[1.0, 0.0]]), 0)
    tensor([[2., 0.]])

    Raises:
        TypeError: another kind of estimator; inputs or background of a wrong dtype.
        ValueError: not fitted, several outputs, splits on categories, a start that is no constant, other features.
    """
    check_rank("inputs", inputs, "batch features")
    check_inputs(inputs)
    trees = _trees(estimator)
    if inputs.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"inputs must have the {estimator.n_features_in_} features that estimator was fitted on, got {inputs.shape[1]}"
        )
    classes = target_classes(target, len(inputs), torch.device("cpu"))
    outputs = trees[0].values.shape[1]
    check_indices("target", classes, outputs, f"the {outputs} classes")
    if background is None and getattr(estimator, "_fitted_with_sw", False):
        raise ValueError(
            "background must be given for histogram boosting fitted with sample_weight, got None: its nodes count the "
            "training data, but do not keep the weights"
        )
    others = None if background is None else check_background(background, inputs).cpu()
    total = torch.zeros(inputs.shape[::-1], dtype=torch.float64, device="cpu")  # features × batch
    for tree in trees:
        rows = 1 if others is None else len(others)
        size = max(1, _NUMBERS // (len(tree.values) * rows))
        for which in torch.arange(len(inputs), device="cpu").split(size):
            present = tree.passed(inputs.detach()[which.to(inputs.device)].cpu())
            if others is None:
                shares = _of_products(present, tree.covered[:, None])
            else:
                shares = _against_rows(present, tree.passed(others))
            shares = shares * tree.values[:, classes[which], None]  # leaves × examples × features of the path
            parts = shares.transpose(1, 2).flatten(0, 1)
            total[:, which] += torch.zeros_like(total[:, which]).index_add_(0, tree.features.flatten(), parts)
    return total.T.to(inputs.device, inputs.dtype)


def _of_products(
    present: Float64[Tensor, "leaves batch path"], absent: Float64[Tensor, "leaves one path"]
) -> Float64[Tensor, "leaves batch path"]:
    """Shapley values of v(S) = Π_{i∈S} present_i Π_{i∉S} absent_i.

    A coalition in which each player is present with probability u: the mean over u is the mean over all orders. The
    integrand is a polynomial of degree path − 1, for which path / 2 Gauss–Legendre nodes are exact.
    """
    positions, weights = np.polynomial.legendre.leggauss(max(1, -(-present.shape[2] // 2)))
    rest = torch.zeros_like(present)
    for u, weight in zip((positions + 1) / 2, weights / 2, strict=True):
        mixed = u * present + (1 - u) * absent
        # Where nobody is inside, neither x nor any of the training data, the product is 0 already.
        rest += weight * mixed.prod(dim=2, keepdim=True) / mixed.clamp(min=1e-300)
    return (present - absent) * rest


def _against_rows(
    present: Float64[Tensor, "leaves batch path"], rows: Float64[Tensor, "leaves rows path"]
) -> Float64[Tensor, "leaves batch path"]:
    """The same for absent_i ∈ {0, 1}, averaged over rows: it counts only who alone is inside.

    With p features where only x passes and n where only the row does, the leaf is reached by S that hold all p and
    none of the n: ∫ uᵖ⁻¹ (1 − u)ⁿ du = (p − 1)! n! / (p + n)! for each of the p, and −p! (n − 1)! / (p + n)! of the n.
    """
    most, fact = present.shape[2] + 1, math.factorial
    gain, loss = torch.zeros(2, most, most, dtype=torch.float64, device="cpu")
    for p in range(most):
        for n in range(most):
            gain[p, n] = fact(p - 1) * fact(n) / fact(p + n) if p else 0
            loss[p, n] = fact(p) * fact(n - 1) / fact(p + n) if n else 0
    out, rows_out = 1 - present, 1 - rows
    p, n, neither = (a @ b.mT for a, b in ((present, rows_out), (out, rows), (out, rows_out)))  # leaves × batch × rows
    p, n, reached = p.long(), n.long(), neither == 0
    shares = present * ((gain[p, n] * reached) @ rows_out) - out * ((loss[p, n] * reached) @ rows)
    return shares / rows.shape[1]


@dataclass(frozen=True)
class _Tree:
    """The leaves of one tree. A path names each of its features once, and is padded with what everything passes."""

    features: Int64[Tensor, "leaves path"]
    low: Float64[Tensor, "leaves path"]  # to pass is low < x ≤ high
    high: Float64[Tensor, "leaves path"]
    covered: Float64[
        Tensor, "leaves path"
    ]  # share of the training data at the splits on the feature that goes this way
    values: Float64[Tensor, "leaves outputs"]
    single: bool  # scikit-learn's trees, histogram boosting aside, compare in float32

    def passed(self, x: Float[Tensor, "batch features"]) -> Float64[Tensor, "leaves batch path"]:
        x = (x.float() if self.single else x).double()
        here = x.T[self.features].transpose(1, 2)  # leaves × batch × path
        return ((self.low[:, None] < here) & (here <= self.high[:, None])).double()


def _tree(left, right, feature, threshold, cover, values, *, single: bool) -> _Tree:
    """Walk from the root (node 0) to every leaf; ``left`` is −1 or 0 at a leaf."""
    leaves, waiting = [], [(0, {})]
    while waiting:
        node, path = waiting.pop()
        if left[node] <= 0:
            leaves.append((node, path))
            continue
        name, at = int(feature[node]), float(threshold[node])
        low, high, share = path.get(name, (-math.inf, math.inf, 1.0))
        # A split lies inside of what those above it have left, but for one at ∞, which sends what is missing to the right.
        for child, bounds in ((left[node], (low, min(at, high))), (right[node], (max(at, low), high))):
            part = float(cover[child]) / max(float(cover[node]), 1e-300)
            waiting.append((int(child), path | {name: (*bounds, share * part)}))
    longest = max(len(path) for _, path in leaves)
    padding = [(0, (-math.inf, math.inf, 1.0))]
    paths = [list(path.items()) + padding * (longest - len(path)) for _, path in leaves]
    numbers = torch.tensor([[step for _, step in path] for path in paths], dtype=torch.float64, device="cpu")
    low, high, covered = numbers.reshape(len(leaves), longest, 3).unbind(dim=2)
    features = torch.tensor([[name for name, _ in path] for path in paths], dtype=torch.int64, device="cpu")
    values = torch.as_tensor(values, dtype=torch.float64, device="cpu")[[node for node, _ in leaves]]
    return _Tree(features.reshape(len(leaves), longest), low, high, covered, values, single)


def _trees(estimator) -> list[_Tree]:
    """The trees whose sum is the explained score, less a constant.

    Raises:
        TypeError: no estimator of trees that is known.
        ValueError: not fitted, several outputs, splits on categories, a start that depends on the input.
    """
    from sklearn import dummy, ensemble, tree
    from sklearn.utils.validation import check_is_fitted

    trees = (tree.DecisionTreeClassifier, tree.DecisionTreeRegressor)
    forests = (ensemble.RandomForestClassifier, ensemble.RandomForestRegressor)
    forests += (ensemble.ExtraTreesClassifier, ensemble.ExtraTreesRegressor)
    boosting = (ensemble.GradientBoostingClassifier, ensemble.GradientBoostingRegressor)
    histograms = (ensemble.HistGradientBoostingClassifier, ensemble.HistGradientBoostingRegressor)
    if not isinstance(estimator, (*trees, *forests, *boosting, *histograms)):
        raise TypeError(
            "estimator must be a decision tree, random forest, extra trees or (histogram) gradient boosting of "
            f"scikit-learn, got {type(estimator).__name__}"
        )
    check_is_fitted(estimator)
    if isinstance(estimator, histograms):
        stages = [[_histogram_tree(predictor) for predictor in stage] for stage in estimator._predictors]
        return _in_columns(stages, hasattr(estimator, "classes_"))
    if isinstance(estimator, boosting):
        if not (estimator.init_ == "zero" or isinstance(estimator.init_, dummy.DummyClassifier | dummy.DummyRegressor)):
            raise ValueError(
                f"estimator must start from a constant, got init {estimator.init_}, which its trees do not hold"
            )
        stages = [
            [_plain_tree(each.tree_, estimator.learning_rate) for each in stage] for stage in estimator.estimators_
        ]
        return _in_columns(stages, hasattr(estimator, "classes_"))
    if estimator.n_outputs_ > 1:
        raise ValueError(f"estimator must have one output, got {estimator.n_outputs_}; fit one for each")
    members = [estimator] if isinstance(estimator, trees) else estimator.estimators_
    return [_plain_tree(member.tree_, 1 / len(members)) for member in members]


def _plain_tree(tree, scale: float) -> _Tree:
    """Values are class shares or predictions; a forest takes their mean, boosting a step along them."""
    values = scale * tree.value[:, 0]
    return _tree(
        tree.children_left, tree.children_right, tree.feature, tree.threshold, tree.weighted_n_node_samples, values,
        single=True,
    )  # fmt: skip


def _histogram_tree(predictor) -> _Tree:
    nodes = predictor.nodes
    if nodes["is_categorical"].any():
        raise ValueError("estimator must split on numbers only, got splits on categories")
    columns = (nodes[name] for name in ("left", "right", "feature_idx", "num_threshold", "count"))
    return _tree(*columns, nodes["value"][:, None], single=False)


def _in_columns(stages: list[list[_Tree]], classifies: bool) -> list[_Tree]:
    """A stage of boosting has one tree a class, or one in all: a prediction, or the log-odds of the second of two."""
    of_two = torch.tensor([[-1.0, 1.0]], dtype=torch.float64, device="cpu")
    placed = []
    for stage in stages:
        places = torch.eye(len(stage), dtype=torch.float64, device="cpu")
        places = of_two if classifies and len(stage) == 1 else places
        for tree, place in zip(stage, places, strict=True):
            values = tree.values * place
            placed.append(_Tree(tree.features, tree.low, tree.high, tree.covered, values, tree.single))
    return placed
