"""What the model's score loses when a column no longer belongs to its rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from lib.core.validation import as_number, check_finite, check_positive_int, check_same_length
from lib.explanations.calls import Score, check_generator, explaining

from .columns import check_columns, check_table, rows_at_once

__all__ = ["PermutationImportance", "permutation_importance"]


@dataclass(frozen=True)
class PermutationImportance:
    """What the score loses for each group of columns in each repetition, and the score that it started from."""

    drops: Float[Tensor, "groups repeats"]
    score: float

    @property
    def mean(self) -> Float[Tensor, " groups"]:
        """The importance, which is the mean drop over the repetitions."""
        return self.drops.mean(1)

    @property
    def spread(self) -> Float[Tensor, " groups"]:
        """Standard deviation of the drop over the repetitions, divided by their number; of the shuffles alone, not of data or training."""
        return self.drops.std(1, correction=0)


def permutation_importance(
    model: Callable,
    inputs: Float[Tensor, "batch features"],
    labels: Shaped[Tensor, "batch *rest"],
    *,
    score: Callable[[Tensor, Tensor], Tensor | float],
    repeats: int = 10,
    generator: torch.Generator,
    groups: Sequence[Sequence[int]] | None = None,
    predicted: Float[Tensor, "batch features"] | None = None,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> PermutationImportance:
    """Mean drop of ``score(outputs, labels)``, higher being better, when columns are shuffled among the rows.

    Equations: eq-permutation-importance and eq-conditional-permutation. Breiman 2001, section 10; Fisher et al. 2019,
    section 3. ``groups`` of columns move together; each column alone if not given. ``predicted`` says what the other
    columns tell about each entry: then only the residuals are shuffled, which keeps the dependence if residuals are
    independent of the other columns. All groups see the same shuffles; ``arguments`` stay. Units: score.

    >>> error, rows = (lambda outputs, labels: -(outputs[:, 0] - labels).abs().mean()), torch.eye(4)[:, :2]
    >>> found = permutation_importance(lambda x: x, rows, rows[:, 0], score=error, generator=torch.Generator())
    >>> (found.mean > 0).tolist()
    [True, False]

    Raises:
        TypeError: inputs that are not floating point, labels that are no tensor, a column that is no int, a score that is no number.
        ValueError: a column that is not there, labels or predictions of another length or shape, a score that is not finite.
    """
    check_table(inputs)
    if not isinstance(labels, Tensor):
        raise TypeError(f"labels must be a torch.Tensor, got {type(labels).__name__}")
    check_same_length(labels=labels, inputs=inputs)
    check_positive_int("repeats", repeats)
    if not callable(score):
        raise TypeError(f"score must be a callable of outputs and labels, got {type(score).__name__}")
    check_generator(generator)
    groups = [[column] for column in range(inputs.shape[1])] if groups is None else _checked(groups, inputs)
    expected = _expected(inputs, predicted)
    residuals = inputs.detach() - expected  # without predictions the inputs, to the bit
    rows = rows_at_once(model, inputs, chunk_size)
    with explaining(model, inputs, 0, arguments=arguments, chunk_size=rows) as call:
        whole = _value(score, _outputs(call, call.inputs[None])[0], labels)
        orders = _orders(len(inputs), repeats, generator).to(inputs.device)
        values = []
        copies = [(group, order) for group in groups for order in orders]
        per_call = max(1, call.chunk // len(inputs))
        for start in range(0, len(copies), per_call):
            some = copies[start : start + per_call]
            points = call.inputs.repeat(len(some), 1, 1)  # copies × batch × features
            for copy, (group, order) in zip(points, some, strict=True):
                copy[:, group] = expected[:, group] + residuals[order][:, group]
            values += [_value(score, outputs, labels) for outputs in _outputs(call, points)]
    drops = whole - torch.tensor(values, dtype=torch.float64).view(len(groups), repeats)
    return PermutationImportance(drops, whole)


def _checked(groups: Sequence[Sequence[int]], inputs: Tensor) -> list[list[int]]:
    if not groups:
        raise ValueError("groups must hold at least one group of columns, got none")
    for group in groups:
        if isinstance(group, str) or not isinstance(group, Sequence):
            raise TypeError(f"groups must be lists of columns, got {type(group).__name__} {group!r}")
        check_columns("groups", group, inputs)
    return [list(group) for group in groups]


def _expected(inputs: Tensor, predicted: Tensor | None) -> Tensor:
    if predicted is None:
        return torch.zeros_like(inputs)
    if not isinstance(predicted, Tensor) or predicted.shape != inputs.shape:
        got = tuple(predicted.shape) if isinstance(predicted, Tensor) else type(predicted).__name__
        raise ValueError(f"predicted must have the inputs' shape {tuple(inputs.shape)}, got {got}")
    check_finite("predicted", predicted)
    return predicted.detach().to(inputs)


def _orders(batch: int, repeats: int, generator: torch.Generator) -> Int64[Tensor, "repeats batch"]:
    return torch.stack([torch.randperm(batch, generator=generator, device=generator.device) for _ in range(repeats)])


def _outputs(call: Score, points: Float[Tensor, "copies batch features"]) -> Float[Tensor, "copies batch classes"]:
    flat, rows = points.flatten(0, 1), call.rows.repeat(len(points))
    pairs = zip(flat.split(call.chunk), rows.split(call.chunk), strict=True)
    outputs = torch.cat([call.outputs(here, which) for here, which in pairs])
    check_finite("the model's output", outputs)
    return outputs.view(*points.shape[:2], -1)


def _value(score: Callable, outputs: Tensor, labels: Tensor) -> float:
    value = score(outputs, labels)
    value = value.item() if isinstance(value, Tensor) and value.numel() == 1 else value
    value = as_number("the score", value, rule="one number")
    check_finite("the score", torch.tensor(value))
    return value
