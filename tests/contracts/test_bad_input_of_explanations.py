"""What no explanation method can answer is refused with the value received and the rule, and nothing stays behind."""

import re
from functools import partial

import pytest
import torch
from explained_models import build, sample
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingRegressor, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.tree import DecisionTreeClassifier
from small_transformers import gpt, tokens
from torch import nn

from lib.core import seeded
from lib.explanations import (
    accumulated_effects,
    accumulated_interaction,
    agreement,
    anchor,
    attention_rollout,
    cascading_randomization,
    class_activation_map,
    completeness_gap,
    counterfactuals,
    deep_lift,
    deletion_curve,
    exact_shapley,
    expected_gradients,
    fidelity,
    grad_cam,
    grad_cam_map,
    grad_cam_plus_plus,
    gradient_weighted_attention,
    guided_backprop,
    individual_effects,
    infidelity,
    input_x_gradient,
    insertion_curve,
    integrated_gradients,
    interaction_strength,
    kernel_shap,
    lime,
    localisation,
    max_sensitivity,
    model_of,
    occlusion,
    partial_dependence,
    permutation_importance,
    permutation_shapley,
    rank_correlation,
    rise,
    saliency,
    shapley_value,
    smoothgrad,
    surrogate_tree,
    tree_shap,
)

SMOOTH = partial(smoothgrad, generator=seeded(0))
RISE = partial(rise, generator=seeded(0))
INFIDELITY = partial(infidelity, generator=seeded(0))
SENSITIVITY = partial(max_sensitivity, generator=seeded(0))
EXACT = partial(exact_shapley, background=torch.zeros(3, 6))
KERNEL = partial(kernel_shap, background=torch.zeros(3, 6), generator=seeded(0), samples=20)
LIME = partial(lime, background=torch.arange(12.0).reshape(2, 6), generator=seeded(0), samples=20)
ORDERS = partial(permutation_shapley, background=torch.zeros(3, 6), generator=seeded(0), rounds=1)
ROWS = {
    "saliency": saliency,
    "input_x_gradient": input_x_gradient,
    "smoothgrad": SMOOTH,
    "integrated_gradients": integrated_gradients,
    "occlusion": partial(occlusion, window=(2,)),
    "guided_backprop": guided_backprop,
    "expected_gradients": lambda m, x, t: expected_gradients(
        m, x, t, background=BACKGROUND, generator=seeded(0), samples=4
    ),
    "deep_lift": deep_lift,
    "rise": lambda m, x, t: rise(m, x, t, cells=(6,), generator=seeded(0), samples=4),
    "infidelity": lambda m, x, t: infidelity(m, x, t, x, generator=seeded(0), samples=4),
    "exact_shapley": EXACT,
    "kernel_shap": KERNEL,
    "lime": LIME,
    "permutation_shapley": ORDERS,
    "completeness_gap": lambda m, x, t: completeness_gap(m, x, t, x),
    "deletion_curve": lambda m, x, t: deletion_curve(m, x, t, x, steps=2),
    "insertion_curve": lambda m, x, t: insertion_curve(m, x, t, x, steps=2),
    **{f.__name__: partial(f, feature=1) for f in (partial_dependence, individual_effects, accumulated_effects)},
    "accumulated_interaction": partial(accumulated_interaction, features=(1, 0)),
    "interaction_strength": partial(interaction_strength, feature=1),
    "surrogate_tree": partial(surrogate_tree, leaves=2),
    "fidelity": lambda m, x, t: fidelity(m, lambda x: x[:, :1], x, t),
    "counterfactuals": lambda m, x, t: counterfactuals(m, x, t, level=0.0, background=X, changeable=[0]),
}
DIFFERENTIATING = [
    "saliency",
    "input_x_gradient",
    "smoothgrad",
    "integrated_gradients",
    "guided_backprop",
    "expected_gradients",
    "deep_lift",
]

MODEL, X, TARGET = build("rows")
CONSTANT = torch.cat([X[:, :1], torch.full((4, 1), 2.0), X[:, 2:]], 1)
PERMUTE = partial(  # knobs given later take the place of these
    permutation_importance, score=lambda outputs, labels: outputs.mean(), generator=seeded(0), repeats=2
)
EDGES = [torch.zeros(1)] * 6
ANCHOR = partial(anchor, background=X, edges=EDGES, generator=seeded(0), samples=10)
GIVEN = MODEL(X[:1]).argmax().item()
NEAREST = partial(counterfactuals, level=0.0, background=X, changeable=[0, 2])
PICTURES = sample("images")
BACKGROUND = torch.zeros(2, 6)


def with_end(function):
    """The network for rows, with something wrong at its end."""

    class Last(nn.Module):
        def forward(self, y):
            return function(y)

    return nn.Sequential(*MODEL, Last())


class AsByCudnn(torch.autograd.Function):
    """Refuses its gradient in evaluation mode, as cuDNN's recurrent layers do."""

    @staticmethod
    def forward(_ctx, x):
        return x.clone()

    @staticmethod
    def backward(_ctx, _gradient):
        raise RuntimeError("cudnn RNN backward can only be called in training mode")


def one(value):
    """The inputs with one wrong number in the second row."""
    x = X.clone()
    x[1, 3] = value
    return x


# Wrong for every method: a call of the method, the error, words of its message.
FOR_ALL = [
    (lambda f: f(MODEL, X, 3), ValueError, "target must lie in 0 … 2, the 3 classes, got 3"),
    (lambda f: f(MODEL, X, -1), ValueError, "target must lie in 0 … 2, the 3 classes, got -1"),
    (lambda f: f(MODEL, X, torch.tensor([0, 1, 2, 5])), ValueError, "target must lie in 0 … 2, the 3 classes, got 5"),
    (lambda f: f(MODEL, X, True), TypeError, "target must be a class index, or integers that give one for each example, got bool True"),
    (lambda f: f(MODEL, X, "cat"), TypeError, "target must be a class index, or integers that give one for each example, got str 'cat'"),
    (lambda f: f(MODEL, X, torch.zeros(4)), TypeError, "target must be a class index, or integers that give one for each example, got torch.float32"),
    (lambda f: f(MODEL, X, TARGET[:3]), ValueError, "target must give one class for each of the 4 examples, got shape (3,)"),
    (lambda f: f(MODEL, X, TARGET[:, None]), ValueError, "target must give one class for each of the 4 examples, got shape (4, 1)"),
    (lambda f: f(MODEL, X.tolist(), 0), TypeError, "inputs must be a torch.Tensor, got list"),
    (lambda f: f(MODEL, X.to_sparse(), 0), TypeError, "inputs must be dense and hold values, got a torch.sparse_coo tensor"),
    (lambda f: f(MODEL, X.to("meta"), 0), TypeError, "inputs must be dense and hold values, got a meta tensor"),
    (lambda f: f(MODEL, X.long(), 0), TypeError, "inputs must be floating point, got torch.int64"),
    (lambda f: f(MODEL, X.long(), 0), TypeError, "token ids have no gradient: embed them first"),
    (lambda f: f("model", X, 0), TypeError, "model must be a module or another callable, got str"),
    (lambda f: f(MODEL, X[:0], 0), ValueError, "inputs must hold at least one element, got shape (0, 6)"),
    (lambda f: f(MODEL, X[:, 0], 0), ValueError, "inputs must have a batch axis and at least one more, got shape (4,)"),
    (lambda f: f(MODEL, one(torch.nan), 0), ValueError, "inputs must be finite, got nan at (1, 3) (1 such values)"),
    (lambda f: f(MODEL, one(-torch.inf), 0), ValueError, "inputs must be finite, got -inf at (1, 3) (1 such values)"),
    (lambda f: f(with_end(lambda y: y[:, 0]), X, 0), ValueError, "the model's output must have 2 axes (batch, classes), got 1 with shape"),
    (lambda f: f(with_end(lambda y: y[:, 0]), X, 0), ValueError, "a regression gives one column, outputs[:, None]"),
    (lambda f: f(with_end(lambda y: y[:, :, None]), X, 0), ValueError, "the model's output must have 2 axes (batch, classes), got 3 with shape"),
    (lambda f: f(with_end(lambda y: (y, y)), X, 0), TypeError, "the model's output must be a torch.Tensor, got tuple"),
    (lambda f: f(with_end(lambda y: y.round().long()), X, 0), TypeError, "the model's output must be floating point, got torch.int64"),
    (lambda f: f(with_end(lambda y: y * torch.nan), X, 0), ValueError, "the explained score must be finite, got nan at (0,)"),
    (lambda f: f(with_end(lambda y: y.mean(0, keepdim=True)), X, 0), ValueError, "the model must return one row for each of the"),
    (lambda f: f(with_end(lambda y: y.repeat(2, 1)), X, 0), ValueError, "the model must return one row for each of the"),
]  # fmt: skip

