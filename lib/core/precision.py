"""In which precision a layer computes: half precision stores numbers, and float32 adds them up."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

import torch
from torch import Tensor

__all__ = ["autocast_dtype", "autocasts", "in_float32", "is_transformed"]

F = TypeVar("F", bound=Callable)
_HALF = (torch.float16, torch.bfloat16)


def autocast_dtype(device: torch.device) -> torch.dtype | None:
    """To which dtype ``torch.autocast`` rounds on this device just now; None where it is off."""
    if not torch._C._is_any_autocast_enabled() or not torch.amp.is_autocast_available(device.type):
        return None
    return torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else None


def in_float32(function: F) -> F:
    """Let a function compute in float32 what arrives in float16 or bfloat16, and round its result once.

    A float16 ends at 65,504, which squares, exponentials and sums soon pass; torch's own kernels do the same.
    """

    @wraps(function)
    def call(*args, **kwargs):
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        half = next((tensor.dtype for tensor in tensors if tensor.dtype in _HALF), None)
        if half is None and autocast_dtype(tensors[0].device) is None:
            return function(*args, **kwargs)
        result = _converted(function, args, kwargs, torch.float32, _HALF)
        return result if half is None else result.to(half)

    return call


def autocasts(function: F) -> F:
    """Under ``torch.autocast``, round the arguments to its dtype, as torch does for products of matrices."""

    @wraps(function)
    def call(*args, **kwargs):
        first = next(value for value in (*args, *kwargs.values()) if isinstance(value, Tensor))
        dtype = autocast_dtype(first.device)
        if dtype is None:
            return function(*args, **kwargs)
        return _converted(function, args, kwargs, dtype, (torch.float32, *_HALF))

    return call


def is_transformed(*tensors: Tensor) -> bool:
    """Whether derivatives or batches run through ``torch.func``, forward-mode AD or a graph that is being traced.

    They follow recorded operations only: a fast twin that writes in place gives way to its formula.
    """
    return (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch.autograd.forward_ad._current_level >= 0
        or any(torch._C._functorch.is_functorch_wrapped_tensor(tensor) for tensor in tensors)
    )


def _converted(function: Callable, args: tuple, kwargs: dict, dtype: torch.dtype, dtypes: tuple) -> Tensor:
    """Call a function with its tensors of some dtypes rounded to another, and autocast off, which would round them again."""

    def convert(value):
        return value.to(dtype) if isinstance(value, Tensor) and value.dtype in dtypes else value

    args, kwargs = [*map(convert, args)], {name: convert(value) for name, value in kwargs.items()}
    device = next(value.device for value in (*args, *kwargs.values()) if isinstance(value, Tensor))
    if autocast_dtype(device) is None:
        return function(*args, **kwargs)
    with torch.autocast(device.type, enabled=False):
        return function(*args, **kwargs)
