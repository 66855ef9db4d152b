"""First weights: of a layer as torch draws them, so that one seed gives one layer; of a Transformer as GPT has them."""

import math

from torch import nn

__all__ = ["normal_matrices", "uniform_by_fan_in"]


def uniform_by_fan_in(weight: nn.Parameter, bias: nn.Parameter | None) -> None:
    """Fill weight, then bias, from U(−1/√fan_in, 1/√fan_in); fan_in is how many numbers one output reads."""
    bound = 1 / math.sqrt(weight[0].numel())
    nn.init.uniform_(weight, -bound, bound)
    if bias is not None:
        nn.init.uniform_(bias, -bound, bound)


def normal_matrices(model: nn.Module, std: float) -> None:
    """Draw the weights of a model's maps and tables from N(0, std²), module by module, and set the maps' biases to 0."""
    for module in model.modules():
        weight, bias = (getattr(module, name, None) for name in ("weight", "bias"))
        if isinstance(weight, nn.Parameter) and weight.ndim == 2:
            nn.init.normal_(weight, std=std)
            if bias is not None:
                nn.init.zeros_(bias)
