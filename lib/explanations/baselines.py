"""What stands for "absent": the input that an explanation compares with."""

from numbers import Real

import torch
from jaxtyping import Float
from torch import Tensor

from lib.core.validation import as_number, check_finite, check_floating, check_not_empty

__all__ = ["baseline_like", "check_background"]


def baseline_like(
    baseline: Real | Tensor, inputs: Float[Tensor, "batch *features"]
) -> Float[Tensor, "batch *features"]:
    """Spread a number, or a tensor that broadcasts to the inputs, to the inputs' shape.

    Raises:
        TypeError: neither a number nor a tensor of the inputs' dtype.
        ValueError: a shape that does not broadcast to the inputs', NaN or infinity.
    """
    if not isinstance(baseline, Tensor):
        number = as_number("baseline", baseline, rule="a number or a torch.Tensor")
        baseline = torch.tensor(number, dtype=inputs.dtype, device=inputs.device)
    if baseline.dtype != inputs.dtype:
        raise TypeError(f"baseline must have the dtype of inputs, {inputs.dtype}, got {baseline.dtype}")
    check_finite("baseline", baseline)
    try:
        return baseline.detach().to(inputs.device).expand(inputs.shape)
    except RuntimeError:
        raise ValueError(
            f"baseline must broadcast to the inputs' shape {tuple(inputs.shape)}, got {tuple(baseline.shape)}"
        ) from None


def check_background(
    background: Float[Tensor, "background *features"], inputs: Float[Tensor, "batch *features"]
) -> Float[Tensor, "background *features"]:
    """The rows that stand for what the features could have been, on the inputs' device and outside of any graph.

    Raises:
        TypeError: no tensor, or another dtype than the inputs'.
        ValueError: no rows, rows of another shape than the inputs', NaN or infinity.
    """
    check_floating("background", background)
    if background.dtype != inputs.dtype:
        raise TypeError(f"background must have the dtype of inputs, {inputs.dtype}, got {background.dtype}")
    if background.shape[1:] != inputs.shape[1:] or background.ndim != inputs.ndim:
        features = ", ".join(map(str, inputs.shape[1:]))
        raise ValueError(f"background must have the shape [rows, {features}], got {tuple(background.shape)}")
    check_not_empty("background", background)
    check_finite("background", background)
    return background.detach().to(inputs.device)
