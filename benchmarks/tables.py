"""Explanations of tables beside shap, lime and scikit-learn, with the error against the exact value at equal budget."""

import logging
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch
from sklearn import inspection
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from torch import Tensor, nn

from lib.core import fixed_seed, seeded, train
from lib.data import load_breast_cancer
from lib.explanations import (
    exact_shapley,
    kernel_shap,
    lime,
    model_of,
    partial_dependence,
    permutation_importance,
    permutation_shapley,
    tree_shap,
)

from .harness import Row, Table, compare

PLAYERS = 12  # 4,096 coalitions: the exact value is known
BUDGET = 512  # coalitions


def tables(rounds: int) -> list[Table]:
    """A table for Shapley values, one for LIME, one for effects."""
    data = Data()
    return [
        Table(
            "shapley", "Shapley values of 12 columns, 50 background rows, against shap", tuple(_shapley(data, rounds))
        ),
        Table("lime", "LIME of 30 columns, against lime", tuple(_lime(data, rounds))),
        Table("effects", "permutation importance and PDP, against scikit-learn", tuple(_effects(data, rounds))),
    ]


class Data:
    """Tumours, a network, a forest and a booster, trained for seconds."""

    def __init__(self) -> None:
        cancer = load_breast_cancer()
        mean, spread = cancer.train_inputs.mean(0), cancer.train_inputs.std(0)
        self.rows, self.labels = (cancer.train_inputs - mean) / spread, cancer.train_labels
        self.few = self.rows[:, :PLAYERS].contiguous()
        with fixed_seed(0):
            self.network, self.wide = (
                nn.Sequential(nn.Linear(n, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 2))
                for n in (PLAYERS, 30)
            )
        for network, rows in ((self.network, self.few), (self.wide, self.rows)):
            train(network, rows, self.labels, epochs=40, generator=seeded(0), learning_rate=3e-3, progress=False)
            network.eval().requires_grad_(False)
        table, labels = self.rows.numpy(), self.labels.numpy()
        self.forest = RandomForestClassifier(100, random_state=0).fit(table, labels)
        self.booster = HistGradientBoostingClassifier(random_state=0).fit(table, labels)
        self.small = RandomForestClassifier(50, random_state=0).fit(self.few.numpy(), labels)


def _arrays(network: nn.Module) -> Callable:
    """The malignant score of rows that come as arrays."""
    return lambda rows: network(torch.as_tensor(rows, dtype=torch.float32))[:, 1].numpy()


