"""The score that is explained: one checked way to call the model for it, and for its gradient."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from lib.core.hooks import evaluation_mode, one_at_a_time
from lib.core.targets import Target, check_outputs, target_classes, target_score
from lib.core.validation import check_callable, check_finite, check_floating, check_not_empty, check_positive_int

__all__ = ["Score", "at_least_single", "check_generator", "check_inputs", "explaining"]

# Model calls pay when a batch is large: on a CPU until its temporaries no longer fit the cache, at about this many
# numbers of input in one call (167 digits of 28 × 28); elsewhere until the device is busy (55 photographs of 224²).
_NUMBERS_ON_CPU, _NUMBERS_ELSEWHERE = 2**17, 2**23
_EXAMPLES = 4  # and never fewer than these

# Modes and hooks belong to the model, which threads may share: one explanation at a time.
_ALONE = threading.RLock()


def check_inputs(inputs: Tensor, name: str = "inputs") -> None:
    """Require what every method explains: a batch of finite floating-point examples.

    Raises:
        TypeError: no dense tensor, or integers (token ids must be embedded first).
        ValueError: no batch axis, nothing in it, NaN or infinity.
    """
    if isinstance(inputs, Tensor) and inputs.dtype in (torch.int32, torch.int64) and inputs.ndim == 2:
        raise TypeError(
            f"{name} must be floating point, got {inputs.dtype}; convert a table with {name}.float(); token ids have no "
            "gradient: embed them first, and explain the rest of the model at the embeddings [batch, tokens, features]"
        )
    if not isinstance(inputs, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(inputs).__name__}")
    if inputs.layout != torch.strided or inputs.is_nested or inputs.is_meta:
        got = "nested" if inputs.is_nested else "meta" if inputs.is_meta else inputs.layout
        raise TypeError(f"{name} must be dense and hold values, got a {got} tensor")
    check_floating(name, inputs)
    if inputs.ndim < 2:
        raise ValueError(f"{name} must have a batch axis and at least one more, got shape {tuple(inputs.shape)}")
    check_not_empty(name, inputs)
    check_finite(name, inputs)


def check_generator(generator: torch.Generator) -> None:
    """Require a source of random numbers of the caller's own.

    Raises:
        TypeError: anything but a generator.
    """
    if not isinstance(generator, torch.Generator):
        raise TypeError(f"generator must be a torch.Generator, got {type(generator).__name__}")


def at_least_single(dtype: torch.dtype) -> torch.dtype:
    """The precision in which many terms are added up: float32 for halves."""
    return torch.promote_types(dtype, torch.float32)


@contextmanager
def explaining(
    model: Callable,
    inputs: Float[Tensor, "batch *features"],
    target: Target,
    *,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> "Iterator[Score]":
    """Check what a method was given, and yield the `Score` to explain, with the model in evaluation mode.

    Gradients are off until a method switches them on. Threads wait for each other. A compiled model is
    explained through the module or function that it was made from. At the end the model is as it was.

    Raises:
        TypeError: a model that cannot be called, inputs that are not floating point, a target of no integers, arguments
            that are no tuple.
        ValueError: NaN inputs, a target of the wrong length, arguments that are not one row an example.
    """
    check_callable("model", model)
    check_inputs(inputs)
    if chunk_size is not None:
        check_positive_int("chunk_size", chunk_size)
    if not isinstance(arguments, tuple | list):
        raise TypeError(f"arguments must be a tuple of tensors, such as (mask,), got {type(arguments).__name__}")
    for place, argument in enumerate(arguments):
        if not isinstance(argument, Tensor) or argument.shape[:1] != inputs.shape[:1]:
            got = tuple(argument.shape) if isinstance(argument, Tensor) else type(argument).__name__
            raise ValueError(
                f"arguments[{place}] must be a tensor of one row for each of the {len(inputs)} examples, got {got}"
            )
    model = getattr(model, "_orig_mod", getattr(model, "_torchdynamo_orig_callable", model))
    module = getattr(model, "__self__", model)
    # First the model's own lock: a thread inside `capture` of it, which holds that one, may explain it too.
    own = one_at_a_time(module) if isinstance(module, nn.Module) else nullcontext()
    with own, _ALONE, evaluation_mode(model), torch.inference_mode(False), torch.no_grad():
        yield Score(model, inputs, target, arguments, chunk_size)


class Score:
    """f_c: the output of one class for each example, and its gradient, at any points made from the examples.

    ``rows`` says from which example each point was made, and so which class and which further arguments it
    has. ``chunk`` is the number of points that go through the model at once.
    """

    def __init__(self, model, inputs: Tensor, target, arguments: Sequence[Tensor], chunk_size: int | None) -> None:
        self.model, self.inputs, self.arguments = model, inputs.detach(), arguments
        # Copies: what was made in inference mode may take no part in a graph.
        self.target = target_classes(target, len(inputs), inputs.device).clone()
        self.rows = torch.arange(len(inputs), device=inputs.device)
        numbers = _NUMBERS_ON_CPU if inputs.device.type == "cpu" else _NUMBERS_ELSEWHERE
        self.chunk = chunk_size or max(_EXAMPLES, numbers // inputs[0].numel())
        self.classes = None  # how many, known from the first call

    def outputs(self, points: Float[Tensor, "points *features"], rows: Int64[Tensor, " points"]) -> Tensor:
        """All outputs, ``[points, classes]``. The model gets a copy: a first layer that works in place changes nobody's data.

        Raises:
            TypeError, ValueError: outputs that are not one row of finite numbers a point, a target outside the classes.
        """
        outputs = self.model(points.clone(), *(argument[rows] for argument in self.arguments))
        if isinstance(outputs, Tensor) and outputs.ndim == 2 and len(outputs) != len(points):
            raise ValueError(
                f"the model must return one row for each of the {len(points)} examples, got shape {tuple(outputs.shape)}"
            )
        if not isinstance(outputs, Tensor) or outputs.shape[1:] != (self.classes,):
            check_outputs(outputs, self.target)
            self.classes = outputs.shape[1]
        return outputs

    def of(self, points: Float[Tensor, "points *features"], rows: Int64[Tensor, " points"]) -> Float[Tensor, " points"]:
        """The scores of one chunk, with a graph if gradients are on."""
        return target_score(self.outputs(points, rows), self.target[rows])

    def at(self, points: Float[Tensor, "batch *features"]) -> Float[Tensor, " batch"]:
        """The scores of a whole batch, chunk by chunk, at least in single precision."""
        scores = torch.cat([self.of(points[rows], rows) for rows in self.rows.split(self.chunk)])
        return scores.to(at_least_single(scores.dtype))

    def gradient(
        self, points: Float[Tensor, "points *features"], rows: Int64[Tensor, " points"]
    ) -> Float[Tensor, "points *features"]:
        """Gradient of each point's score by that point, for one chunk.

        Raises:
            ValueError: no differentiable path leads from the points to the score.
        """
        with torch.enable_grad():
            leaf = points.detach().clone().requires_grad_()
            return gradient_of(self.of(leaf, rows), leaf, "inputs")

    def weighted_gradient(
        self,
        points: Callable[[Tensor, Tensor], Tensor],
        weights: Float[Tensor, " points"],
        times: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> Float[Tensor, "batch *features"]:
        """Sum, over the points of each example, of weight times gradient there: ``Σ_k w_k ∇f(point_k)``.

        ``points(which, rows)`` builds the points numbered ``which`` of the examples ``rows``, ``[points, rows,
        *features]``. All of them go through the model together; no more than a chunk of them exists at a time.
        ``times`` builds a factor of the same shape for each gradient: ``Σ_k w_k t_k ⊙ ∇f(point_k)``.
        """
        precision = at_least_single(self.inputs.dtype)
        total, weights = torch.zeros_like(self.inputs, dtype=precision), weights.to(self.inputs.device, precision)
        numbers = torch.arange(len(weights), device=weights.device)
        for rows in self.rows.split(self.chunk):
            for which in numbers.split(max(1, self.chunk // len(rows))):
                here = points(which, rows)
                gradient = self.gradient(here.flatten(0, 1), rows.repeat(len(which))).view_as(here)
                gradient = gradient if times is None else times(which, rows) * gradient
                total[rows] += torch.tensordot(weights[which], gradient.to(precision), dims=1)
        return total.to(self.inputs.dtype)


def gradient_of(scores: Float[Tensor, " batch"], tensor: Tensor, name: str) -> Tensor:
    """Gradient of each score by its own row of ``tensor``.

    An example's score depends on that example alone, so the gradient of the sum is the stack of gradients.

    Raises:
        ValueError: the scores do not depend on ``tensor`` through differentiable operations; recurrent layers by cuDNN.
    """
    gradient = None
    try:
        if scores.requires_grad:
            (gradient,) = torch.autograd.grad(scores, tensor, torch.ones_like(scores), allow_unused=True)
    except RuntimeError as error:
        if "cudnn RNN backward" not in str(error):
            raise
        raise ValueError(
            "the model's recurrent layers must not run by cuDNN, which has no gradient in evaluation mode: explain it inside "
            "torch.backends.cudnn.flags(enabled=False), or on the CPU"
        ) from error
    if gradient is None:
        raise ValueError(
            f"no gradient leads from the model's output back to {name}: "
            "something on the way is not differentiable (detach, no_grad, argmax) or does not use them"
        )
    return gradient
