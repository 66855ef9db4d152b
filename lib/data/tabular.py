"""A real table: 569 tumours of the breast, thirty measurements each, shipped inside scikit-learn."""

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lib.core.sampling import seeded, shuffled, stratified_split

__all__ = ["BreastCancer", "load_breast_cancer"]


@dataclass(frozen=True)
class BreastCancer:
    """Thirty measurements of cell nuclei for each tumour, in the data set's own scale; label 1 is malignant.

    Ten properties of a nucleus (radius, texture, …), each three times over the nuclei of one picture: the mean,
    the standard error of the mean ("… error"), and the mean of the three largest values ("worst …").
    """

    train_inputs: Float[Tensor, "train 30"]
    train_labels: Int64[Tensor, " train"]
    test_inputs: Float[Tensor, "test 30"]
    test_labels: Int64[Tensor, " test"]
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...] = ("benign", "malignant")
    licence: str = (
        "Breast Cancer Wisconsin (Diagnostic) (Wolberg, Street, Mangasarian 1995), UCI Machine Learning Repository, "
        "CC BY 4.0; as shipped in scikit-learn (BSD-3-Clause)"
    )


def load_breast_cancer() -> BreastCancer:
    """Return 379 training and 190 test tumours, two thirds and one third of each class.

    The split is drawn once with a fixed seed, so every chapter holds out the same rows; each call returns fresh
    tensors. scikit-learn codes malignant as 0; here it is 1, so that a positive score speaks for the disease.
    The authors state no unit for lengths and areas. Source: Street, Wolberg & Mangasarian 1993.

    >>> load_breast_cancer().train_inputs.shape
    torch.Size([379, 30])
    """
    inputs, labels, names = _read()
    generator = seeded(0)
    test, train = stratified_split(
        labels, lambda count: (round(count / 3), count - round(count / 3)), generator=generator
    )
    train, test = (
        shuffled(rows, generator) for rows in (train, test)
    )  # so that a prefix of the set holds both classes
    return BreastCancer(inputs[train], labels[train], inputs[test], labels[test], names)


@cache
def _read() -> tuple[Tensor, Tensor, tuple[str, ...]]:
    # scikit-learn takes a second or two to import: only who asks for the table waits for it.
    from sklearn import datasets

    table = datasets.load_breast_cancer()
    inputs = torch.from_numpy(table.data).float()
    labels = 1 - torch.from_numpy(table.target).long()
    return inputs, labels, tuple(str(name) for name in table.feature_names)