NO_PATH = "no gradient leads from the model's output back to inputs: something on the way is not differentiable"
WITHOUT_GRADIENT = [
    (lambda f: f(with_end(torch.Tensor.detach), X, 0), ValueError, NO_PATH),
    (lambda f: f(with_end(lambda y: nn.functional.one_hot(y.argmax(1), 3).float()), X, 0), ValueError, NO_PATH),
    # A gradient exists, but only towards a parameter.
    (lambda f: f(with_end(lambda y: y.detach() * nn.Parameter(torch.ones(3))), X, 0), ValueError, NO_PATH),
    (lambda f: f(with_end(AsByCudnn.apply), X, 0), ValueError, "the model's recurrent layers must not run by cuDNN"),
]

FITTED_ON_CLASSES = RidgeClassifier().fit(X, TARGET)
TWO_OUTPUTS = DecisionTreeClassifier().fit(X, torch.stack([TARGET, TARGET], 1))

KEEPS = nn.Sequential(nn.Linear(6, 3))
KEEPS.last = [KEEPS(X)]  # in a list, where only copy.deepcopy finds it

RAGGED = "must give one size for each of the 3 axes (3, 6, 8), got"
KNOBS = {
    "smoothgrad": [
        (lambda: SMOOTH(MODEL, X, 0, samples=3), ValueError, "samples must be even, since noise is drawn in pairs, got 3"),
        (lambda: SMOOTH(MODEL, X, 0, samples=0), ValueError, "samples must be at least 1, got 0"),
        (lambda: SMOOTH(MODEL, X, 0, samples=2.0), TypeError, "samples must be an int, got float 2.0"),
        (lambda: SMOOTH(MODEL, X, 0, noise=-0.1), ValueError, "noise must be a finite standard deviation of at least 0, got -0.1"),
        (lambda: SMOOTH(MODEL, X, 0, noise=float("nan")), ValueError, "noise must be a finite standard deviation of at least 0, got nan"),
        (lambda: SMOOTH(MODEL, X, 0, noise=float("inf")), ValueError, "noise must be a finite standard deviation of at least 0, got inf"),
        (lambda: SMOOTH(MODEL, X, 0, noise="0.1"), TypeError, "noise must be a number, got str '0.1'"),
        (lambda: SMOOTH(MODEL, X, 0, noise=True), TypeError, "noise must be a number, got bool True"),
        (lambda: SMOOTH(MODEL, X, 0, chunk_size=0), ValueError, "chunk_size must be at least 1, got 0"),
    ],
    "integrated_gradients": [
        (lambda: integrated_gradients(MODEL, X, 0, steps=0), ValueError, "steps must be at least 1, got 0"),
        (lambda: integrated_gradients(MODEL, X, 0, steps=-1), ValueError, "steps must be at least 1, got -1"),
        (lambda: integrated_gradients(MODEL, X, 0, steps=1.5), TypeError, "steps must be an int, got float 1.5"),
        (lambda: integrated_gradients(MODEL, X, 0, steps=True), TypeError, "steps must be an int, got bool True"),
        (lambda: integrated_gradients(MODEL, X, 0, steps=20_000), ValueError, "steps must be at most 1000, got 20000"),
        (lambda: integrated_gradients(MODEL, X, 0, power=10**6), ValueError, "power must be at most twice the 50 steps, got 1000000"),
        (lambda: integrated_gradients(MODEL, X, 0, power=0), ValueError, "power must be at least 1, got 0"),
        (lambda: integrated_gradients(MODEL, X, 0, power=0.5), TypeError, "power must be an int, got float 0.5"),
        (lambda: integrated_gradients(MODEL, X, 0, chunk_size=-4), ValueError, "chunk_size must be at least 1, got -4"),
        (lambda: integrated_gradients(MODEL, X, 0, baseline=torch.zeros(5)), ValueError, "baseline must broadcast to the inputs' shape (4, 6), got (5,)"),
        (lambda: integrated_gradients(MODEL, X, 0, baseline=torch.zeros(2, 4, 6)), ValueError, "baseline must broadcast to the inputs' shape (4, 6), got (2, 4, 6)"),
        (lambda: integrated_gradients(MODEL, X, 0, baseline=torch.zeros(6).double()), TypeError, "baseline must have the dtype of inputs, torch.float32, got torch.float64"),
        (lambda: integrated_gradients(MODEL, X, 0, baseline=one(torch.nan)), ValueError, "baseline must be finite, got nan at (1, 3)"),
        (lambda: integrated_gradients(MODEL, X, 0, baseline=float("inf")), ValueError, "baseline must be finite, got inf"),
        (lambda: integrated_gradients(MODEL, X, 0, baseline="black"), TypeError, "baseline must be a number or a torch.Tensor, got str"),
        (lambda: integrated_gradients(MODEL, X, 0, baseline=True), TypeError, "baseline must be a number or a torch.Tensor, got bool"),
        (lambda: integrated_gradients(MODEL, X, 0, baseline=None), TypeError, "baseline must be a number or a torch.Tensor, got NoneType"),
    ],
    "occlusion": [
        (lambda: occlusion(nn.Flatten(), PICTURES, 0, window=(3, 7, 3)), ValueError, "window (3, 7, 3) must not be larger than the inputs' (3, 6, 8)"),
        (lambda: occlusion(nn.Flatten(), PICTURES, 0, window=(2, 2)), ValueError, f"window {RAGGED} (2, 2)"),
        (lambda: occlusion(nn.Flatten(), PICTURES, 0, window=(4, 3, 2, 2)), ValueError, f"window {RAGGED} (4, 3, 2, 2)"),
        (lambda: occlusion(nn.Flatten(), PICTURES, 0, window=(3, 0, 2)), ValueError, "window must be at least 1, got 0"),
        (lambda: occlusion(nn.Flatten(), PICTURES, 0, window=(3, 2.0, 2)), TypeError, "window must be an int, got float 2.0"),
        (lambda: occlusion(nn.Flatten(), PICTURES, 0, window=[3, 2, 2]), TypeError, "window must be a tuple of one size for each axis of (3, 6, 8), got [3, 2, 2]"),
        (lambda: occlusion(nn.Flatten(), PICTURES, 0, window=2), TypeError, "window must be a tuple of one size for each axis of (3, 6, 8), got 2"),
        (lambda: occlusion(nn.Flatten(), PICTURES, 0, window=(3, 2, 2), stride=(1, 2)), ValueError, f"stride {RAGGED} (1, 2)"),
        (lambda: occlusion(nn.Flatten(), PICTURES, 0, window=(3, 2, 2), stride=(1, 2, 0)), ValueError, "stride must be at least 1, got 0"),
        (lambda: occlusion(nn.Flatten(), PICTURES, 0, window=(3, 2, 2), stride=(3, 2, 3)), ValueError, "stride must not exceed the window, or entries are skipped; axis 3: 3 > 2"),
        (lambda: occlusion(nn.Flatten(), PICTURES, 0, window=(3, 2, 2), baseline=torch.zeros(4)), ValueError, "baseline must broadcast to the inputs' shape (4, 3, 6, 8), got (4,)"),
        (lambda: occlusion(nn.Flatten(), PICTURES, 0, window=(3, 2, 2), chunk_size=0), ValueError, "chunk_size must be at least 1, got 0"),
    ],
    "guided_backprop": [
        (lambda: guided_backprop(nn.Sequential(nn.Flatten(), nn.Tanh()), X, 0), ValueError, "the model must run at least one ReLU between inputs and score, got none"),
        (lambda: guided_backprop(nn.LeakyReLU(), X, 0), ValueError, "the model must run at least one ReLU between inputs and score, got none"),
        (lambda: guided_backprop(nn.Hardtanh(), X, 0), ValueError, "the model must run at least one ReLU between inputs and score, got none"),
        (lambda: guided_backprop(MODEL, X, 0, activations=(nn.GELU,)), ValueError, "model must hold at least one GELU as a module, got Sequential without any"),
        (lambda: guided_backprop(MODEL.forward, X, 0, activations=(nn.GELU,)), TypeError, "model must be a torch.nn.Module to have activations by type, got method"),
    ],
    "expected_gradients": [
        (lambda: expected_gradients(MODEL, X, 0, background=X[:0], generator=seeded(0)), ValueError, "background must hold at least one element, got shape (0, 6)"),
        (lambda: expected_gradients(MODEL, X, 0, background=X[:, :5], generator=seeded(0)), ValueError, "background must have the shape [rows, 6], got (4, 5)"),
        (lambda: expected_gradients(MODEL, X, 0, background=X[0], generator=seeded(0)), ValueError, "background must have the shape [rows, 6], got (6,)"),
        (lambda: expected_gradients(MODEL, X, 0, background=one(torch.nan), generator=seeded(0)), ValueError, "background must be finite, got nan at (1, 3)"),
        (lambda: expected_gradients(MODEL, X, 0, background=X.double(), generator=seeded(0)), TypeError, "background must have the dtype of inputs, torch.float32, got torch.float64"),
        (lambda: expected_gradients(MODEL, X, 0, background=0.0, generator=seeded(0)), TypeError, "background must be a torch.Tensor, got float"),
        (lambda: expected_gradients(MODEL, X, 0, background=X, generator=seeded(0), samples=0), ValueError, "samples must be at least 1, got 0"),
        (lambda: expected_gradients(MODEL, X, 0, background=X, generator=0), TypeError, "generator must be a torch.Generator, got int"),
    ],
    "deep_lift": [
        (lambda: deep_lift(nn.Sequential(nn.LayerNorm(6), nn.ReLU()), X, 0), ValueError, "the attributions must add up to f(x) − f(x′), but miss it by"),
        (lambda: deep_lift(lambda x: x * x, X, 0), ValueError, "parts that are neither affine nor known activation functions"),
        (lambda: deep_lift(MODEL, X, 0, baseline=torch.zeros(5)), ValueError, "baseline must broadcast to the inputs' shape (4, 6), got (5,)"),
        (lambda: deep_lift(MODEL, X, 0, chunk_size=0), ValueError, "chunk_size must be at least 1, got 0"),
    ],
    "rise": [
        (lambda: RISE(MODEL, X, 0, cells=6), TypeError, "cells must be a tuple of one number for each axis of (6,), got 6"),
        (lambda: RISE(MODEL, X, 0, cells=(2, 3)), ValueError, "cells must give one number for each of the 1 axes (6,), got (2, 3)"),
        (lambda: RISE(MODEL, X, 0, cells=(7,)), ValueError, "cells (7,) must not be more than the inputs' (6,)"),
        (lambda: RISE(MODEL, X, 0, cells=(0,)), ValueError, "cells must be at least 1, got 0"),
        (lambda: RISE(MODEL, X, 0, cells=(1,)), ValueError, "cells must be more than 1 on one to three axes, got (1,)"),
        (lambda: RISE(MODEL, X, 0, cells=(6,), samples=0), ValueError, "samples must be at least 1, got 0"),
        (lambda: RISE(MODEL, X, 0, cells=(6,), generator=None), TypeError, "generator must be a torch.Generator, got NoneType"),
        (lambda: RISE(MODEL, X, 0, cells=(6,), baseline=torch.zeros(5)), ValueError, "baseline must broadcast to the inputs' shape (4, 6), got (5,)"),
    ],
    "infidelity": [
        (lambda: INFIDELITY(MODEL, X, 0, X[:, :5]), ValueError, "attributions must have the inputs' shape (4, 6), got (4, 5)"),
        (lambda: INFIDELITY(MODEL, X, 0, one(torch.nan)), ValueError, "attributions must be finite, got nan at (1, 3)"),
        (lambda: INFIDELITY(MODEL, X, 0, X.long()), TypeError, "attributions must be floating point, got torch.int64"),
        (lambda: INFIDELITY(MODEL, X, 0, X.tolist()), TypeError, "attributions must be a torch.Tensor, got list"),
        (lambda: INFIDELITY(MODEL, X, 0, X, noise=0.0), ValueError, "noise must be a finite standard deviation above 0, got 0.0"),
        (lambda: INFIDELITY(MODEL, X, 0, X, noise=True), TypeError, "noise must be a number or None, got bool True"),
        (lambda: INFIDELITY(MODEL, X, 0, X, samples=0), ValueError, "samples must be at least 1, got 0"),
        (lambda: INFIDELITY(MODEL, X, 0, X, generator=1), TypeError, "generator must be a torch.Generator, got int"),
        (lambda: INFIDELITY(MODEL, X, 0, X, baseline=torch.zeros(5)), ValueError, "baseline must broadcast to the inputs' shape (4, 6), got (5,)"),
    ],
    "max_sensitivity": [
        (lambda: SENSITIVITY(MODEL, X[:, 0], 0, saliency), ValueError, "inputs must have a batch axis and at least one more, got shape (4,)"),
        (lambda: SENSITIVITY(MODEL, one(torch.nan), 0, saliency), ValueError, "inputs must be finite, got nan at (1, 3)"),
        (lambda: SENSITIVITY(MODEL, X, 0, lambda m, x, t: x[:, :5]), ValueError, "what the method returns must have the inputs' shape (4, 6), got (4, 5)"),
        (lambda: SENSITIVITY(MODEL, X, 0, lambda m, x, t: x / 0), ValueError, "what the method returns must be finite, got"),
        (lambda: SENSITIVITY(MODEL, X, 0, lambda m, x, t: x.tolist()), TypeError, "what the method returns must be a torch.Tensor, got list"),
        (lambda: SENSITIVITY(MODEL, X, 0, saliency, radius=0), ValueError, "radius must be finite and above 0, got 0"),
        (lambda: SENSITIVITY(MODEL, X, 0, saliency, radius="1"), TypeError, "radius must be a number, got str '1'"),
        (lambda: SENSITIVITY(MODEL, X, 0, saliency, samples=0), ValueError, "samples must be at least 1, got 0"),
        (lambda: SENSITIVITY(MODEL, X, 0, saliency, generator=None), TypeError, "generator must be a torch.Generator, got NoneType"),
    ],
    "localisation": [
        (lambda: localisation(X, X > 9), ValueError, "inside must mark some entries of each example and not all, got 0 in row 0"),
        (lambda: localisation(X, X < 9), ValueError, "inside must mark some entries of each example and not all, got 6 in row 0"),
        (lambda: localisation(X, (X > 0)[:, :5]), ValueError, "inside must have the attributions' shape (4, 6), got (4, 5)"),
        (lambda: localisation(X, X), TypeError, "inside must be a tensor of torch.bool, got torch.float32"),
        (lambda: localisation(X, [True]), TypeError, "inside must be a tensor of torch.bool, got list"),
        (lambda: localisation(one(torch.nan), X > 0), ValueError, "attributions must be finite, got nan at (1, 3)"),
        (lambda: localisation(X.long(), X > 0), TypeError, "attributions must be floating point, got torch.int64"),
    ],
    "agreement": [
        (lambda: agreement(X, X[:3], top=2), ValueError, "second must have the inputs' shape (4, 6), got (3, 6)"),
        (lambda: agreement(X, X, top=7), ValueError, "top must be at most the 6 entries, got 7"),
        (lambda: agreement(X, X, top=0), ValueError, "top must be at least 1, got 0"),
        (lambda: agreement(X, X, top=1.5), TypeError, "top must be an int, got float 1.5"),
        (lambda: agreement(one(torch.nan), X, top=2), ValueError, "first must be finite, got nan at (1, 3)"),
        (lambda: agreement(X, X.long(), top=2), TypeError, "second must be floating point, got torch.int64"),
    ],
    "rank_correlation": [
        (lambda: rank_correlation(X, X[:3]), ValueError, "first and second must have the same shape, got (4, 6) and (3, 6)"),
        (lambda: rank_correlation(X[:, :0], X[:, :0]), ValueError, "first must hold at least one element, got shape (4, 0)"),
        (lambda: rank_correlation(X[0], X[0]), ValueError, "first must have a batch axis and at least one more, got shape (6,)"),
        (lambda: rank_correlation(X.long(), X), TypeError, "first must be floating point, got torch.int64"),
        (lambda: rank_correlation(X, one(torch.nan)), ValueError, "second must be finite, got nan at (1, 3)"),
        (lambda: rank_correlation(X, X.tolist()), TypeError, "second must be a torch.Tensor, got list"),
    ],
    "model_of": [
        (lambda: model_of(FITTED_ON_CLASSES), TypeError, "estimator must be a classifier with predict_proba or a regressor of scikit-learn's kind, got RidgeClassifier"),
        (lambda: model_of(MODEL), TypeError, "estimator must be a classifier with predict_proba or a regressor of scikit-learn's kind, got Sequential"),
        (lambda: model_of(None), TypeError, "estimator must be a classifier with predict_proba or a regressor of scikit-learn's kind, got NoneType"),
        (lambda: model_of(LogisticRegression())(X), ValueError, "This LogisticRegression instance is not fitted yet"),
        (lambda: model_of(LinearRegression().fit(X, TARGET))(X[0]), ValueError, "inputs must have 2 axes (batch, features), got 1 with shape (6,)"),
        (lambda: model_of(TWO_OUTPUTS)(X), ValueError, "estimator must be one classifier with one row of probabilities an example, got 2 outputs"),
    ],
    "cascading_randomization": [
        (lambda: cascading_randomization(MODEL.forward, lambda m: X, generator=seeded(0)), TypeError, "model must be a torch.nn.Module to have layers, got method"),
        (lambda: cascading_randomization(MODEL, lambda m: X, generator=seeded(0)), ValueError, "explain must run the model that it is given, which tells the order of the layers; it did not"),
        (lambda: cascading_randomization(MODEL, lambda m: m(X).sum().item(), generator=seeded(0)), TypeError, "explain must return a torch.Tensor, got float"),
        (lambda: cascading_randomization(MODEL, lambda m: m(X), generator=seeded(0), stops=["6", "top"]), ValueError, "stops must name layers with parameters, got ['top']; from the top: ['6', '4', '1', '0']"),
        (lambda: cascading_randomization(KEEPS, lambda m: m(X), generator=seeded(0)), ValueError, "model must be one that can be copied with copy.deepcopy, got: Only Tensors created explicitly"),
        (lambda: cascading_randomization(nn.ReLU(), lambda m: X, generator=seeded(0)), ValueError, "model must have parameters to randomise, got ReLU without any"),
    ],
    "interaction_strength": [
        (lambda: interaction_strength(MODEL, X, 0, 1, 1), ValueError, "feature and other must name different columns, got (1, 1)"),
        (lambda: interaction_strength(MODEL, X, 0, 1, 6), ValueError, "feature and other must lie in 0 … 5, the columns of inputs, got 6"),
        (lambda: interaction_strength(MODEL, X[:, :1], 0, 0), ValueError, "inputs must have at least 2 columns to interact, got shape (4, 1)"),
    ],
    "accumulated_interaction": [
        (lambda: accumulated_interaction(MODEL, X, 0, (1, 1)), ValueError, "features must name different columns, got (1, 1)"),
        (lambda: accumulated_interaction(MODEL, X, 0, (1, 6)), ValueError, "features must lie in 0 … 5, the columns of inputs, got 6"),
        (lambda: accumulated_interaction(MODEL, X, 0, [1, 2]), TypeError, "features must be a pair of two columns, got [1, 2]"),
        (lambda: accumulated_interaction(MODEL, X, 0, (0, 1, 2)), TypeError, "features must be a pair of two columns, got (0, 1, 2)"),
        (lambda: accumulated_interaction(MODEL, X, 0, (0, 1.0)), TypeError, "features must be the number of a column, an int, got float 1.0"),
        (lambda: accumulated_interaction(MODEL, CONSTANT, 0, (0, 1)), ValueError, "features must vary, got column 1, which is 2.0 for all examples"),
    ],
    "accumulated_effects": [
        (lambda: accumulated_effects(MODEL, CONSTANT, 0, 1), ValueError, "feature must vary, got column 1, which is 2.0 for all examples"),
        (lambda: accumulated_effects(MODEL, X, 0, 1, intervals=0), ValueError, "intervals must be at least 1, got 0"),
        (lambda: accumulated_effects(MODEL, X, 0, 1, intervals=2.0), TypeError, "intervals must be an int, got float 2.0"),
    ],
    "surrogate_tree": [
        (lambda: surrogate_tree(MODEL, X[:, :, None], 0), ValueError, "inputs must have 2 axes (batch, features), got 3 with shape (4, 6, 1)"),
        (lambda: surrogate_tree(MODEL, X, 0, leaves=5), ValueError, "leaves must be at most the 4 examples, got 5"),
        (lambda: surrogate_tree(MODEL, X, 0, leaves=0), ValueError, "leaves must be at least 1, got 0"),
        (lambda: surrogate_tree(MODEL, X, 0, leaves=2.0), TypeError, "leaves must be an int, got float 2.0"),
        (lambda: surrogate_tree(MODEL, X, 0, leaves=2, smallest=0), ValueError, "smallest must be at least 1, got 0"),
        (lambda: surrogate_tree(lambda x: x[:, 5:], X, 0, leaves=2).rules([]), ValueError, "names must name every column of the inputs, got 0 of them: []"),
    ],
    "fidelity": [
        (lambda: fidelity(MODEL, "tree", X, 0), TypeError, "surrogate must be a callable, got str"),
        (lambda: fidelity(MODEL, lambda x: x[:, 0], X, 0), ValueError, "surrogate must return one column of 4 rows, got (4,)"),
        (lambda: fidelity(MODEL, lambda x: 0.0, X, 0), ValueError, "surrogate must return one column of 4 rows, got float"),
        (lambda: fidelity(MODEL, lambda x: x[:, :1] * torch.nan, X, 0), ValueError, "the surrogate's answers must be finite, got nan at (0, 0)"),
        (lambda: fidelity(lambda x: 0 * x + 2, lambda x: x[:, :1], X, 0), ValueError, "the model's scores must differ to be imitated, got 2.0 for all"),
    ],
    "anchor": [
        (lambda: ANCHOR(MODEL, X, GIVEN), ValueError, "inputs must hold one example, got 4"),
        (lambda: ANCHOR(MODEL, X[0], GIVEN), ValueError, "inputs must have a batch axis and at least one more, got shape (6,)"),
        (lambda: ANCHOR(MODEL, one(torch.nan)[1:2], GIVEN), ValueError, "inputs must be finite, got nan at (0, 3)"),
        (lambda: ANCHOR(MODEL, X[:1], 3), ValueError, "target must lie in 0 … 2, the 3 classes, got 3"),
        (lambda: ANCHOR(MODEL, X[:1], (GIVEN + 1) % 3), ValueError, f"target must be the class {GIVEN} that the model gives, got {(GIVEN + 1) % 3}"),
        (lambda: ANCHOR(with_end(lambda y: y[:, :1]), X[:1], 0), ValueError, "the model must tell at least 2 classes apart, got 1"),
        (lambda: ANCHOR(MODEL, X[:1], GIVEN, background=X[:0]), ValueError, "background must hold at least one element, got shape (0, 6)"),
        (lambda: ANCHOR(MODEL, X[:1], GIVEN, background=X[:, :5]), ValueError, "background must have the shape [rows, 6], got (4, 5)"),
        (lambda: ANCHOR(MODEL, X[:1], GIVEN, background=one(torch.inf)), ValueError, "background must be finite, got inf at (1, 3)"),
        (lambda: ANCHOR(MODEL, X[:1], GIVEN, edges=EDGES[:5]), ValueError, "edges must hold one tensor for each of the 6 features, got 5"),
        (lambda: ANCHOR(MODEL, X[:1], GIVEN, edges=torch.zeros(6, 1)), ValueError, "edges must hold one tensor for each of the 6 features, got Tensor"),
        (lambda: ANCHOR(MODEL, X[:1], GIVEN, edges=[*EDGES[:5], torch.tensor([1.0, 1.0])]), ValueError, "edges[5] must increase, got [1.0, 1.0]"),
        (lambda: ANCHOR(MODEL, X[:1], GIVEN, edges=[*EDGES[:5], [1.0]]), TypeError, "edges[5] must be a torch.Tensor, got list"),
        (lambda: ANCHOR(MODEL, X[:1], GIVEN, edges=[*EDGES[:5], torch.ones(1) / 0]), ValueError, "edges[5] must be finite, got inf at (0,)"),
        (lambda: ANCHOR(MODEL, X[:1], GIVEN, generator=0), TypeError, "generator must be a torch.Generator, got int"),
        (lambda: ANCHOR(MODEL, X[:1], GIVEN, precision=1), ValueError, "precision must lie between 0 and 1, got 1"),
        (lambda: ANCHOR(MODEL, X[:1], GIVEN, precision="0.9"), ValueError, "precision must lie between 0 and 1, got '0.9'"),
        (lambda: ANCHOR(MODEL, X[:1], GIVEN, precision=float("nan")), ValueError, "precision must lie between 0 and 1, got nan"),
        (lambda: ANCHOR(MODEL, X[:1], GIVEN, longest=0), ValueError, "longest must be at least 1, got 0"),
        (lambda: ANCHOR(MODEL, X[:1], GIVEN, samples=0), ValueError, "samples must be at least 1, got 0"),
        (lambda: ANCHOR(MODEL, X[:1], GIVEN).rule(["a"]), ValueError, "names must name every column of the inputs, got 1 of them: ['a']"),
    ],
    "counterfactuals": [
        (lambda: NEAREST(MODEL, X, 0, changeable=[6]), ValueError, "changeable must lie in 0 … 5, the columns of inputs, got 6"),
        (lambda: NEAREST(MODEL, X, 0, changeable=[]), ValueError, "changeable must name at least one column, got ()"),
        (lambda: NEAREST(MODEL, X, 0, changeable=[1, 1]), ValueError, "changeable must name different columns, got (1, 1)"),
        (lambda: NEAREST(MODEL, X, 0, changeable=[1], background=CONSTANT), ValueError, "changeable must name columns that vary over the background, got 1, which is constant"),
        (lambda: NEAREST(MODEL, X, 0, background=X.double()), TypeError, "background must have the dtype of inputs, torch.float32, got torch.float64"),
        (lambda: NEAREST(MODEL, X, 0, background=X[:0]), ValueError, "background must hold at least one element, got shape (0, 6)"),
        (lambda: NEAREST(MODEL, X, 0, level=float("nan")), ValueError, "level must be finite, got nan"),
        (lambda: NEAREST(MODEL, X, 0, level=True), TypeError, "level must be a number, got bool True"),
        (lambda: NEAREST(MODEL, X, 0, changes=0), ValueError, "changes must be at least 1, got 0"),
        (lambda: NEAREST(MODEL, X, 0, values=1), ValueError, "values must be at least 2, got 1"),
        (lambda: NEAREST(MODEL, X, 0, values=2.5), TypeError, "values must be an int, got float 2.5"),
        (lambda: NEAREST(MODEL, X[:, :, None], 0), ValueError, "inputs must have 2 axes (batch, features), got 3 with shape (4, 6, 1)"),
    ],
    "permutation_importance": [
        (lambda: PERMUTE("model", X, TARGET), TypeError, "model must be a module or another callable, got str"),
        (lambda: PERMUTE(MODEL, X.tolist(), TARGET), TypeError, "inputs must be a torch.Tensor, got list"),
        (lambda: PERMUTE(MODEL, X.long(), TARGET), TypeError, "inputs must be floating point, got torch.int64"),
        (lambda: PERMUTE(MODEL, X[:0], TARGET[:0]), ValueError, "inputs must hold at least one element, got shape (0, 6)"),
        (lambda: PERMUTE(MODEL, X[:, :, None], TARGET), ValueError, "inputs must have 2 axes (batch, features), got 3 with shape (4, 6, 1)"),
        (lambda: PERMUTE(MODEL, one(torch.nan), TARGET), ValueError, "inputs must be finite, got nan at (1, 3)"),
        (lambda: PERMUTE(MODEL, X, TARGET.tolist()), TypeError, "labels must be a torch.Tensor, got list"),
        (lambda: PERMUTE(MODEL, X, TARGET[:3]), ValueError, "labels and inputs must have the same length, got labels 3, inputs 4"),
        (lambda: PERMUTE(MODEL, X, TARGET, repeats=0), ValueError, "repeats must be at least 1, got 0"),
        (lambda: PERMUTE(MODEL, X, TARGET, groups=[[0], []]), ValueError, "groups must name at least one column, got []"),
        (lambda: PERMUTE(MODEL, X, TARGET, groups=[[0, 6]]), ValueError, "groups must lie in 0 … 5, the columns of inputs, got 6"),
        (lambda: PERMUTE(MODEL, X, TARGET, groups=[[0, 0]]), ValueError, "groups must name different columns, got (0, 0)"),
        (lambda: PERMUTE(MODEL, X, TARGET, groups=[0, 1]), TypeError, "groups must be lists of columns, got int 0"),
        (lambda: PERMUTE(MODEL, X, TARGET, groups=["ab"]), TypeError, "groups must be lists of columns, got str 'ab'"),
        (lambda: PERMUTE(MODEL, X, TARGET, groups=[]), ValueError, "groups must hold at least one group of columns, got none"),
        (lambda: PERMUTE(MODEL, X, TARGET, predicted=X[:, :5]), ValueError, "predicted must have the inputs' shape (4, 6), got (4, 5)"),
        (lambda: PERMUTE(MODEL, X, TARGET, predicted=0.0), ValueError, "predicted must have the inputs' shape (4, 6), got float"),
        (lambda: PERMUTE(MODEL, X, TARGET, predicted=one(torch.nan)), ValueError, "predicted must be finite, got nan at (1, 3)"),
        (lambda: PERMUTE(MODEL, X, TARGET, chunk_size=0), ValueError, "chunk_size must be at least 1, got 0"),
        (lambda: PERMUTE(MODEL, X, TARGET, generator=None), TypeError, "generator must be a torch.Generator, got NoneType"),
        (lambda: PERMUTE(MODEL, X, TARGET, score="accuracy"), TypeError, "score must be a callable of outputs and labels, got str"),
        (lambda: PERMUTE(MODEL, X, TARGET, score=lambda outputs, labels: outputs), TypeError, "the score must be one number, got Tensor"),
        (lambda: PERMUTE(MODEL, X, TARGET, score=lambda outputs, labels: None), TypeError, "the score must be one number, got NoneType"),
        (lambda: PERMUTE(MODEL, X, TARGET, score=lambda outputs, labels: float("nan")), ValueError, "the score must be finite, got nan"),
        (lambda: PERMUTE(with_end(lambda y: y * torch.nan), X, TARGET), ValueError, "the model's output must be finite, got nan at (0, 0)"),
        (lambda: PERMUTE(with_end(lambda y: y[:, 0]), X, TARGET), ValueError, "the model's output must have 2 axes (batch, classes), got 1 with shape"),
        (lambda: PERMUTE(with_end(lambda y: y.repeat(2, 1)), X, TARGET), ValueError, "the model must return one row for each of the"),
    ],
}  # fmt: skip
for effect in (partial_dependence, individual_effects, accumulated_effects):
    KNOBS.setdefault(effect.__name__, []).extend([
        (lambda f=effect: f(MODEL, X, 0, 6), ValueError, "feature must lie in 0 … 5, the columns of inputs, got 6"),
        (lambda f=effect: f(MODEL, X, 0, -1), ValueError, "feature must lie in 0 … 5, the columns of inputs, got -1"),
        (lambda f=effect: f(MODEL, X, 0, "age"), TypeError, "feature must be the number of a column, an int, got str 'age'"),
        (lambda f=effect: f(MODEL, X, 0, True), TypeError, "feature must be the number of a column, an int, got bool True"),
        (lambda f=effect: f(MODEL, X[:, :, None], 0, 1), ValueError, "inputs must have 2 axes (batch, features), got 3 with shape (4, 6, 1)"),
        (lambda f=effect: f(MODEL, X, 0, 1, chunk_size=0), ValueError, "chunk_size must be at least 1, got 0"),
    ])  # fmt: skip
