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
    for package in (f"lib.{module.name}" for module in pkgutil.iter_modules(lib.__path__))
    if package != "lib.figures"  # what draws is shown at work in its chapters
    for name in importlib.import_module(package).__all__
    # A record is handed back, not called; what only a chapter's machinery uses has its chapter for an example.
    if name not in ("EfficientNetLite0", "checkpoint", "evidence")
    if inspect.isfunction(called := getattr(importlib.import_module(package), name))
    or (inspect.isclass(called) and issubclass(called, nn.Module))
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run_as_they_stand(name):
    module = importlib.import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    told = []
    for test in finder.find(module, globs=vars(module) | {"torch": torch, "nn": nn}):
        runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
        runner.run(test, out=told.append)
    assert not told, "".join(told)


@pytest.mark.parametrize(("package", "name"), CALLED)
def test_what_a_reader_calls_has_an_example(package, name):
    docstring = inspect.getdoc(getattr(importlib.import_module(package), name))
    assert ">>> " in docstring, (
        f"{package}.{name}: its docstring needs an example, a line `>>> {name}(…)` and the result"
    )
