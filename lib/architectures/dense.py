"""The dense (fully connected) layer: every output listens to every input."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.precision import autocasts
from lib.core.rules import PositiveInt

from .initialization import uniform_by_fan_in

__all__ = ["Linear", "linear"]


@checked
@autocasts
def linear(
    x: Float[Tensor, "*batch in_features"],
    weight: Float[Tensor, "out_features in_features"],
    bias: Float[Tensor, " out_features"] | None = None,
) -> Float[Tensor, "*batch out_features"]:
    """Map the last axis affinely, ``x Wᵀ + b``: one row of the weight an output.

    Equation: eq-affine

    >>> linear(torch.tensor([1.0, 2.0]), torch.tensor([[3.0, 4.0]]), torch.tensor([0.5]))
    tensor([11.5000])

    Raises:
        TypeError: integer tensors, or tensors of different dtype.
        ValueError: an input without axes, features that do not match, a bias of the wrong shape.
    """
    y = x @ weight.T
    return y if bias is None else y + bias


class Linear(nn.Module):
    """:func:`linear` with learned weights; the state dict is that of :class:`torch.nn.Linear`.

    Weights and bias start uniform within ±1/√in_features, drawn in torch's order, so that the same seed
    gives the same layer.

    >>> Linear(4, 2)(torch.zeros(3, 4)).shape
    torch.Size([3, 2])

    Raises:
        TypeError: features that are not ints; in the call as :func:`linear`.
        ValueError: features below 1; in the call as :func:`linear`.
    """

    @checked
    def __init__(self, in_features: PositiveInt, out_features: PositiveInt, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.empty(out_features)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew, in torch\'s order."""
        uniform_by_fan_in(self.weight, self.bias)

    def forward(self, x: Float[Tensor, "*batch in_features"]) -> Float[Tensor, "*batch out_features"]:
        return linear(x, self.weight, self.bias)
