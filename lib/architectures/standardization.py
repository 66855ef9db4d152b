"""Numbers that belong together, given a mean square of 1 or a variance of 1: what every normalization is made of.

Each of the two maps has its backward pass and its derivative in a direction written out.
"""

import math

import torch
from torch import Tensor

from lib.core.differentiable import Differentiable

__all__ = ["Standardize", "UnitPower", "stretched"]


class UnitPower(Differentiable):
    """y = x r with r = 1 / √(mean square + eps), and the mean square beside it.

    The mean square moves with x: it takes out of a gradient what lies along y.
    """

    @staticmethod
    def forward(x: Tensor, axes: tuple[int, ...], eps: float) -> tuple[Tensor, Tensor]:
        power = x.square().mean(axes, keepdim=True)
        power = power.nan_to_num(nan=math.nan, posinf=math.nan)  # past the dtype's range nothing is known of it
        return x * torch.rsqrt(power + eps), power

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        _, ctx.axes, ctx.eps = inputs
        ctx.save_for_backward(*output)
        ctx.save_for_forward(*output)
        ctx.set_materialize_grads(False)

    @classmethod
    def backward(cls, ctx, grad: Tensor | None, power_grad: Tensor | None) -> tuple[Tensor | None, None, None]:
        y, power = ctx.saved_tensors
        rate = torch.rsqrt(power + ctx.eps)
        parts = [] if grad is None else [cls.across(grad, y, ctx.axes) * rate]
        if power_grad is not None:  # when this is differentiated once more: ∂ mean square / ∂x = 2 x / count
            parts.append(power_grad * 2 * y / (rate * (y.numel() // power.numel())))
        return sum(parts[1:], parts[0]) if parts else None, None, None

    @classmethod
    def jvp(cls, ctx, tangent: Tensor, *_: None) -> tuple[Tensor, Tensor]:
        y, power = ctx.saved_tensors
        rate = torch.rsqrt(power + ctx.eps)
        along = (tangent * y).mean(ctx.axes, keepdim=True)
        return cls.across(tangent, y, ctx.axes) * rate, 2 * along / rate

    @staticmethod
    def across(direction: Tensor, y: Tensor, axes: tuple[int, ...]) -> Tensor:
        """What is left of a direction without its part along y; the map is its own transpose."""
        return torch.addcmul(direction, y, (direction * y).mean(axes, keepdim=True), value=-1)


class Standardize(UnitPower):
    """y = (x − mean) r with r = 1 / √(variance + eps), and the variance beside it.

    Mean and variance move with x: they take out of a gradient what lies along 1 and along y.
    """

    @staticmethod
    def forward(x: Tensor, axes: tuple[int, ...], eps: float) -> tuple[Tensor, Tensor]:
        return UnitPower.forward(x - x.mean(axes, keepdim=True), axes, eps)

    @staticmethod
    def across(direction: Tensor, y: Tensor, axes: tuple[int, ...]) -> Tensor:
        along = (direction * y).mean(axes, keepdim=True)
        return torch.addcmul(direction - direction.mean(axes, keepdim=True), y, along, value=-1)


def stretched(y: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """Multiply by the weight and add the bias, of which either may be missing."""
    y = y if weight is None else y * weight
    return y if bias is None else y + bias
