"""What calibration data must be, and how far a rounded weight's outputs are from the weight's own on them."""

from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.validation import check_finite

from .layers import Geometry

__all__ = ["check_inputs", "check_second_moments", "output_error"]


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


def check_second_moments(layer: nn.Module, second_moments: Tensor) -> None:
    """Require second moments of a layer's inputs: as many as it has features, finite, not all 0.

    Raises:
        TypeError: not a Linear or Conv2d.
        ValueError: anything else that does not hold.
    """
    _check_features(layer, "second_moments", len(second_moments))
    check_finite("second_moments", second_moments)
    if not (second_moments.diagonal() > 0).any():
        raise ValueError(
            "second_moments must have a positive number on the diagonal, got none: no input but 0 was seen"
        )


def _check_features(layer: nn.Module, name: str, features: int) -> None:
    if (groups := Geometry.of(layer).groups) > 1:
        raise ValueError(f"layer must have one matrix, got a convolution of {groups} groups")
    expected = layer.weight.flatten(1).shape[1]
    if features != expected:
        raise ValueError(f"{name} must have the layer's {expected} features, got {features}")
