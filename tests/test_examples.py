"""The example in a docstring runs as it stands, and everything that a reader would call has one."""

import doctest
import importlib
import inspect
import pkgutil

import pytest
import torch
from torch import nn

import lib

MODULES = [module.name for module in pkgutil.walk_packages(lib.__path__, "lib.")]
CALLED = [
    (package, name)
    for package in ("lib.architectures", "lib.core", "lib.data")
    for name in importlib.import_module(package).__all__
    # A record is handed back, not called; what only a chapter's machinery uses has its chapter for an example.
    if name[0].islower() or issubclass(getattr(importlib.import_module(package), name), nn.Module)
    if name not in ("EfficientNetLite0", "checkpoint", "evidence")
]


def examples(module):
    names = vars(module) | {"torch": torch, "nn": nn}
    return [test for test in doctest.DocTestFinder(recurse=True).find(module, globs=names) if test.examples]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run_as_they_stand(name):
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    told = []
    for test in examples(importlib.import_module(name)):
        runner.run(test, out=told.append)
    assert not runner.failures, "".join(told)


@pytest.mark.parametrize(("package", "name"), CALLED)
def test_what_a_reader_calls_has_an_example(package, name):
    assert ">>> " in inspect.getdoc(getattr(importlib.import_module(package), name))
