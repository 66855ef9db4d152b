"""Real tables: tumours and patients, shipped inside scikit-learn, and the passengers of the Titanic, inside Bokeh's sample data."""

import csv
import math
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lib.core.boundary import checked
from lib.core.rules import NonNegativeInt
from lib.core.sampling import seeded, shuffled, stratified_split

from .packaged import packaged_file

__all__ = ["BreastCancer", "Diabetes", "Titanic", "load_breast_cancer", "load_diabetes", "load_titanic"]


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


@dataclass(frozen=True)
class Titanic:
    """Class of travel (1, 2, 3), sex (male is 1) and age in years of each passenger; label 1 has survived.

    An age that is not known is NaN, for two passengers in five. It is known more often of those who survived, also
    within one class and sex, so whether it is known must not be used to foretell who will survive.
    """

    train_inputs: Float[Tensor, "train 3"]
    train_labels: Int64[Tensor, " train"]
    test_inputs: Float[Tensor, "test 3"]
    test_labels: Int64[Tensor, " test"]
    feature_names: tuple[str, ...] = ("class", "male", "age")
    class_names: tuple[str, ...] = ("lost", "survived")
    licence: str = "Passengers of the Titanic, public domain; as shipped in bokeh_sampledata (BSD-3-Clause)"


@dataclass(frozen=True)
class Diabetes:
    """Ten measurements of each patient in their units, and how far the disease had gone one year later (25 to 346).

    Age in years, sex (1 or 2; the source does not say which is which), body mass index in kg/m², mean blood pressure
    in mmHg, and of the blood: total cholesterol, LDL, HDL, total/HDL, log of triglycerides (the source says
    "possibly"), sugar. The source states units for none, nor for the progression; these are the usual ones.
    """

    train_inputs: Float[Tensor, "train 10"]
    train_progression: Float[Tensor, " train"]
    test_inputs: Float[Tensor, "test 10"]
    test_progression: Float[Tensor, " test"]
    feature_names: tuple[str, ...] = (
        "age", "sex", "body mass index", "blood pressure", "cholesterol", "LDL", "HDL", "cholesterol/HDL",
        "log triglycerides", "blood sugar",
    )  # fmt: skip
    licence: str = "Diabetes (Efron, Hastie, Johnstone, Tibshirani 2004), no licence stated; as shipped in scikit-learn (BSD-3-Clause)"


def load_breast_cancer() -> BreastCancer:
    """Return 379 training and 190 test tumours, two thirds and one third of each class.

    The split is drawn once with a fixed seed, so every chapter holds out the same rows; each call returns fresh
    tensors. scikit-learn codes malignant as 0; here it is 1, so that a positive score speaks for the disease.
    The authors state no unit for lengths and areas. Source: Street, Wolberg & Mangasarian 1993.

    >>> load_breast_cancer().train_inputs.shape
    torch.Size([379, 30])
    """
    inputs, labels, names = _tumours()
    train, test = _two_to_one(labels, 0)
    return BreastCancer(inputs[train], labels[train], inputs[test], labels[test], names)


@checked
def load_titanic(split: NonNegativeInt = 0) -> Titanic:
    """Return 875 training and 437 test passengers, two thirds and one third of the survivors and of the others.

    Of the 1,313 in the file one is left out, who has no class. Each ``split`` is a draw of its own, the same at
    every call. Source: the passenger list as Bokeh's authors ship it; crews are not in it.

    >>> load_titanic().test_labels.bincount().tolist()
    [287, 150]

    Raises:
        TypeError: a split that is no int.
        ValueError: a negative split; the file is another one.
        FileNotFoundError: bokeh_sampledata is not installed.
    """
    inputs, labels = _passengers()
    train, test = _two_to_one(labels, split)
    return Titanic(inputs[train], labels[train], inputs[test], labels[test])


@checked
def load_diabetes(split: NonNegativeInt = 0) -> Diabetes:
    """Return 295 training and 147 test patients; each ``split`` is a draw of its own, the same at every call.

    Source: Efron, Hastie, Johnstone & Tibshirani 2004, section 1, table 1.

    >>> load_diabetes().train_progression.shape
    torch.Size([295])

    Raises:
        TypeError: a split that is no int.
        ValueError: a negative split.
    """
    inputs, progression = _patients()
    train, test = _two_to_one(torch.zeros(len(inputs), dtype=torch.int64), split)
    return Diabetes(inputs[train], progression[train], inputs[test], progression[test])


def _two_to_one(labels: Int64[Tensor, " rows"], split: int) -> tuple[Tensor, Tensor]:
    """Rows to train on and to test on, in each class two to one."""
    generator = seeded(split)
    test, train = stratified_split(
        labels, lambda count: (round(count / 3), count - round(count / 3)), generator=generator
    )
    # So that a prefix of the set holds all classes.
    return shuffled(train, generator), shuffled(test, generator)


# scikit-learn takes a second or two to import: only who asks for a table of it waits for it.


@cache
def _tumours() -> tuple[Tensor, Tensor, tuple[str, ...]]:
    from sklearn import datasets

    table = datasets.load_breast_cancer()
    inputs = torch.from_numpy(table.data).float()
    labels = 1 - torch.from_numpy(table.target).long()
    return inputs, labels, tuple(str(name) for name in table.feature_names)


@cache
def _patients() -> tuple[Tensor, Tensor]:
    from sklearn import datasets

    table = datasets.load_diabetes(scaled=False)
    return torch.from_numpy(table.data).float(), torch.from_numpy(table.target).float()


@cache
def _passengers() -> tuple[Tensor, Tensor]:
    # Read as a file: the package imports pandas and more.
    path = packaged_file("bokeh_sampledata", "_data/titanic_all.csv", distribution="bokeh_sampledata")
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["class"] != "*"]
    inputs = [
        (int(row["class"][0]), float(row["sex"] == "male"), float(row["age"] or math.nan)) for row in rows
    ]  # "1st" is 1
    if len(rows) != 1312 or {row["sex"] for row in rows} != {"female", "male"}:
        raise ValueError(f"bokeh_sampledata's passengers must be 1312 women and men with a class, got {len(rows)}")
    return torch.tensor(inputs), torch.tensor([int(row["survived"]) for row in rows])