for effect in (partial_dependence, individual_effects):
    KNOBS[effect.__name__] += [
        (lambda f=effect: f(MODEL, X, 0, 1, grid=0), ValueError, "grid must be at least 1, got 0"),
        (lambda f=effect: f(MODEL, X, 0, 1, grid=1), ValueError, "grid must hold at least 2 values when it is given as their number, got 1"),
        (lambda f=effect: f(MODEL, X, 0, 1, grid=2.5), TypeError, "grid must be an int, got float 2.5"),
        (lambda f=effect: f(MODEL, X, 0, 1, grid=torch.arange(3)), TypeError, "grid must be floating point, got torch.int64"),
        (lambda f=effect: f(MODEL, X, 0, 1, grid=torch.zeros(0)), ValueError, "grid must hold at least one element, got shape (0,)"),
        (lambda f=effect: f(MODEL, X, 0, 1, grid=X[:2]), ValueError, "grid must have 1 axes (points), got 2 with shape (2, 6)"),
        (lambda f=effect: f(MODEL, X, 0, 1, grid=X[0] / 0), ValueError, "grid must be finite, got"),
    ]  # fmt: skip
PARTS = "segments must use every number from 0 to 3, got none of"
for game in (EXACT, KERNEL, ORDERS, LIME):
    KNOBS[game.func.__name__] = [
        (lambda f=game: f(MODEL, X, 0, background=X[:0]), ValueError, "background must hold at least one element, got shape (0, 6)"),
        (lambda f=game: f(MODEL, X, 0, background=X[:, :5]), ValueError, "background must have the shape [rows, 6], got (4, 5)"),
        (lambda f=game: f(MODEL, X, 0, background=X[0]), ValueError, "background must have the shape [rows, 6], got (6,)"),
        (lambda f=game: f(MODEL, X, 0, background=X.double()), TypeError, "background must have the dtype of inputs, torch.float32, got torch.float64"),
        (lambda f=game: f(MODEL, X, 0, background=one(torch.nan)), ValueError, "background must be finite, got nan at (1, 3)"),
        (lambda f=game: f(MODEL, X, 0, background=0.0), TypeError, "background must be a torch.Tensor, got float"),
        (lambda f=game: f(MODEL, X, 0, segments=torch.tensor([0, 1, 1, 3, 3, 3])), ValueError, f"{PARTS} 2"),
        (lambda f=game: f(MODEL, X, 0, segments=torch.tensor([3, 1, 1, 2, 2, 2])), ValueError, f"{PARTS} 0"),
        (lambda f=game: f(MODEL, X, 0, segments=torch.tensor([0, 1, 1, -1, 2, 2])), ValueError, "segments must lie in 0 … 5, at most one for each entry, got -1"),
        (lambda f=game: f(MODEL, X, 0, segments=torch.tensor([0, 1, 1, 2, 2, 9])), ValueError, "segments must lie in 0 … 5, at most one for each entry, got 9"),
        (lambda f=game: f(MODEL, X, 0, segments=torch.zeros(5).long()), ValueError, "segments must number each entry of an example of shape (6,), got (5,)"),
        (lambda f=game: f(MODEL, X, 0, segments=torch.zeros(6)), TypeError, "segments must be a tensor of whole numbers of dtype torch.int64, got torch.float32"),
        (lambda f=game: f(MODEL, X, 0, segments=[0, 0, 1, 1, 2, 2]), TypeError, "segments must be a tensor of whole numbers of dtype torch.int64, got list"),
        (lambda f=game: f(MODEL, X, 0, chunk_size=0), ValueError, "chunk_size must be at least 1, got 0"),
    ]  # fmt: skip
