"""The gradient, averaged on the way from nothing to the input."""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lib.core.validation import check_positive_int

from .baselines import baseline_like
from .gradients import check_inputs, score, weighted_gradient

__all__ = ["integrated_gradients"]


def integrated_gradients(
    model: Callable,
    inputs: Float[Tensor, "batch *features"],
    target: int | Int64[Tensor, " batch"],
    *,
    baseline: float | Tensor = 0.0,
    steps: int = 50,
    power: int = 1,
    chunk_size: int | None = None,
    return_gap: bool = False,
) -> Float[Tensor, "batch *features"] | tuple[Float[Tensor, "batch *features"], Float[Tensor, " batch"]]:
    """(x − x′) ⊙ ∫₀¹ ∇f_c(x′ + α (x − x′)) dα, by ``steps`` Gauss–Legendre nodes.

    Equation: eq-integrated-gradients. Sundararajan et al. 2017, equation 1. Units: score. As ``steps``
    grows, the attributions of an example add up to f(x) − f(x′) (completeness); ``return_gap`` also returns
    how far they are from it, sum minus difference, one number an example. ``power`` p places the nodes at
    α = uᵖ, denser near the baseline, which pays where the model bends most there (layer norm at zero).

    Raises:
        TypeError: inputs or baseline of a wrong dtype, a target that is no class index.
        ValueError: no steps, a baseline that does not broadcast, and what `saliency` refuses.
    """
    check_inputs(inputs)
    check_positive_int("steps", steps)
    check_positive_int("power", power)
    start = baseline_like(baseline, inputs)
    inputs = inputs.detach()
    difference = inputs - start
    alphas, weights = (values.to(inputs) for values in _nodes(steps, power))
    alphas = alphas.reshape(-1, *[1] * inputs.ndim)

    def on_the_path(which: Tensor, rows: slice) -> Tensor:
        return start[rows] + alphas[which] * difference[rows]

    attributions = difference * weighted_gradient(model, on_the_path, weights, inputs, target, chunk_size=chunk_size)
    if not return_gap:
        return attributions
    promised = score(model, inputs, target) - score(model, start, target)
    return attributions, attributions.flatten(1).sum(1) - promised


@cache  # numpy finds the nodes as eigenvalues, which takes longer than a small model
def _nodes(steps: int, power: int) -> tuple[Float[Tensor, " steps"], Float[Tensor, " steps"]]:
    """Positions α and weights on [0, 1]; substituting α = uᵖ brings in dα = p uᵖ⁻¹ du."""
    positions, weights = (torch.from_numpy(values) for values in np.polynomial.legendre.leggauss(steps))
    u = (positions + 1) / 2
    return u**power, weights / 2 * power * u ** (power - 1)
