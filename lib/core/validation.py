"""Checks of what a caller hands in: each error gives the value received and the rule."""

import math
from collections.abc import Callable, Sequence
from numbers import Real

import torch
from torch import Tensor

__all__ = [
    "as_number",
    "check_callable",
    "check_divisible",
    "check_finite",
    "check_floating",
    "check_indices",
    "check_lengths",
    "check_non_negative_int",
    "check_not_empty",
    "check_positive_int",
    "check_rank",
    "check_same_dtype",
    "check_same_length",
    "check_switch",
    "values_can_be_read",
]


def check_callable(name: str, function: Callable) -> None:
    """Require a function, a module or another thing that can be called; a class, which would make one, is none.

    Raises:
        TypeError: anything else.
    """
    if not callable(function) or isinstance(function, type):
        got = f"the class {function.__name__}" if isinstance(function, type) else type(function).__name__
        raise TypeError(f"{name} must be a module or another callable, got {got}")


def check_rank(name: str, tensor: Tensor, axes: str) -> None:
    """Require one axis for each word of ``axes``, e.g. ``"batch channels height width"``.

    Raises:
        TypeError: not a tensor.
        ValueError: another number of axes.
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(tensor).__name__}")
    expected = axes.split()
    if tensor.ndim != len(expected):
        raise ValueError(
            f"{name} must have {len(expected)} axes ({', '.join(expected)}), got {tensor.ndim} with shape {tuple(tensor.shape)}"
        )


def check_floating(name: str, tensor: Tensor) -> None:
    """Require a dense tensor of floating-point numbers that torch computes with.

    Raises:
        TypeError: not a tensor, a sparse one, integers, booleans, complex numbers or eight-bit floats.
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(tensor).__name__}")
    if not tensor.is_floating_point() or tensor.dtype.itemsize == 1:
        raise TypeError(f"{name} must be floating point, got {tensor.dtype}; convert it with {name}.float()")
    if tensor.layout is not torch.strided:
        raise TypeError(f"{name} must be a dense tensor, got layout {tensor.layout}")


def check_finite(name: str, tensor: Tensor) -> None:
    """Require every element to be a finite number.

    Raises:
        ValueError: NaN or infinity, whose count and first position are named; a tensor on the meta device.
    """
    if tensor.is_meta:
        raise ValueError(f"{name} must hold numbers, got a tensor on the meta device")
    if math.isfinite(tensor.detach().sum()):  # one quick pass: a sum is finite only if all its terms are
        return
    finite = torch.isfinite(tensor)
    if not finite.all():
        wrong = (~finite).nonzero()
        first = tuple(wrong[0].tolist())
        raise ValueError(f"{name} must be finite, got {tensor[first].item()} at {first} ({len(wrong)} such values)")


def check_not_empty(name: str, tensor: Tensor) -> None:
    """Require at least one element.

    Raises:
        ValueError: an axis of length 0.
    """
    if tensor.numel() == 0:
        raise ValueError(f"{name} must hold at least one element, got shape {tuple(tensor.shape)}")


def check_indices(name: str, indices: Tensor, size: int, of: str, *, ignored: int | None = None) -> None:
    """Require whole numbers from 0 to ``size − 1``, which number ``of``, e.g. ``"the classes"``; ``ignored`` is let pass.

    Raises:
        TypeError: not a tensor of int64.
        ValueError: a number outside; the first one is named.
    """
    if not isinstance(indices, Tensor) or indices.dtype != torch.int64:
        received = indices.dtype if isinstance(indices, Tensor) else type(indices).__name__
        raise TypeError(f"{name} must be a tensor of indices of dtype torch.int64, got {received}")
    if indices.layout is not torch.strided:
        raise TypeError(f"{name} must be a dense tensor, got layout {indices.layout}")
    if not values_can_be_read(indices):
        return
    outside = (indices < 0) | (indices >= size)
    if ignored is not None:
        outside &= indices != ignored
    if outside.any():
        raise ValueError(f"{name} must lie in 0 … {size - 1}, {of}, got {indices[outside][0].item()}")


def check_lengths(name: str, lengths: Tensor, time: int) -> None:
    """Require lengths from 1 to ``time``, the steps of a padded batch.

    Raises:
        ValueError: a length outside; the first one is named.
    """
    if values_can_be_read(lengths) and (outside := (lengths < 1) | (lengths > time)).any():
        raise ValueError(f"{name} must lie in 1 … {time}, the padded time, got {lengths[outside][0].item()}")


def values_can_be_read(tensor: Tensor) -> bool:
    """Whether a check may look at the numbers: not on the meta device, under ``torch.func``, or while a graph is traced."""
    return not (
        tensor.is_meta
        or torch._C._functorch.is_functorch_wrapped_tensor(tensor)
        or torch.compiler.is_compiling()
        or torch.jit.is_tracing()
    )


def as_number(name: str, value: Real, *, rule: str = "a number") -> float:
    """A real number as a float, of whatever kind it is, those of numpy included; a bool is none.

    >>> as_number("noise", 2)
    2.0

    Raises:
        TypeError: anything else.
        ValueError: an integer beyond the largest float.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be {rule}, got {type(value).__name__} {value!r:.60}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be finite, got {value!r:.60}") from None


def check_positive_int(name: str, value: int) -> None:
    """Require an integer of at least 1 (a bool is not one).

    Raises:
        TypeError: not an integer.
        ValueError: below 1.
    """
    _check_int(name, value)
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")


def check_non_negative_int(name: str, value: int) -> None:
    """Require an integer of at least 0 (a bool is not one).

    Raises:
        TypeError: not an integer.
        ValueError: below 0.
    """
    _check_int(name, value)
    if value < 0:
        raise ValueError(f"{name} must be at least 0, got {value}")


def check_divisible(name: str, value: int, by_name: str, by: int) -> None:
    """Require ``value`` to be a multiple of ``by``.

    Raises:
        ValueError: a remainder is left.
    """
    if value % by:
        raise ValueError(f"{name} {value} must be divisible by {by_name} {by}")


def check_same_length(**sequences: Sequence | Tensor) -> None:
    """Require sequences, given by name, to have one common length.

    Raises:
        ValueError: two of them differ.
    """
    lengths = {name: len(sequence) for name, sequence in sequences.items()}
    if len(set(lengths.values())) > 1:
        received = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"{' and '.join(lengths)} must have the same length, got {received}")


def check_same_dtype(**tensors: Tensor) -> None:
    """Require tensors, given by name, to have one common dtype.

    Raises:
        TypeError: two of them differ.
    """
    if len({tensor.dtype for tensor in tensors.values()}) > 1:
        received = ", ".join(f"{name} {tensor.dtype}" for name, tensor in tensors.items())
        raise TypeError(f"{' and '.join(tensors)} must have the same dtype, got {received}")


def check_switch(**switches: bool) -> None:
    """Require values, given by name, to be True or False: any other would count as one of them.

    Raises:
        TypeError: anything else.
    """
    for name, value in switches.items():
        if not isinstance(value, bool):
            raise TypeError(f"{name} must be a bool, got {type(value).__name__} {value!r:.60}")


def _check_int(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, got {type(value).__name__} {value!r}")