KNOBS["exact_shapley"] += [
    (lambda: exact_shapley(nn.Flatten(), PICTURES, 0, background=PICTURES), ValueError, "an exact Shapley value must be of at most 16 players (2ⁿ coalitions), got 144; merge features by segments"),
]  # fmt: skip
KNOBS["kernel_shap"] += [
    (lambda: KERNEL(MODEL, X, 0, samples=11), ValueError, "samples must be at least 2 for each of the 6 players, got 11"),
    (lambda: KERNEL(MODEL, X, 0, samples=0), ValueError, "samples must be at least 1, got 0"),
    (lambda: KERNEL(MODEL, X, 0, samples=64.0), TypeError, "samples must be an int, got float 64.0"),
    (lambda: KERNEL(MODEL, X, 0, generator=0), TypeError, "generator must be a torch.Generator, got int"),
]  # fmt: skip
NOBODY_NEAR = "width must leave random inputs near the example, got weights of which all are rounded to 0"
KNOBS["lime"] += [
    (lambda: LIME(MODEL, X, 0, samples=6), ValueError, "samples must be more than the 6 weights that are fitted, got 6"),
    (lambda: LIME(MODEL, X, 0, samples=1e3), TypeError, "samples must be an int, got float 1000.0"),
    (lambda: LIME(MODEL, X, 0, background=X[:1]), ValueError, "background must have at least 2 rows, which give features a spread, got 1"),
    (lambda: LIME(MODEL, X, 0, width=0), ValueError, "width must be positive, got 0"),
    (lambda: LIME(MODEL, X, 0, width=float("inf")), ValueError, "width must be finite, got inf"),
    (lambda: LIME(MODEL, X, 0, width="wide"), TypeError, "width must be a number, got str 'wide'"),
    (lambda: LIME(MODEL, X, 0, width=0.01), ValueError, NOBODY_NEAR),
    (lambda: LIME(MODEL, X + 1000, 0), ValueError, NOBODY_NEAR),
    (lambda: LIME(MODEL, X, 0, segments=torch.arange(6), width=1e-3), ValueError, NOBODY_NEAR),
    (lambda: LIME(MODEL, X, 0, ridge=-1.0), ValueError, "ridge must be at least 0, got -1.0"),
    (lambda: LIME(MODEL, X, 0, ridge=True), TypeError, "ridge must be a number, got bool True"),
    (lambda: LIME(MODEL, X, 0, generator=0), TypeError, "generator must be a torch.Generator, got int"),
]  # fmt: skip
KNOBS["permutation_shapley"] += [
    (lambda: ORDERS(MODEL, X, 0, rounds=0), ValueError, "rounds must be at least 1, got 0"),
    (lambda: ORDERS(MODEL, X, 0, rounds=True), TypeError, "rounds must be an int, got bool True"),
    (lambda: ORDERS(MODEL, X, 0, generator=None), TypeError, "generator must be a torch.Generator, got NoneType"),
]  # fmt: skip
KNOBS["shapley_value"] = [
    (lambda: shapley_value(torch.zeros(3, 6)), ValueError, "worths must be of the 2ⁿ coalitions of n ≥ 1 players, got 6"),
    (lambda: shapley_value(torch.zeros(1)), ValueError, "worths must be of the 2ⁿ coalitions of n ≥ 1 players, got 1"),
    (lambda: shapley_value(torch.zeros(0)), ValueError, "worths must be of the 2ⁿ coalitions of n ≥ 1 players, got 0"),
    (lambda: shapley_value(torch.tensor(1.0)), ValueError, "worths must be of the 2ⁿ coalitions of n ≥ 1 players, got 0"),
    (lambda: shapley_value(torch.zeros(2**17)), ValueError, "an exact Shapley value must be of at most 16 players (2ⁿ coalitions), got 17"),
    (lambda: shapley_value(torch.zeros(4).long()), TypeError, "worths must be floating point, got torch.int64"),
    (lambda: shapley_value(torch.tensor([0.0, torch.nan])), ValueError, "worths must be finite, got nan at (1,)"),
]  # fmt: skip
GPT, TOKENS = gpt(), tokens()
FOLLOWED = partial(gradient_weighted_attention, layers=["blocks.0.attention"], heads=2, score=lambda z: z[:, -1, 0])
KNOBS["attention_rollout"] = [
    (lambda: attention_rollout(torch.ones(2, 3, 4, 4)), ValueError, "patterns must have 5 axes"),
    (
        lambda: attention_rollout(torch.ones(1, 2, 3, 4, 5)),
        ValueError,
        "patterns and patterns must agree on time, got 4 and 5",
    ),
    (
        lambda: attention_rollout(torch.ones(1, 2, 3, 4, 4).long()),
        TypeError,
        "patterns must be floating point, got torch.int64",
    ),
    (lambda: attention_rollout([torch.eye(3)]), TypeError, "patterns must be a torch.Tensor, got list"),
]
KNOBS["gradient_weighted_attention"] = [
    (lambda: FOLLOWED(lambda x: x, TOKENS), TypeError, "model must be a Module, got function"),
    (lambda: FOLLOWED(GPT, TOKENS.tolist()), TypeError, "inputs must be a Tensor, got list"),
    (lambda: FOLLOWED(GPT, TOKENS[0]), ValueError, "inputs must be [batch, time] or [batch, time, features], got shape (7,)"),
    (lambda: FOLLOWED(GPT, TOKENS, layers=[]), ValueError, "layers must name modules of the model, got []"),
    (lambda: FOLLOWED(GPT, TOKENS, layers=["blocks.7.attention"]), ValueError, "layers must name modules of the model, got ['blocks.7.attention.value', "),
    (lambda: FOLLOWED(GPT, TOKENS, heads=3), ValueError, "the width of 'blocks.0.attention.output', 8 must be divisible by heads 3"),
    (lambda: FOLLOWED(GPT, TOKENS, heads=2.0), TypeError, "heads must be an int, got float 2.0"),
    (lambda: FOLLOWED(GPT, TOKENS, score=lambda z: z[:, -1]), ValueError, "score must return one number for each of the 3 examples, got (3, 11)"),
    (lambda: FOLLOWED(GPT, TOKENS, score=lambda z: z[:, -1, 0] * torch.nan), ValueError, "the score must be finite, got nan at (0,)"),
    (lambda: FOLLOWED(GPT, TOKENS, score=lambda z: z[:, -1, 0].detach()), ValueError, "no gradient leads from the score back to layer 'blocks.0.attention'"),
    (lambda: FOLLOWED(GPT, TOKENS, score=1.0), TypeError, "score must be callable, got float 1.0"),
]  # fmt: skip
TREE = DecisionTreeClassifier().fit(X, TARGET)
STARTED = GradientBoostingRegressor(n_estimators=1, init=LinearRegression()).fit(X, TARGET)
SORTED = HistGradientBoostingRegressor(max_iter=1, min_samples_leaf=1, categorical_features=[0])
SORTED.fit(torch.arange(90.0)[:, None] % 3, [0.0, 5, 1] * 30)
WEIGHTED = HistGradientBoostingRegressor(max_iter=1, min_samples_leaf=1).fit(X, X[:, 0], sample_weight=[1.0, 2, 3, 4])
KNOWN_TREES = "estimator must be a decision tree, random forest, extra trees or (histogram) gradient boosting of scikit-learn, got"
KNOBS["tree_shap"] = [
    (lambda: tree_shap(AdaBoostClassifier(n_estimators=1).fit(X, TARGET), X, 0), TypeError, f"{KNOWN_TREES} AdaBoostClassifier"),
    (lambda: tree_shap(LinearRegression().fit(X, TARGET), X, 0), TypeError, f"{KNOWN_TREES} LinearRegression"),
    (lambda: tree_shap(model_of(TREE), X, 0), TypeError, f"{KNOWN_TREES} function"),
    (lambda: tree_shap(MODEL, X, 0), TypeError, f"{KNOWN_TREES} Sequential"),
    (lambda: tree_shap(DecisionTreeClassifier(), X, 0), ValueError, "This DecisionTreeClassifier instance is not fitted yet"),
    (lambda: tree_shap(TWO_OUTPUTS, X, 0), ValueError, "estimator must have one output, got 2; fit one for each"),
    (lambda: tree_shap(STARTED, X, 0), ValueError, "estimator must start from a constant, got init LinearRegression(), which its trees do not hold"),
    (lambda: tree_shap(WEIGHTED, X, 0), ValueError, "background must be given for histogram boosting fitted with sample_weight, got None"),
    (lambda: tree_shap(SORTED, X[:, :1], 0), ValueError, "estimator must split on numbers only, got splits on categories"),
    (lambda: tree_shap(TREE, X[:, :5], 0), ValueError, "inputs must have the 6 features that estimator was fitted on, got 5"),
    (lambda: tree_shap(TREE, X[0], 0), ValueError, "inputs must have 2 axes (batch, features), got 1 with shape (6,)"),
    (lambda: tree_shap(TREE, X.tolist(), 0), TypeError, "inputs must be a torch.Tensor, got list"),
    (lambda: tree_shap(TREE, X.long(), 0), TypeError, "inputs must be floating point, got torch.int64"),
    (lambda: tree_shap(TREE, X[:0], 0), ValueError, "inputs must hold at least one element, got shape (0, 6)"),
    (lambda: tree_shap(TREE, one(torch.nan), 0), ValueError, "inputs must be finite, got nan at (1, 3)"),
    (lambda: tree_shap(TREE, X, 3), ValueError, "target must lie in 0 … 2, the 3 classes, got 3"),
    (lambda: tree_shap(TREE, X, TARGET[:2]), ValueError, "target must give one class for each of the 4 examples, got shape (2,)"),
    (lambda: tree_shap(TREE, X, 0.5), TypeError, "target must be a class index, or integers that give one for each example, got float 0.5"),
    (lambda: tree_shap(TREE, X, 0, background=X[:0]), ValueError, "background must hold at least one element, got shape (0, 6)"),
    (lambda: tree_shap(TREE, X, 0, background=X[:, :5]), ValueError, "background must have the shape [rows, 6], got (4, 5)"),
    (lambda: tree_shap(TREE, X, 0, background=X.double()), TypeError, "background must have the dtype of inputs, torch.float32, got torch.float64"),
    (lambda: tree_shap(TREE, X, 0, background=one(torch.nan)), ValueError, "background must be finite, got nan at (1, 3)"),
]  # fmt: skip
KNOBS["completeness_gap"] = [
    (lambda: completeness_gap(MODEL, X, 0, X, background=X[:, :5]), ValueError, "background must have the shape [rows, 6], got (4, 5)"),
]  # fmt: skip
for curve in (deletion_curve, insertion_curve):
    KNOBS[curve.__name__] = [
        (lambda f=curve: f(MODEL, X, 0, X[:, :5], steps=2), ValueError, "attributions must have the inputs' shape (4, 6), or 1 on axes treated as a whole, got (4, 5)"),
        (lambda f=curve: f(MODEL, X, 0, X[:1], steps=2), ValueError, "attributions must have the inputs' shape (4, 6), or 1 on axes treated as a whole, got (1, 6)"),
        (lambda f=curve: f(MODEL, X, 0, X[:, 0], steps=2), ValueError, "attributions must have the inputs' shape (4, 6), or 1 on axes treated as a whole, got (4,)"),
        (lambda f=curve: f(MODEL, X, 0, None, steps=2), ValueError, "attributions must have the inputs' shape (4, 6), or 1 on axes treated as a whole, got NoneType"),
        (lambda f=curve: f(MODEL, X, 0, one(torch.nan), steps=2), ValueError, "attributions must be finite, got nan at (1, 3)"),
        (lambda f=curve: f(MODEL, X, 0, X, steps=7), ValueError, "steps must be at most the 6 entries that are ranked, got 7"),
        (lambda f=curve: f(MODEL, X, 0, X), ValueError, "steps must be at most the 6 entries that are ranked, got 20"),
        (lambda f=curve: f(nn.Sequential(MODEL, nn.Softmax(1)), X, 0, X, steps=2), ValueError, "outputs='logits' must not be probabilities already, got rows that are positive and add up to 1"),
        (lambda f=curve: f(MODEL, X, 0, X, steps=2, outputs="probabilities"), ValueError, "outputs='probabilities' must lie in [0, 1], got"),
        (lambda f=curve: f(MODEL, X, 0, X, steps=2, outputs="odds"), ValueError, "outputs must be 'logits' or 'probabilities', got 'odds'"),
        (lambda f=curve: f(MODEL, X, 0, X, steps=0), ValueError, "steps must be at least 1, got 0"),
        (lambda f=curve: f(MODEL, X, 0, X, steps=True), TypeError, "steps must be an int, got bool True"),
        (lambda f=curve: f(MODEL, X, 0, X, steps=2, baseline=torch.zeros(4)), ValueError, "baseline must broadcast to the inputs' shape (4, 6), got (4,)"),
        (lambda f=curve: f(MODEL, X, 0, X, steps=2, chunk_size=0), ValueError, "chunk_size must be at least 1, got 0"),
        (lambda f=curve: f(with_end(lambda y: y[:, :1]), X, 0, X, steps=2), ValueError, "the model must tell at least 2 classes apart, or the probability is always 1; got 1"),
    ]  # fmt: skip


