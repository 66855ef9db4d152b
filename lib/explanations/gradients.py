"""Gradients of the explained score by the input: what every gradient method is made of."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lib.core.hooks import evaluation_mode
from lib.core.targets import target_classes, target_score
from lib.core.validation import check_finite, check_floating, check_not_empty, check_positive_int

__all__ = [
    "check_inputs",
    "examples_per_call",
    "gradient_of",
    "model_outputs",
    "score",
    "score_gradient",
    "weighted_gradient",
]

# Model calls pay when a batch is large, until its temporaries no longer fit the cache: about this many
# numbers of input in one call (167 digits of 28 × 28), and never fewer examples than the second figure.
_NUMBERS, _EXAMPLES = 2**17, 4


def check_inputs(inputs: Tensor, name: str = "inputs") -> None:
    """Require what every method explains: a batch of finite floating-point examples.

    Raises:
        TypeError: no tensor, or integers (token ids must be embedded first).
        ValueError: no batch axis, nothing in it, NaN or infinity.
    """
    if not isinstance(inputs, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(inputs).__name__}")
    check_floating(name, inputs)
    if inputs.ndim < 2:
        raise ValueError(f"{name} must have a batch axis and at least one more, got shape {tuple(inputs.shape)}")
    check_not_empty(name, inputs)
    check_finite(name, inputs)


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
        return target_score(model_outputs(model, inputs.detach()), target)


def model_outputs(model: Callable, inputs: Float[Tensor, "batch *features"]) -> Tensor:
    """Run the model on a copy, so that a first layer that works in place changes nobody's data.

    Raises:
        ValueError: another number of rows than examples; which row speaks for which example is then unknown.
    """
    outputs = model(inputs.clone())
    if isinstance(outputs, Tensor) and outputs.ndim == 2 and len(outputs) != len(inputs):
        raise ValueError(
            f"the model must return one row for each of the {len(inputs)} examples, got shape {tuple(outputs.shape)}"
        )
    return outputs


def score_gradient(
    model: Callable, inputs: Float[Tensor, "batch *features"], target: int | Int64[Tensor, " batch"]
) -> Float[Tensor, "batch *features"]:
    """Gradient of each example's score by that example, in evaluation mode.

    The parameters' ``.grad`` and the inputs are left as they were.

    Raises:
        ValueError: no differentiable path leads from the inputs to the score.
    """
    with evaluation_mode(model), torch.inference_mode(False), torch.enable_grad():
        # Cloned, since what was made in inference mode may take no part in a graph.
        leaf = inputs.detach().clone().requires_grad_()
        target = target_classes(target, len(inputs), inputs.device).clone()
        return gradient_of(target_score(model_outputs(model, leaf), target), leaf, "inputs")


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
            "something on the way is not differentiable (detach, no_grad, argmax) or does not use them"
        )
    return gradient


def weighted_gradient(
    model: Callable,
    points: Callable[[Tensor, slice], Tensor],
    weights: Float[Tensor, " points"],
    inputs: Float[Tensor, "batch *features"],
    target: int | Int64[Tensor, " batch"],
    *,
    chunk_size: int | None = None,
) -> Float[Tensor, "batch *features"]:
    """Sum, over the points of each example, of weight times gradient there: ``Σ_k w_k ∇f(point_k)``.

    ``points(which, rows)`` builds the points numbered ``which`` of a slice of the examples, ``[points, rows,
    *features]``. All of them go through the model together; no more than a chunk of them exists at a time.
    """
    batch, size = len(inputs), examples_per_call(inputs, chunk_size)
    target = target_classes(target, batch, inputs.device)
    total = torch.zeros_like(inputs)
    for first in range(0, batch, size):
        rows = slice(first, first + size)
        examples = len(inputs[rows])
        for which in torch.arange(len(weights), device=inputs.device).split(max(1, size // examples)):
            here = points(which, rows)
            gradient = score_gradient(model, here.flatten(0, 1), target[rows].repeat(len(which)))
            total[rows] += torch.tensordot(weights[which], gradient.view_as(here), dims=1)
    return total
