"""Activations: the bends between the affine maps, one number at a time."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
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
    return 0.5 * x * torch.erfc(-x / math.sqrt(2))


class ReLU(nn.Module):
    """:func:`relu` as a layer.

    >>> ReLU()(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return relu(x)


class _FromOutput(torch.autograd.Function):
    """An activation whose derivative can be read off its own output, so that the input need not be kept."""

    generate_vmap_rule = True

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
