"""First weights, drawn as torch draws them, so that one seed gives one layer."""

import math

from torch import nn

__all__ = ["uniform_by_fan_in"]


def uniform_by_fan_in(weight: nn.Parameter, bias: nn.Parameter | None) -> None:
    """Fill weight, then bias, from U(−1/√fan_in, 1/√fan_in); fan_in is how many numbers one output reads."""
    bound = 1 / math.sqrt(weight[0].numel())
    nn.init.uniform_(weight, -bound, bound)
    if bias is not None:
        nn.init.uniform_(bias, -bound, bound)