def _shapley(data: Data, rounds: int) -> Iterator[Row]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")  # widgets that nobody needs here
        import shap
    logging.getLogger("shap").setLevel(logging.ERROR)
    row, background = data.few[60:61], data.few[:50]
    exact = exact_shapley(data.network.double(), row.double(), 1, background=background.double())
    data.network.float()
    model, generator = _arrays(data.network), seeded(0)
    masker = shap.maskers.Independent(background.numpy(), max_samples=50)
    every, kernel = shap.ExactExplainer(model, masker), shap.KernelExplainer(model, background.numpy())
    orders = shap.PermutationExplainer(model, masker, seed=0)
    explained = {"background": background}

    def by_kernel() -> Tensor:
        return _tensor(kernel.shap_values(row.numpy(), nsamples=BUDGET, l1_reg=False, silent=True))

    def by_orders() -> Tensor:
        return _tensor(orders(row.numpy(), max_evals=BUDGET, silent=True).values)

    def ours_kernel() -> Tensor:
        return kernel_shap(data.network, row, 1, samples=BUDGET, generator=generator, **explained)

    def ours_orders() -> Tensor:  # 26 rows a round and background row: as many as 512 coalitions of 50 rows need
        return permutation_shapley(data.network, row, 1, rounds=BUDGET // 26, generator=generator, **explained)

    for name, ours, theirs, target, draws in [
        (
            "all coalitions, shap Exact",
            lambda: exact_shapley(data.network, row, 1, **explained),
            lambda: _tensor(every(row.numpy(), silent=True).values),
            1 / 2,
            1,
        ),
        ("Kernel SHAP, 512 coalitions", ours_kernel, by_kernel, 1 / 1.3, 12),
        ("orders, 512 coalitions, shap Permutation", ours_orders, by_orders, 1.1, 12),
        ("orders, 512 coalitions, shap Kernel", ours_orders, by_kernel, None, 12),
    ]:
        errors = tuple(sum(_error(method(), exact) for _ in range(draws)) / draws for method in (ours, theirs))
        yield compare(name, ours, theirs, target=target, rounds=rounds, errors=errors)
    some, explainer = data.few[60:80], shap.TreeExplainer(data.small, masker)
    truth = exact_shapley(model_of(data.small), some[:1], 1, **explained)
    pairs = (
        lambda: tree_shap(data.small, some, 1, **explained),
        lambda: _tensor(explainer.shap_values(some.numpy(), check_additivity=False)[:, :, 1]),
    )
    errors = tuple(_error(method()[:1], truth) for method in pairs)
    yield compare("Tree SHAP, 50 trees, 20 rows, shap Tree", *pairs, rounds=rounds, errors=errors)


def _lime(data: Data, rounds: int) -> Iterator[Row]:
    from lime.lime_tabular import LimeTabularExplainer

    row, generator = data.rows[60:61], seeded(0)
    model = nn.Sequential(data.wide, nn.Softmax(1))
    explainer = LimeTabularExplainer(
        data.rows.numpy(), discretize_continuous=False, feature_selection="none", random_state=0
    )
    for samples, target in ((1000, 1 / 3), (5000, 1 / 2)):

        def ours(samples=samples) -> Tensor:
            return lime(model, row, 1, background=data.rows, samples=samples, generator=generator)

        def theirs(samples=samples) -> Tensor:
            found = explainer.explain_instance(
                row[0].numpy(), lambda rows: model(_tensor(rows)).numpy(), num_features=30, num_samples=samples
            )
            return _tensor([weight for _, weight in sorted(found.as_map()[1])])[None]

        truth = sum(ours() for _ in range(200)) / 200  # what the estimator of so many rows comes to in the mean
        errors = tuple(sum(_error(method(), truth) for _ in range(12)) / 12 for method in (ours, theirs))
        yield compare(f"{samples} rows", ours, theirs, target=target, rounds=rounds, errors=errors)


def _effects(data: Data, rounds: int) -> Iterator[Row]:
    table, labels, grid = data.rows.numpy(), data.labels.numpy(), torch.linspace(-2, 2, 50)

    def accuracy(outputs: Tensor, wanted: Tensor) -> float:
        return (outputs.argmax(1) == wanted).double().mean().item()

    for name, estimator, shuffles, curve in [
        ("forest", data.forest, 1 / 4, 1 / 6),
        ("boosting", data.booster, 1 / 1.7, 1 / 1.8),
    ]:
        model, draws = model_of(estimator), seeded(0)

        def ours_shuffled(model=model, draws=draws):
            return permutation_importance(model, data.rows, data.labels, score=accuracy, repeats=5, generator=draws)

        def theirs_shuffled(estimator=estimator):
            return inspection.permutation_importance(estimator, table, labels, n_repeats=5, random_state=0)

        name_of_row = f"permutation importance, {name}"
        yield compare(name_of_row, ours_shuffled, theirs_shuffled, target=shuffles, rounds=max(3, rounds // 5))

        def ours(model=model) -> Tensor:
            return partial_dependence(model, data.rows, 1, 3, grid=grid).average

        def theirs(estimator=estimator) -> Tensor:
            options = {"custom_values": {3: grid.numpy()}, "method": "brute", "response_method": "predict_proba"}
            return _tensor(inspection.partial_dependence(estimator, table, [3], **options)["average"][0])

        values = torch.stack([_one_value_for_all(model, data.rows, value) for value in grid])
        errors = tuple(_error(method(), values) for method in (ours, theirs))
        yield compare(f"PDP, 50 values, {name}", ours, theirs, target=curve, rounds=rounds, errors=errors)


def _one_value_for_all(model: Callable, rows: Tensor, value: Tensor) -> Tensor:
    changed = rows.clone()
    changed[:, 3] = value
    return model(changed)[:, 1].mean()


def _tensor(values) -> Tensor:
    return torch.as_tensor(np.asarray(values), dtype=torch.float32)


def _error(found: Tensor, truth: Tensor) -> float:
    """Distance from the exact value as a share of its length."""
    return ((found.double() - truth.double()).norm() / truth.double().norm()).item()
