"""Whether a call is refused by the library itself, with the rule, and what to try it with in place of a layer's input."""

import traceback

import torch

#: In place of a tensor of floating-point numbers.
KINDS = {
    "nothing": lambda x: None,
    "a list": lambda x: x.tolist(),
    "an array": lambda x: x.numpy(),
    "integers": lambda x: x.long(),
    "booleans": lambda x: x > 0,
    "complex numbers": lambda x: x.to(torch.complex64),
    "eight-bit floats": lambda x: x.to(torch.float8_e4m3fn),
    "a sparse tensor": lambda x: x.to_sparse(),
}


def not_refused(layer, x, changes: dict) -> dict[str, str]:
    """What came instead, for each change of the input that the library does not refuse by a TypeError or ValueError of its own with the rule."""
    came = {name: _answer_or_error(layer, change(x)) for name, change in changes.items()}
    return {name: answer for name, answer in came.items() if answer}


def _answer_or_error(layer, x) -> str:
    try:
        answer = layer(x)
    except (TypeError, ValueError) as error:
        raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
        refused = "/lib/" in raised_in and "must" in str(error)
        return "" if refused else f"{type(error).__name__} of {raised_in}: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return f"an answer, {type(answer).__name__}"
