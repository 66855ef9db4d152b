"""What an annotation asks of an argument: a number within bounds, a tensor with named axes, a choice, a sequence, a union.

:func:`rule_of` reads an annotation once. A rule says by ``fits`` whether a value has the right type, and ``hold`` raises where
the value breaks the rule, alone or together with the other arguments of its :class:`Call`.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import torch
from torch import Tensor

from .precision import autocast_dtype

__all__ = ["Call", "NonNegativeFloat", "NonNegativeInt", "PositiveFloat", "PositiveInt", "Share", "hold", "rule_of"]


# Beyond them a number is infinite, or nearly 0, in most of what is computed.
_LARGEST, _LEAST = torch.finfo(torch.float32).max, torch.finfo(torch.float32).tiny


class _Number:
    """An int or a float; NaN, infinity and bool are none. ``Annotated`` with (low, high) bounds it."""

    def __init__(self, kind: type, low: float = -math.inf, high: float = math.inf, *, open_below: bool = False) -> None:
        self.kind, self.low, self.high, self.open_below = kind, low, high, open_below
        self.words = "an int" if kind is int else "a number"
        self.rule = (
            f"from {low} to {high}" if high < math.inf else "positive and finite" if open_below else f"at least {low}"
        )

    def __repr__(self) -> str:
        return f"{self.words}, {self.rule}"

    def fits(self, value: Any) -> bool:
        return isinstance(value, int if self.kind is int else (int, float)) and not isinstance(value, bool)

    def hold(self, name: str, value: Any, _call: "Call") -> None:
        if self.kind is int and not -(2**63) <= value < 2**63:
            raise ValueError(f"{name} must be an int of 64 bits, below 2**63, got {value}")
        if not -_LARGEST <= value <= _LARGEST:
            rule = f"{'positive and ' if self.open_below else ''}finite"
            rule += ", at most 3.4e38" if -math.inf < value < math.inf else ""
            raise ValueError(f"{name} must be {rule}, got {value}")
        if self.open_below and 0 < value < _LEAST:
            raise ValueError(f"{name} must be positive and finite, at least 1.2e-38, got {value}")
        if value < self.low or value > self.high or (self.open_below and value == self.low):
            raise ValueError(f"{name} must be {self.rule}, got {value}")


PositiveInt = Annotated[int, _Number(int, 1)]
NonNegativeInt = Annotated[int, _Number(int, 0)]
PositiveFloat = Annotated[float, _Number(float, 0, open_below=True)]
NonNegativeFloat = Annotated[float, _Number(float, 0)]
Share = Annotated[float, _Number(float, 0, 1)]


class _Instance:
    """A value of a class, a callable, None."""

    def __init__(self, words: str, fits: Callable[[Any], bool]) -> None:
        self.words, self.fits = words, fits

    def hold(self, name: str, value: Any, _call: "Call") -> None:
        if isinstance(value, Tensor):
            _check_dense(name, value)


class _Choice:
    """One of a few words or numbers."""

    def __init__(self, options: tuple) -> None:
        self.options = options
        self.words = " or ".join(map(repr, options))

    def fits(self, value: Any) -> bool:
        return any(type(value) is type(option) for option in self.options)

    def hold(self, name: str, value: Any, _call: "Call") -> None:
        if value not in self.options:
            raise ValueError(f"{name} must be {self.words}, got {value!r}")


class _Tensor:
    """A tensor of one kind of dtype whose axes have names: equal names in one call mean equal sizes."""

    def __init__(self, annotation: Any) -> None:
        self.kind = annotation.__name__.partition("[")[0]
        # Eight-bit floats are for storage: torch itself computes with hardly any of them.
        self.dtypes = (
            {getattr(torch, name, None) for name in annotation.dtypes if not name.startswith("float8")}
            if self.kind != "Shaped"
            else ()
        )
        self.axes = annotation.dim_str.split()
        self.variadic = next((i for i, axis in enumerate(self.axes) if axis[0] in "*."), None)
        self.words = "a torch.Tensor"
        self.rule = f"({', '.join(self.axes)})"

    def fits(self, value: Any) -> bool:
        return isinstance(value, Tensor)

    def hold(self, name: str, value: Tensor, call: "Call") -> None:
        if self.kind != "Shaped" and value.dtype not in self.dtypes:
            rule = {"Float": "be floating point", "Bool": "be boolean", "Integer": "hold integers"}.get(
                self.kind, f"have dtype torch.{self.kind.lower()}"
            )
            remedy = f"; convert it with {name}.float()" if self.kind == "Float" else ""
            raise TypeError(f"{name} must {rule}, got {value.dtype}{remedy}")
        _check_dense(name, value)
        shape, fixed = value.shape, len(self.axes) - (self.variadic is not None)
        if len(shape) < fixed or (self.variadic is None and len(shape) > fixed):
            rule = f"{'at least ' if self.variadic is not None else ''}{fixed} {'axis' if fixed == 1 else 'axes'} {self.rule}"
            raise ValueError(f"{name} must have {rule}, got {len(shape)} with shape {tuple(shape)}")
        split = len(shape) if self.variadic is None else self.variadic
        tail = 0 if self.variadic is None else len(self.axes) - self.variadic - 1
        for axis, size in zip(self.axes[:split], shape[:split], strict=False):
            call.axis(name, value, axis, size, self.rule)
        if self.variadic is not None:
            call.axis(name, value, self.axes[split], tuple(shape[split : len(shape) - tail]), self.rule)
        if tail:
            for axis, size in zip(self.axes[-tail:], shape[-tail:], strict=True):
                call.axis(name, value, axis, size, self.rule)
        call.tensor(name, value, self.kind == "Float")


class _Sequence:
    """A list or tuple whose items obey one rule, or a tuple with a rule for each item; text is none."""

    def __init__(self, kind: type, items: tuple) -> None:
        self.kind = kind
        self.length = len(items) if kind is tuple and items and items[-1] is not Ellipsis else None
        self.items = [rule for item in items if item is not Ellipsis and (rule := rule_of(item)) is not None]
        self.keys_and_values = len(self.items) == 2 and kind is Mapping
        self.words = {tuple: "a tuple", list: "a list", Mapping: "a dict", Iterable: "iterable"}.get(
            kind, "a list or tuple"
        )
        if self.length is not None:
            self.words = "a pair" if self.length == 2 else f"a tuple of {self.length}"

    def fits(self, value: Any) -> bool:
        right = isinstance(value, self.kind) and not isinstance(value, str | bytes | Tensor)
        return right and (self.length is None or len(value) == self.length)

    def hold(self, name: str, value: Any, call: "Call") -> None:
        if self.keys_and_values:
            for key, item in value.items():
                hold(self.items[0], f"a key of {name}", key, call)
                hold(self.items[1], f"{name}[{key!r}]", item, call)
        # What is only said to be iterable may be used up by looking.
        if self.length is None and len(self.items) == 1 and self.kind in (tuple, list, Sequence):
            for number, item in enumerate(value):
                hold(self.items[0], f"{name}[{number}]", item, call)
        elif self.length is not None and len(self.items) == self.length:
            for rule, item in zip(self.items, value, strict=True):
                hold(rule, name, item, call)


class _Either:
    """One of several rules: the first that the value's type fits."""

    def __init__(self, options: list) -> None:
        self.options = options
        self.words = " or ".join(option.words for option in options)

    def fits(self, value: Any) -> bool:
        return any(option.fits(value) for option in self.options)

    def hold(self, name: str, value: Any, call: "Call") -> None:
        next(option for option in self.options if option.fits(value)).hold(name, value, call)


