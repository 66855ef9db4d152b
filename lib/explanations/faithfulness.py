"""Is what the explanation calls important what the model uses? Take it away, or give it back, and see."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lib.core.hooks import evaluation_mode
from lib.core.targets import target_classes, target_score
from lib.core.validation import check_finite, check_positive_int

from .baselines import baseline_like
from .gradients import check_inputs, examples_per_call, model_outputs

__all__ = ["FaithfulnessCurve", "deletion_curve", "insertion_curve"]


@dataclass(frozen=True)
class FaithfulnessCurve:
    """The target's probability while entries are deleted or inserted, most important first.

    ``fraction`` of entries treated, 0 to 1; ``probability`` at each, one row an example; ``area`` under the
    curve by the trapezoid rule, one number an example, in [0, 1].
    """

    fraction: Float[Tensor, " points"]
    probability: Float[Tensor, "batch points"]
    area: Float[Tensor, " batch"]


def deletion_curve(
    model: Callable,
    inputs: Float[Tensor, "batch *features"],
    target: int | Int64[Tensor, " batch"],
    attributions: Float[Tensor, "batch *units"],
    *,
    steps: int = 20,
    baseline: float | Tensor = 0.0,
    chunk_size: int | None = None,
) -> FaithfulnessCurve:
    """Replace entries by the baseline in falling order of attribution; a small area speaks for the method.

    Equation: eq-deletion-area. Petsiuk et al. 2018, the deletion metric. An axis on which ``attributions`` has
    size 1 is deleted as a whole: ``attributions.sum(1, keepdim=True)`` ranks pixels rather than colours.
    Compare with a random order on the same inputs; the area alone says nothing.

    Raises:
        TypeError: inputs that are not floating point, a target that is no class index.
        ValueError: attributions of another shape or with NaN, no steps or more steps than entries.
    """
    check_inputs(inputs)
    return _curve(model, inputs, baseline_like(baseline, inputs), target, attributions, steps, chunk_size)


def insertion_curve(
    model: Callable,
    inputs: Float[Tensor, "batch *features"],
    target: int | Int64[Tensor, " batch"],
    attributions: Float[Tensor, "batch *units"],
    *,
    steps: int = 20,
    baseline: float | Tensor = 0.0,
    chunk_size: int | None = None,
) -> FaithfulnessCurve:
    """Start at the baseline and reveal entries in falling order of attribution; a large area speaks for the method.

    Equation: eq-insertion-area. Petsiuk et al. 2018, the insertion metric; shapes and errors as in `deletion_curve`.
    """
    check_inputs(inputs)
    return _curve(model, baseline_like(baseline, inputs), inputs, target, attributions, steps, chunk_size)


@torch.no_grad()
def _curve(model, start, end, target, attributions, steps: int, chunk_size) -> FaithfulnessCurve:
    """Walk from ``start`` to ``end``, the most important entries first."""
    ranks = _ranks(attributions, end)
    entries = ranks[0].numel()
    check_positive_int("steps", steps)
    if steps > entries:
        raise ValueError(f"steps must be at most the {entries} entries that are ranked, got {steps}")
    batch = len(end)
    target = target_classes(target, batch, end.device)
    changed = torch.tensor([round(entries * step / steps) for step in range(steps + 1)], device=end.device)
    probabilities = []
    with evaluation_mode(model):
        for part in torch.arange((steps + 1) * batch, device=end.device).split(examples_per_call(end, chunk_size)):
            step, rows = part // batch, part % batch
            done = ranks[rows] < changed[step].reshape(-1, *[1] * (end.ndim - 1))
            outputs = model_outputs(model, torch.where(done, end[rows].detach(), start[rows].detach()))
            target_score(outputs, target[rows])  # refuses a wrong rank or target
            if outputs.shape[1] == 1:
                raise ValueError("the model must tell at least 2 classes apart, or the probability is always 1; got 1")
            probabilities.append(target_score(outputs.softmax(dim=1), target[rows]))
    probability = torch.cat(probabilities).reshape(steps + 1, batch).T
    fraction = (changed / entries).to(probability)
    return FaithfulnessCurve(fraction, probability, torch.trapezoid(probability, fraction))


def _ranks(attributions: Tensor, inputs: Tensor) -> Int64[Tensor, "batch *units"]:
    """0 for the entry with the highest attribution of its example, then 1, …; ties keep their order."""
    fits = (
        isinstance(attributions, Tensor)
        and attributions.ndim == inputs.ndim
        and len(attributions) == len(inputs)
        and all(size in (1, full) for size, full in zip(attributions.shape[1:], inputs.shape[1:], strict=True))
    )
    if not fits:
        shape = tuple(attributions.shape) if isinstance(attributions, Tensor) else type(attributions).__name__
        raise ValueError(
            f"attributions must have the inputs' shape {tuple(inputs.shape)}, or 1 on axes treated as a whole, got {shape}"
        )
    check_finite("attributions", attributions)
    order = attributions.detach().to(inputs.device).flatten(1).argsort(dim=1, descending=True, stable=True)
    ranks = torch.empty_like(order)
    positions = torch.arange(math.prod(attributions.shape[1:]), device=inputs.device)
    return ranks.scatter_(1, order, positions.expand_as(order)).reshape(attributions.shape)