class Branches(nn.Module):
    """One layer of each kind that Grad-CAM cannot read, beside one that it can."""

    def __init__(self):
        super().__init__()
        self.maps, self.cut, self.idle = (nn.Conv2d(3, 4, 3) for _ in range(3))
        self.reader, self.flat = nn.GRU(4, 4), nn.Flatten()
        self.head, self.wide, self.spare = nn.Linear(4, 3), nn.Linear(4, 5), nn.Linear(4, 3)

    def forward(self, x):
        maps = self.maps(x)
        self.reader(maps[:, :, 0, 0])
        self.wide(maps.mean((2, 3)))
        return self.head(self.flat(maps.mean((2, 3)))) + self.cut(x).detach().mean()


BRANCHES = Branches()
MAPS = [
    (lambda f: f(BRANCHES, PICTURES, 0, layer="last"), ValueError, "layers must name modules of the model, got ['last'"),
    (lambda f: f(BRANCHES, PICTURES, 0, layer=""), ValueError, "layers must name modules of the model, got [''"),
    (lambda f: f(BRANCHES, PICTURES, 0, layer=["maps"]), TypeError, "layer and head must be names, as model.named_modules() has them, got list"),
    (lambda f: f(BRANCHES, PICTURES, 0, layer=BRANCHES.maps), TypeError, "layer and head must be names, as model.named_modules() has them, got Conv2d"),
    (lambda f: f(BRANCHES, PICTURES, 0, layer="idle"), ValueError, "'idle' was not run when the model classified the inputs"),
    (lambda f: f(BRANCHES, PICTURES, 0, layer="flat"), ValueError, "layer 'flat' must put out maps [batch, maps, rows, columns], got (4, 4)"),
    (lambda f: f(BRANCHES, PICTURES, 0, layer="reader"), ValueError, "layer 'reader' must put out maps [batch, maps, rows, columns], got tuple"),
    (lambda f: f(BRANCHES.forward, PICTURES, 0, layer="maps"), TypeError, "model must be a torch.nn.Module to have layers by name, got method"),
    (lambda f: f(BRANCHES, PICTURES[0], 0, layer="maps"), ValueError, "inputs must have 4 axes (batch, channels, height, width), got 3"),
    (lambda f: f(BRANCHES, X, 0, layer="maps"), ValueError, "inputs must have 4 axes (batch, channels, height, width), got 2"),
    (lambda f: f(BRANCHES, PICTURES.tolist(), 0, layer="maps"), TypeError, "inputs must be a torch.Tensor, got list"),
    (lambda f: f(BRANCHES, PICTURES.long(), 0, layer="maps"), TypeError, "inputs must be floating point, got torch.int64"),
    (lambda f: f(BRANCHES, PICTURES[:0], 0, layer="maps"), ValueError, "inputs must hold at least one element, got shape (0, 3, 6, 8)"),
    (lambda f: f(BRANCHES, PICTURES / 0, 0, layer="maps"), ValueError, "inputs must be finite, got"),
    (lambda f: f(BRANCHES, PICTURES, 3, layer="maps"), ValueError, "target must lie in 0 … 2, the 3 classes, got 3"),
    (lambda f: f(BRANCHES, PICTURES, True, layer="maps"), TypeError, "target must be a class index, or integers that give one for each example, got bool True"),
    (lambda f: f(BRANCHES, PICTURES, TARGET[:2], layer="maps"), ValueError, "target must give one class for each of the 4 examples, got shape (2,)"),
    (lambda f: f(BRANCHES, PICTURES, TARGET.double(), layer="maps"), TypeError, "target must be a class index, or integers that give one for each example, got torch.float64"),
]  # fmt: skip
CAM = partial(class_activation_map, layer="maps", head="head")
MAP_KNOBS = {
    "grad_cam_map": [
        (lambda: grad_cam_map(BRANCHES, PICTURES, 0, layer="cut"), ValueError, "no gradient leads from the model's output back to layer 'cut'"),
    ],
    "grad_cam_plus_plus": [
        (lambda: grad_cam_plus_plus(BRANCHES, PICTURES, 0, layer="cut"), ValueError, "no gradient leads from the model's output back to layer 'cut'"),
        (lambda: grad_cam_plus_plus(nn.Sequential(nn.Identity(), nn.Flatten()), -2 - PICTURES.abs(), 0, layer="0"), ValueError, "2 + g ΣA must be positive, as it is for maps after a ReLU, got -"),
    ],
    "class_activation_map": [
        (lambda: class_activation_map(BRANCHES, PICTURES, 0, layer="maps", head="top"), ValueError, "layers must name modules of the model, got ['maps', 'top']"),
        (lambda: class_activation_map(BRANCHES, PICTURES, 0, layer="maps", head="flat"), TypeError, "head must name a linear layer, got 'flat', a Flatten"),
        (lambda: class_activation_map(BRANCHES, PICTURES, 0, layer="maps", head="cut"), TypeError, "head must name a linear layer, got 'cut', a Conv2d"),
        (lambda: class_activation_map(BRANCHES, PICTURES, 0, layer="maps", head="wide"), ValueError, "head 'wide' must map the 4 feature maps of 'maps' to the 3 classes, got a weight of shape (5, 4)"),
        (lambda: class_activation_map(BRANCHES, PICTURES, 0, layer="maps", head="spare"), ValueError, "'spare' was not run when the model classified the inputs"),
    ],
}  # fmt: skip


