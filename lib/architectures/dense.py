"""The dense (fully connected) layer: every output listens to every input."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.validation import check_floating, check_not_empty, check_positive_int, check_rank, check_same_dtype

from .initialization import uniform_by_fan_in

__all__ = ["Linear", "linear"]


def linear(
    x: Float[Tensor, "*batch in_features"],
    weight: Float[Tensor, "out_features in_features"],
    bias: Float[Tensor, " out_features"] | None = None,
) -> Float[Tensor, "*batch out_features"]:
    """Map the last axis affinely, ``x Wᵀ + b``: one row of the weight an output.

    Equation: eq-affine

    Raises:
        TypeError: integer tensors, or tensors of different dtype.
        ValueError: an input without axes or without elements, features that do not match, a bias of the wrong shape.
    """
    check_rank("weight", weight, "out_features in_features")
    check_floating("x", x)
    check_not_empty("x", x)
    check_same_dtype(x=x, weight=weight, **({} if bias is None else {"bias": bias}))
    if x.shape[-1:] != weight.shape[1:]:
        raise ValueError(
            f"x must have {weight.shape[1]} features on its last axis, as many as weight has columns, got shape {tuple(x.shape)}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(
            f"bias must have shape ({weight.shape[0]},), a number for each output, got {tuple(bias.shape)}"
        )
    y = x @ weight.T
    return y if bias is None else y + bias


class Linear(nn.Module):
    """:func:`linear` with learned weights; the state dict is that of :class:`torch.nn.Linear`.

    Weights and bias start uniform within ±1/√in_features, drawn in torch's order, so that the same seed
    gives the same layer.

    Raises:
        TypeError: features that are not ints; in the call as :func:`linear`.
        ValueError: features below 1; in the call as :func:`linear`.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        check_positive_int("in_features", in_features)
        check_positive_int("out_features", out_features)
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.empty(out_features)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew, in torch\'s order."""
        uniform_by_fan_in(self.weight, self.bias)

    def forward(self, x: Float[Tensor, "*batch in_features"]) -> Float[Tensor, "*batch out_features"]:
        return linear(x, self.weight, self.bias)
