"""What is handed back as a record stays what it was, unless its work is to collect."""

import dataclasses
import importlib
import inspect
import pkgutil

import pytest

import lib

# What an epoch, a collective or a fork adds to.
COLLECTING = {"History", "Traffic", "_Launch", "LaunchedRank"}
RECORDS = [
    pytest.param(kind, id=f"{module.name}.{kind.__name__}")
    for module in pkgutil.walk_packages(lib.__path__, "lib.")
    for kind in vars(importlib.import_module(module.name)).values()
    if inspect.isclass(kind) and kind.__module__ == module.name and dataclasses.is_dataclass(kind)
]


@pytest.mark.parametrize("kind", RECORDS)
def test_a_record_is_frozen_unless_its_work_is_to_collect(kind):
    assert kind.__dataclass_params__.frozen == (kind.__name__ not in COLLECTING)
