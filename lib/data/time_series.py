"""A real time series: the carbon dioxide in the air of Mauna Loa, month by month, shipped inside statsmodels."""

import csv
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .packaged import packaged_file

__all__ = ["MaunaLoa", "load_mauna_loa"]

# The first months after the training and after the validation set.
_SPLIT = ((1986, 1), (1992, 1))


@dataclass(frozen=True)
class MaunaLoa:
    """Monthly means of atmospheric CO2, in parts per million by volume; validation follows training, and test follows both."""

    train: Float[Tensor, " train"]
    validation: Float[Tensor, " validation"]
    test: Float[Tensor, " test"]
    filled: Bool[Tensor, " train"]
    first_month: tuple[int, int] = (1958, 3)
    licence: str = (
        "Atmospheric CO2 at Mauna Loa (Keeling, Whorf 2004), Carbon Dioxide Information Analysis Center, public domain; "
        "as shipped in statsmodels (BSD-3-Clause)"
    )


def load_mauna_loa() -> MaunaLoa:
    """Return March 1958 to 1985 for training (334 months), 1986 to 1991 for validation (72), 1992 to 2001 for test (120).

    A month is the mean of its Saturdays for which the file has a weekly mean. Five months have none; they are put on
    the straight line between their neighbours and marked in ``filled``. All five lie in the training set, so no value
    of a later set enters an earlier one. Each call returns fresh tensors. Source: Keeling & Whorf 2004.

    >>> series = load_mauna_loa()
    >>> len(series.train), len(series.validation), len(series.test), int(series.filled.sum())
    (334, 72, 120, 5)

    Raises:
        FileNotFoundError: statsmodels' data files are not installed.
        ValueError: the file is another one.
    """
    months, values, filled = _read()
    first, second = (months.index(month) for month in _SPLIT)
    train, validation, test = torch.from_numpy(values).float().split([first, second - first, len(months) - second])
    return MaunaLoa(train, validation, test, torch.from_numpy(filled[:first].copy()))


@cache
def _read() -> tuple[list[tuple[int, int]], np.ndarray, np.ndarray]:
    # Read as a file: statsmodels is installed without what it needs to be imported.
    path = packaged_file("statsmodels", "datasets/co2/co2.csv", distribution="statsmodels")
    with path.open(encoding="utf-8", newline="") as file:
        weeks = [(date.fromisoformat(row["date"]), row["co2"]) for row in csv.DictReader(file)]
    for (before, _), (week, _) in pairwise(weeks):
        if week - before != timedelta(days=7):
            raise ValueError(f"statsmodels' weeks must follow each other by 7 days, got {before} and {week}")
    by_month: dict[tuple[int, int], list[float]] = {}
    for week, value in weeks:
        measured = by_month.setdefault((week.year, week.month), [])
        if value:
            measured.append(float(value))
    filled = np.array([not measured for measured in by_month.values()])
    values = np.array([np.mean(measured) if measured else np.nan for measured in by_month.values()])
    places = np.arange(len(values))
    values[filled] = np.interp(places[filled], places[~filled], values[~filled])
    return list(by_month), values, filled
