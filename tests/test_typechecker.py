"""Which functions the tests hold to their annotations."""

import importlib
import sys

import pytest
from jaxtyping import TypeCheckError
from typechecker import enforce_annotations

MODULE = """
def outer(x: int):
    def inner(y: int):
        return y
    return inner("no int") if x == 0 else x

class Thing:
    def method(self, x: int):
        return x
"""


def test_functions_and_methods_are_held_to_their_annotations_and_functions_within_are_not(tmp_path, monkeypatch):
    (tmp_path / "annotated_here.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", sys.meta_path.copy())
    enforce_annotations("annotated_here")
    module = importlib.import_module("annotated_here")
    for call in (module.outer, module.Thing().method):
        assert call(1) == 1
        with pytest.raises(TypeCheckError):
            call("no int")
    assert module.outer(0) == "no int"