class Call:
    """What the arguments of one call must agree on: named axes, the device, the dtype of what is computed with."""

    def __init__(self) -> None:
        self.axes: dict[str, tuple[str, Any]] = {}
        self.first: tuple[str, Tensor] | None = None
        self.first_float: tuple[str, Tensor] | None = None
        self.autocast = False  # what it allows holds for this call only

    def axis(self, name: str, tensor: Tensor, axis: str, size: Any, rule: str) -> None:
        if axis in ("_", "..."):
            return
        if axis.isdigit():
            if size != int(axis):
                raise ValueError(f"{name} must have shape {rule}, got {tuple(tensor.shape)}")
            return
        if size == 0 and axis != "batch":
            raise ValueError(f"{name} must hold at least one element along {axis}, got shape {tuple(tensor.shape)}")
        other, expected = self.axes.setdefault(axis, (name, size))
        if size != expected:
            raise ValueError(f"{other} and {name} must agree on {axis.lstrip('*')}, got {expected} and {size}")

    def tensor(self, name: str, tensor: Tensor, computed_with: bool) -> None:
        other, first = self.first = self.first or (name, tensor)
        if tensor.device != first.device:
            raise ValueError(f"{other} and {name} must be on one device, got {first.device} and {tensor.device}")
        if not computed_with:
            return
        other, first = self.first_float = self.first_float or (name, tensor)
        if tensor.dtype != first.dtype:
            self.autocast = autocast_dtype(tensor.device) is not None  # which brings them to one dtype
            if self.autocast:
                return
            raise TypeError(
                f"{other} and {name} must have the same dtype, got {other} {first.dtype}, {name} {tensor.dtype}"
            )


def _check_dense(name: str, value: Tensor) -> None:
    if value.layout is not torch.strided:
        raise TypeError(f"{name} must be a dense tensor, got layout {value.layout}")


def hold(rule: Any, name: str, value: Any, call: Call) -> None:
    if not rule.fits(value):
        shown = f" {value!r}" if isinstance(value, str | int | float | tuple | NoneType) else ""
        raise TypeError(f"{name} must be {rule.words}, got {type(value).__name__}{shown}")
    rule.hold(name, value, call)


def rule_of(annotation: Any) -> Any:
    """Read one annotation; None where it asks for nothing."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if hasattr(annotation, "dim_str"):  # an array's, of NumPy say, asks for nothing here
        return _Tensor(annotation) if annotation.array_type is Tensor else None
    if origin is Annotated:
        return next((extra for extra in arguments[1:] if isinstance(extra, _Number)), rule_of(arguments[0]))
    if origin in (Union, UnionType):
        options = [rule_of(argument) for argument in arguments]
        return _Either(options) if all(options) else None
    if origin is Literal:
        return _Choice(arguments)
    if origin in (tuple, list, Sequence, Iterable, Mapping):
        return _Sequence(origin, arguments)
    if annotation is Any:
        return None
    if annotation in (int, float):
        return _Number(annotation)
    if origin is Callable or annotation is Callable:
        return _Instance("callable", callable)
    if annotation is NoneType or annotation is None:
        return _Instance("None", lambda value: value is None)
    if isinstance(annotation, type) and annotation is not inspect.Parameter.empty:
        article = "an" if annotation.__name__[0] in "aeiouAEIOU" else "a"
        return _Instance(f"{article} {annotation.__name__}", lambda value: isinstance(value, annotation))
    return None
