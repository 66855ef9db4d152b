"""A second time series: how spotted the sun was in each year since 1700, shipped inside statsmodels."""

import csv
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from .packaged import packaged_file

__all__ = ["Sunspots", "load_sunspots"]


@dataclass(frozen=True)
class Sunspots:
    """Yearly mean of the relative sunspot number, which weighs groups of spots ten times a spot; test follows training."""

    train: Float[Tensor, " train"]
    test: Float[Tensor, " test"]
    first_year: int = 1700
    licence: str = (
        "Yearly sunspot numbers 1700–2008 (National Geophysical Data Center), public domain; "
        "as shipped in statsmodels (BSD-3-Clause)"
    )


def load_sunspots() -> Sunspots:
    """Return 1700 to 1899 for training (200 years) and 1900 to 2008 for the test (109); each call gives fresh tensors.

    These are the numbers as published before the revision of 2015, which rescaled them. Source: Wolf's series, National
    Geophysical Data Center.

    >>> series = load_sunspots()
    >>> len(series.train), len(series.test), series.train[:3].tolist()
    (200, 109, [5.0, 11.0, 16.0])

    Raises:
        FileNotFoundError: statsmodels' data files are not installed.
        ValueError: the file is another one.
    """
    train, test = torch.tensor(_read(), dtype=torch.float32).split([200, 109])
    return Sunspots(train.clone(), test.clone())


@cache
def _read() -> tuple[float, ...]:
    # Read as a file: statsmodels is installed without what it needs to be imported.
    path = packaged_file("statsmodels", "datasets/sunspots/sunspots.csv", distribution="statsmodels")
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(int(float(row["YEAR"])), float(row["SUNACTIVITY"])) for row in csv.DictReader(file)]
    years = [year for year, _ in rows]
    if years != list(range(1700, 2009)):
        raise ValueError(f"statsmodels' years must run from 1700 to 2008 without a gap, got {len(years)} of them")
    return tuple(number for _, number in rows)