def rows(name, calls):
    return [pytest.param(call, error, message, id=f"{name}: {message}") for call, error, message in calls]


def given_to(function, name, calls):
    return rows(name, [(partial(call, function), error, message) for call, error, message in calls])


TABLE = [
    *(row for name, f in ROWS.items() for row in given_to(f, name, FOR_ALL)),
    *(row for name in DIFFERENTIATING for row in given_to(ROWS[name], name, WITHOUT_GRADIENT)),
    *(
        row
        for f, knobs in [
            (grad_cam, {}),
            (grad_cam_map, {}),
            (grad_cam_plus_plus, {}),
            (class_activation_map, {"head": "head"}),
        ]
        for row in given_to(partial(f, **knobs), f.__name__, MAPS)
    ),
    *(row for table in (KNOBS, MAP_KNOBS) for name, calls in table.items() for row in rows(name, calls)),
]


@pytest.fixture
def as_it_was():
    """After each refusal: no hook, mode, gradient or random number of what was handed in has changed."""
    models, tensors = (MODEL, BRANCHES), (X, TARGET, PICTURES, TOKENS)

    def state():
        return [
            torch.get_rng_state(),
            *(value.clone() for model in models for value in model.state_dict().values()),
            *(tensor.clone() for tensor in tensors),
        ]

    for model in models:
        model.train()
        model.eval().get_submodule("0" if model is MODEL else "maps").train()
    before = state()
    yield
    assert all(torch.equal(one, other) for one, other in zip(before, state(), strict=True))
    for model in models:
        trained = [module for module in model.modules() if module.training]
        assert trained == [model.get_submodule("0" if model is MODEL else "maps")]
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
        assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in GPT.modules())
    assert not any(tensor.requires_grad for tensor in tensors)
    assert torch.is_grad_enabled()


@pytest.mark.bad_input
@pytest.mark.usefixtures("as_it_was")
@pytest.mark.parametrize(("call", "error", "message"), TABLE)
def test_bad_input_is_refused_with_the_value_and_the_rule_and_nothing_stays_behind(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_every_method_has_rows_in_the_table():
    import lib.explanations

    named = {row.id.partition(":")[0] for row in TABLE}
    # A record is nobody's call; the mechanisms have a table of their own.
    mechanisms = set(lib.explanations.mechanisms.__all__)
    called = {name for name in lib.explanations.__all__ if not name[0].isupper()} - mechanisms
    assert called - named == set(), "a method of any input stands in ROWS, another in KNOBS or MAP_KNOBS"
