"""What a public function accepts is decided here, once: its annotations, held against every call.

:func:`checked` costs a few microseconds a call, a type checker's decorator 80. Lists and arrays are refused where a
tensor is asked for, and so are NaN and infinity where a number is.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from types import NoneType
from typing import Any, TypeVar

import torch
from torch import Tensor

from .rules import Call, hold, rule_of

__all__ = ["checked"]

F = TypeVar("F", bound=Callable)
_BY_VALUE = frozenset((int, float, bool, str, NoneType))


def checked(function: F) -> F:
    """Hold the arguments of a function against its annotations, at each call; of a class, those of its constructor.

    Tensors (jaxtyping): kind of dtype, number of axes, equal sizes where names are equal, no empty axis but those
    called batch or gathered by a star, one device, one floating dtype. Numbers: finite, no bool, within the bounds of
    ``PositiveInt`` and its like. Classes, callables, literals, tuples and unions: as written. What stands without
    an annotation is not held to any. While a graph is compiled, exported or traced, nothing is checked.

    Raises:
        TypeError: a value of another type, tensors of different dtype.
        ValueError: a value outside its rule; name, value and rule are given.
    """
    if isinstance(function, type):
        function.__init__ = checked(function.__init__)
        return function
    parameters = inspect.signature(function).parameters.values()
    positional = [parameter.name for parameter in parameters if parameter.kind is not parameter.KEYWORD_ONLY]
    rules = {p.name: rule for p in parameters if (rule := rule_of(p.annotation)) is not None}
    passed: set[tuple] = set()

    @wraps(function)
    def call(*args, **kwargs):
        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            return function(*args, **kwargs)
        try:
            seen = (*map(_facts, args), *kwargs, *map(_facts, kwargs.values()))
            known = seen in passed
        except TypeError:  # a list, say, has no hash
            seen, known = None, False
        if not known:
            agreed = Call()
            for name, value in (*zip(positional, args, strict=False), *kwargs.items()):
                if name in rules:
                    hold(rules[name], name, value, agreed)
            if seen is not None and not agreed.autocast and len(passed) < 1000:
                passed.add(seen)
        return function(*args, **kwargs)

    return call


def _facts(value: Any) -> Any:
    """All of a value that any rule looks at, so that a call like an earlier one need not be looked at again."""
    if isinstance(value, Tensor):
        return value.shape, value.dtype, value.device, value.layout
    kind = type(value)
    if kind in _BY_VALUE:
        return kind, value
    if kind is tuple:
        return tuple(map(_facts, value))
    if isinstance(value, Sequence | Mapping):  # items may differ the next time
        raise TypeError
    return kind
