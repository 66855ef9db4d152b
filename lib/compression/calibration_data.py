"""What calibration data must be, and how far a rounded weight's outputs are from the weight's own on them."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.validation import check_finite

from .layers import Geometry

__all__ = ["check_inputs", "check_second_moments", "damped_root", "output_error"]


@checked
def output_error(
    weight: Float[Tensor, "outputs features"],
    approximation: Float[Tensor, "outputs features"],
    second_moments: Float[Tensor, "features features"],
) -> float:
    """The mean squared error of a layer's outputs, summed over them: E‖(W − Ŵ) x‖² = tr((W − Ŵ) H (W − Ŵ)ᵀ).

    Equation: eq-output-error

    H is the mean of x xᵀ over the inputs x, as :func:`~lib.compression.recorded_inputs.record_inputs` keeps it.

    >>> output_error(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 1.5]]), torch.diag(torch.tensor([1.0, 4.0])))
    1.0
    """
    error = weight - approximation
    return ((error @ second_moments.to(error)) * error).sum().item()


def check_inputs(layer: nn.Module, inputs: Tensor) -> None:
    """Require recorded inputs of a layer with one matrix: rows of its features, finite, not all one number.

    Raises:
        TypeError: not a Linear or Conv2d.
        ValueError: anything else that does not hold.
    """
    _check_features(layer, "inputs", inputs.shape[1])
    check_finite("inputs", inputs)
    if (inputs == inputs[0, 0]).all():
        raise ValueError(f"inputs must hold two different values to calibrate with, got only {inputs[0, 0].item()}")


def check_second_moments(second_moments: Tensor, layer: nn.Module | None = None) -> None:
    """Require the mean of x xᵀ over inputs x: finite, symmetric, with squares on the diagonal, not all 0; of a layer's, as many as it has features.

    Raises:
        TypeError: not a Linear or Conv2d.
        ValueError: anything else that does not hold.
    """
    if layer is not None:
        _check_features(layer, "second_moments", len(second_moments))
    check_finite("second_moments", second_moments)
    diagonal = second_moments.diagonal()
    if (diagonal < 0).any():
        raise ValueError(f"second_moments must have squares on the diagonal, got {diagonal.min().item()}")
    if not diagonal.any():
        raise ValueError(
            "second_moments must have a positive number on the diagonal, got none: no input but 0 was seen"
        )
    uneven = (second_moments - second_moments.T).abs().max().item()
    if uneven > 0.01 * diagonal.max().item():  # sums in another order differ by roundings, some of them in bfloat16
        raise ValueError(
            f"second_moments must be symmetric, got numbers that differ by {uneven:.3g} from their mirror images"
        )


def damped_root(second_moments: Tensor, damping: float, dtype: torch.dtype) -> Tensor:
    """The lower Cholesky factor of H + damping·mean(diag H)·I, in units in which the mean of that diagonal is 1.

    No damping and no size of H overflows then, and what is made of the factor does not depend on the unit.

    Raises:
        ValueError: a matrix that is negative along some direction, which no inputs have.
    """
    moments = second_moments.double()
    unit = moments.diagonal().mean() * (1 + damping)
    damped = moments / unit + damping / (1 + damping) * torch.eye(len(moments)).to(moments)
    try:
        return torch.linalg.cholesky(damped.to(dtype))
    except torch.linalg.LinAlgError:
        raise ValueError("second_moments must be the mean of x xᵀ over inputs, got a matrix that is not") from None


def _check_features(layer: nn.Module, name: str, features: int) -> None:
    if (groups := Geometry.of(layer).groups) > 1:
        raise ValueError(f"layer must have one matrix, got a convolution of {groups} groups")
    expected = layer.weight.flatten(1).shape[1]
    if features != expected:
        raise ValueError(f"{name} must have the layer's {expected} features, got {features}")
