"""How much does an explanation change when the input hardly does?"""

import math
from collections.abc import Callable
from numbers import Real

import torch
from jaxtyping import Float
from torch import Tensor

from lib.core.targets import Target
from lib.core.validation import as_number, check_callable, check_positive_int
from lib.explanations.calls import at_least_single, check_generator, check_inputs

from .infidelity import check_attributions

__all__ = ["max_sensitivity"]


def max_sensitivity(
    model: Callable,
    inputs: Float[Tensor, "batch *features"],
    target: Target,
    method: Callable[[Callable, Tensor, Target], Tensor],
    *,
    generator: torch.Generator,
    radius: Real = 0.02,
    samples: int = 10,
) -> Float[Tensor, " batch"]:
    """Largest ‖φ(y) − φ(x)‖ / ‖φ(x)‖ among ``samples`` random y whose entries are at most ``radius`` from x's.

    Equation: eq-max-sensitivity. Yeh et al. 2019, definition 3.1, divided by the norm of φ(x). The maximum over random
    points is a lower bound of the true one. ``method(model, inputs, target)`` explains; a random one must draw the same
    numbers at each call, or its own noise is measured as well. A small value is no merit by itself: a constant has 0.
    NaN where all attributions of an example are 0.

    >>> constant = lambda model, inputs, target: torch.ones_like(inputs)
    >>> max_sensitivity(torch.nn.Linear(2, 1), torch.ones(1, 2), 0, constant, generator=torch.Generator())
    tensor([0.])

    Raises:
        TypeError: inputs or attributions that are not floating point.
        ValueError: attributions of another shape than the inputs or with NaN, no samples, a radius that is not above 0.
    """
    check_inputs(inputs)
    check_positive_int("samples", samples)
    check_generator(generator)
    check_callable("method", method)
    radius = as_number("radius", radius)
    if not (radius > 0 and math.isfinite(radius)):
        raise ValueError(f"radius must be finite and above 0, got {radius}")

    def explained(points: Tensor) -> Tensor:
        attributions = method(model, points, target)
        check_attributions(attributions, inputs, "what the method returns")
        return attributions.detach().to(at_least_single(inputs.dtype)).flatten(1)

    points = inputs.detach()
    here = explained(points.clone())
    largest = here.new_zeros(len(inputs))
    for _ in range(samples):
        shift = torch.rand(inputs.shape[1:], generator=generator, device=generator.device) * 2 - 1
        there = explained(points + radius * shift.to(points))
        largest = torch.maximum(largest, (there - here).norm(dim=1))
    return (largest / here.norm(dim=1)).to(inputs.dtype)
