"""Activations: the bends between the affine maps, one number at a time."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.differentiable import Differentiable
from lib.core.precision import in_float32

__all__ = ["ReLU", "gelu", "relu", "sigmoid", "tanh"]


@checked
def relu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Keep what is positive, zero the rest. The slope at exactly 0 is taken as 0, as in torch.

    Equation: eq-relu

    >>> relu(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])

    Raises:
        TypeError: integer input.
    """
    return _ReLU.apply(x)


@checked
@in_float32
def sigmoid(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Squash the line into (0, 1).

    Equation: eq-sigmoid

    >>> sigmoid(torch.tensor([0.0]))
    tensor([0.5000])

    Raises:
        TypeError: integer input.
    """
    return _Sigmoid.apply(x)


@checked
@in_float32
def tanh(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Squash the line into (−1, 1): an odd function with slope 1 at 0.

    Equation: eq-tanh

    >>> tanh(torch.tensor([0.0, 20.0]))
    tensor([0., 1.])

    Raises:
        TypeError: integer input.
    """
    return _Tanh.apply(x)


@checked
@in_float32
def gelu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Weigh x by Φ(x), the probability that a standard normal number is smaller (Hendrycks & Gimpel 2016, section 2).

    Equation: eq-gelu

    Exact, not the tanh approximation; erfc instead of 1 + erf keeps the digits of the left tail.

    >>> gelu(torch.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8413])

    Raises:
        TypeError: integer input.
    """
    return _GELU.apply(x)[0]


class ReLU(nn.Module):
    """:func:`relu` as a layer.

    >>> ReLU()(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return relu(x)


class _FromOutput(Differentiable):
    """An activation whose derivative can be read off its own output, so that the input need not be kept."""

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)


class _ReLU(_FromOutput):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return grad * (y > 0)

    jvp = backward  # the slope is the same in both directions


class _Sigmoid(_FromOutput):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return 1 / (1 + torch.exp(-x))  # exp may overflow to ∞, and 1/∞ is the right 0

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return grad * y * (1 - y)

    jvp = backward


class _Tanh(_FromOutput):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        # (e²ˣ − 1)/(e²ˣ + 1) by way of e²ˣ − 1, which keeps the digits of a small x. From |x| = 20 on, tanh is
        # ±1 to the last digit of a float64, while e²ˣ would go on to overflow.
        growth = torch.expm1(2 * x.clamp(-20, 20))
        return growth / (growth + 2)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return grad * (1 - y * y)

    jvp = backward


class _GELU(Differentiable):
    """x Φ(x), and Φ(x) beside it, so that the slope Φ(x) + x φ(x) need not ask for Φ again."""

    @staticmethod
    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        probability = (x * -math.sqrt(0.5)).erfc_().mul_(0.5)
        return x * probability, probability

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(*inputs, output[1])
        ctx.save_for_forward(*inputs, output[1])
        ctx.set_materialize_grads(False)

    @classmethod
    def backward(cls, ctx, grad: Tensor | None, probability_grad: Tensor | None) -> Tensor | None:
        # Φ is an output: its own gradient arrives when this line is differentiated once more.
        parts = [] if grad is None else [grad * cls.slope(ctx)]
        if probability_grad is not None:
            parts.append(probability_grad * cls.density(ctx))
        return sum(parts[1:], parts[0]) if parts else None

    @classmethod
    def jvp(cls, ctx, tangent: Tensor) -> tuple[Tensor, Tensor]:
        return tangent * cls.slope(ctx), tangent * cls.density(ctx)

    @classmethod
    def slope(cls, ctx) -> Tensor:
        """The derivative of x Φ(x)."""
        x, probability = ctx.saved_tensors
        return torch.addcmul(probability, x, cls.density(ctx))

    @staticmethod
    def density(ctx) -> Tensor:
        """φ(x), the derivative of Φ(x)."""
        x, _ = ctx.saved_tensors
        log_scale = x.new_tensor(-0.5 * math.log(2 * math.pi))
        return torch.addcmul(log_scale, x, x, value=-0.5).exp_()
