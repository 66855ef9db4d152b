"""The examples in docstrings run as they stand, and every function that a reader calls to explain has one."""

import doctest
import importlib
import inspect
import pkgutil

import pytest
import torch

import lib.explanations

MODULES = [f"lib.explanations.{module.name}" for module in pkgutil.iter_modules(lib.explanations.__path__)]
FINDER = doctest.DocTestFinder(exclude_empty=True, recurse=True)


def examples(module):
    return [test for test in FINDER.find(importlib.import_module(module)) if test.examples]


@pytest.mark.parametrize("module", [*MODULES, "lib.figures.descriptions"])
def test_examples_give_what_they_say(module):
    for test in examples(module):
        runner = doctest.DocTestRunner(verbose=False)
        told = []
        test.globs["torch"] = torch
        runner.run(test, out=told.append)
        assert runner.failures == 0, "".join(told)


def test_every_explanation_has_an_example():
    documented = {test.name.rpartition(".")[2] for module in MODULES for test in examples(module)}
    functions = {name for name in lib.explanations.__all__ if inspect.isfunction(getattr(lib.explanations, name))}
    assert documented == functions
