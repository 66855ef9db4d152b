"""One run of a model that is looked into: checked once, in evaluation mode, without a graph."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.hooks import capture, evaluation_mode, rewrite
from lib.core.validation import check_divisible, check_finite

__all__ = [
    "check_patterns",
    "check_positions",
    "checked_scores",
    "head_width",
    "looking",
    "outputs_of_layers",
    "outputs_once",
]


@contextmanager
def looking(model: nn.Module, inputs: Tensor) -> Iterator[None]:
    """Evaluation mode and no gradients inside the block, for a model with layers by name and a sequence that it reads.

    Raises:
        TypeError: not a module, inputs that are no tensor.
        ValueError: inputs without a batch axis and a time axis, or without an element.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module to have layers by name, got {type(model).__name__}")
    if not isinstance(inputs, Tensor):
        raise TypeError(f"inputs must be a torch.Tensor, got {type(inputs).__name__}")
    if inputs.ndim < 2 or not inputs.numel():
        raise ValueError(f"inputs must be [batch, time] or [batch, time, features], got shape {tuple(inputs.shape)}")
    with evaluation_mode(model), torch.no_grad():
        yield


def outputs_of_layers(model: nn.Module, inputs: Tensor, layers: Sequence[str]) -> tuple[dict[str, Tensor], Tensor]:
    """Run the model once; what each named layer gave, and what the model gave.

    Raises:
        ValueError: a layer that the run does not reach or reaches twice, whose output is no ``[batch, time, features]``.
    """
    seen, result = outputs_once(model, inputs, layers)
    for name, output in seen.items():
        if not isinstance(output, Tensor) or output.ndim != 3 or output.shape[:2] != inputs.shape[:2]:
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ValueError(
                f"layer {name!r} must give [batch, time, features] with the inputs' {tuple(inputs.shape[:2])}, got {got}"
            )
    return seen, result


def outputs_once(
    model: Callable, inputs: Tensor, layers: Sequence[str], *, of: nn.Module | None = None
) -> tuple[dict[str, Tensor], Tensor]:
    """Call ``model``; what each named layer (of the module ``of``, if the model is another callable) gave, and the result.

    Raises:
        ValueError: a layer that the run does not reach or reaches twice.
    """
    calls = dict.fromkeys(layers, 0)

    def counter(name: str):
        def count(output):
            calls[name] += 1
            return output

        return count

    module = model if of is None else of
    with rewrite(module, {name: counter(name) for name in layers}), capture(module, layers) as seen:
        result = model(inputs)
    for name, count in calls.items():
        if count != 1:
            raise ValueError(f"layer {name!r} must run once in a pass, it ran {count} times")
    return dict(seen), result


def check_positions(positions: Sequence[int], time: int) -> None:
    """Require int positions of a sequence, counted from the end if negative."""
    if not positions:
        raise ValueError("positions must name at least one position, got none")
    for position in positions:
        if isinstance(position, bool) or not isinstance(position, int):
            raise TypeError(f"positions must be ints, got {type(position).__name__} {position!r}")
        if not -time <= position < time:
            raise ValueError(f"positions must lie in {-time} … {time - 1}, got {position}")


def head_width(model: nn.Module, output: str, heads: int) -> int:
    """Features of one of ``heads``, whose results a named map takes beside each other."""
    width = model.get_submodule(output).weight.shape[1]
    check_divisible(f"the width of {output!r},", width, "heads", heads)
    return width // heads


def checked_scores(score: Callable, outputs: Tensor, batch: int) -> Tensor:
    """Scores of a run, one finite number for each example.

    Raises:
        ValueError: scores of another shape, NaN or infinity.
    """
    scores = score(outputs)
    if not isinstance(scores, Tensor) or scores.shape != (batch,):
        got = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ValueError(f"score must return one number for each of the {batch} examples, got {got}")
    check_finite("the score", scores)
    return scores


def check_patterns(patterns: Float[Tensor, "*leading queries keys"]) -> None:
    """Require rows that average: weights of at least 0 that sum to 1, as far as half precision rounds them.

    Raises:
        ValueError: a row of another sum, a negative weight, NaN or infinity; the first such row is told.
    """
    sums, least = patterns.sum(-1, dtype=torch.float64), patterns.amin(-1)
    wrong = ~(((sums - 1).abs() < 0.01) & (least > -0.01))  # NaN is wrong too
    if wrong.any():
        row = f"a row with the sum {sums[wrong][0].item():.4g} and the least weight {least[wrong][0].item():.4g}"
        raise ValueError(f"patterns must have rows of weights of at least 0 that sum to 1, got {row}")
