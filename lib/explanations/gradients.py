"""Gradients of the explained score by the input: what every gradient method is made of."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lib.core.hooks import evaluation_mode
from lib.core.targets import target_classes, target_score
from lib.core.validation import check_finite, check_floating, check_not_empty, check_positive_int

__all__ = ["check_inputs", "gradient_of", "score", "score_gradient", "weighted_gradient"]

# Model calls pay when a batch is large, until its temporaries no longer fit the cache: about this many
# numbers of input in one call (167 digits of 28 × 28), and never fewer examples than the second figure.
_NUMBERS, _EXAMPLES = 2**17, 4


def check_inputs(inputs: Tensor) -> None:
    """Require what every method explains: a batch of finite floating-point examples.

    Raises:
        TypeError: no tensor, or integers (token ids must be embedded first).
        ValueError: no batch axis, nothing in it, NaN or infinity.
    """
    if not isinstance(inputs, Tensor):
        raise TypeError(f"inputs must be a torch.Tensor, got {type(inputs).__name__}")
    check_floating("inputs", inputs)
    if inputs.ndim < 2:
        raise ValueError(f"inputs must have a batch axis and at least one more, got shape {tuple(inputs.shape)}")
    check_not_empty("inputs", inputs)
    check_finite("inputs", inputs)


def examples_per_call(inputs: Tensor, chunk_size: int | None) -> int:
    """How many examples go through the model at once: ``chunk_size``, or what suits a cache."""
    if chunk_size is None:
        return max(_EXAMPLES, _NUMBERS // inputs[0].numel())
    check_positive_int("chunk_size", chunk_size)
    return chunk_size


@torch.no_grad()
def score(
    model: Callable, inputs: Float[Tensor, "batch *features"], target: int | Int64[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """The explained score of each example, without a graph, in evaluation mode."""
    with evaluation_mode(model):
        return target_score(model(inputs.detach().clone()), target)


def score_gradient(
    model: Callable, inputs: Float[Tensor, "batch *features"], target: int | Int64[Tensor, " batch"]
) -> Float[Tensor, "batch *features"]:
    """Gradient of each example's score by that example, in evaluation mode.

    The parameters' ``.grad`` and the inputs are left as they were.

    Raises:
        ValueError: no differentiable path leads from the inputs to the score.
    """
    with evaluation_mode(model), torch.enable_grad():
        leaf = inputs.detach().requires_grad_()
        # A copy goes in, so that a first layer that works in place changes neither the leaf nor the caller's data.
        return gradient_of(target_score(model(leaf.clone()), target), leaf, "inputs")


def gradient_of(scores: Float[Tensor, " batch"], tensor: Tensor, name: str) -> Tensor:
    """Gradient of each score by its own row of ``tensor``.

    An example's score depends on that example alone, so the gradient of the sum is the stack of gradients.

    Raises:
        ValueError: the scores do not depend on ``tensor`` through differentiable operations.
    """
    gradient = None
    if scores.requires_grad:
        (gradient,) = torch.autograd.grad(scores.sum(), tensor, allow_unused=True)
    if gradient is None:
        raise ValueError(
            f"no gradient leads from the model's output back to {name}: "
            "something on the way is not differentiable (detach, no_grad, argmax, round) or does not use them"
        )
    return gradient


def weighted_gradient(
    model: Callable,
    point: Callable[[Tensor, Tensor], Tensor],
    weights: Float[Tensor, " points"],
    inputs: Float[Tensor, "batch *features"],
    target: int | Int64[Tensor, " batch"],
    *,
    chunk_size: int | None = None,
) -> Float[Tensor, "batch *features"]:
    """Sum, over the points of each example, of weight times gradient there: ``Σ_k w_k ∇f(point_k)``.

    ``point(k, rows)`` builds the ``k``-th point of the examples ``rows`` (two index tensors of equal
    length). Points of all examples share the model calls; no more than a chunk of them exists at a time.
    """
    batch = len(inputs)
    target = target_classes(target, batch, inputs.device)
    total = torch.zeros_like(inputs)
    everything = torch.arange(len(weights) * batch, device=inputs.device)
    for part in everything.split(examples_per_call(inputs, chunk_size)):
        k, rows = part // batch, part % batch
        gradient = score_gradient(model, point(k, rows), target[rows])
        total.index_add_(0, rows, _column(weights[k], inputs) * gradient)
    return total


def _column(values: Tensor, inputs: Tensor) -> Tensor:
    """Give one number an example as many axes as the inputs have."""
    return values.reshape(-1, *[1] * (inputs.ndim - 1))
