"""The gradient, averaged on the way from nothing to the input."""

from collections.abc import Callable, Sequence
from functools import cache
from numbers import Real

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lib.core.targets import Target
from lib.core.validation import check_positive_int
from lib.explanations.baselines import baseline_like
from lib.explanations.calls import explaining

__all__ = ["integrated_gradients"]

_MOST_STEPS = 1000  # the nodes are the eigenvalues of a matrix of this size; a kink of the model, not they, then limits


def integrated_gradients(
    model: Callable,
    inputs: Float[Tensor, "batch *features"],
    target: Target,
    *,
    baseline: Real | Tensor = 0.0,
    steps: int = 50,
    power: int = 1,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> Float[Tensor, "batch *features"]:
    """(x − x′) ⊙ ∫₀¹ ∇f_c(x′ + α (x − x′)) dα, by ``steps`` Gauss–Legendre nodes.

    Equation: eq-integrated-gradients. Sundararajan et al. 2017, equation 1. Units: score. As ``steps``
    grows, the attributions of an example add up to f(x) − f(x′); `completeness_gap` says what they miss.
    ``power`` p places the nodes at α = uᵖ, denser near the baseline (layer norm bends most at zero).

    >>> integrated_gradients(lambda x: x**2, torch.tensor([[1.0, 3.0]]), 1, steps=2)
    tensor([[0., 9.]])

    Raises:
        TypeError: inputs or baseline of a wrong dtype, a target that is no class index.
        ValueError: no steps or over 1000, a power that so few nodes cannot integrate, a baseline that does not broadcast.
    """
    check_positive_int("steps", steps)
    if steps > _MOST_STEPS:
        raise ValueError(f"steps must be at most {_MOST_STEPS}, got {steps}")
    check_positive_int("power", power)
    if power > 2 * steps:  # dα = p uᵖ⁻¹ du, and n nodes integrate polynomials up to degree 2n − 1
        raise ValueError(f"power must be at most twice the {steps} steps, got {power}")
    with explaining(model, inputs, target, arguments=arguments, chunk_size=chunk_size) as score:
        start = baseline_like(baseline, score.inputs)
        difference = score.inputs - start
        alphas, weights = _nodes(steps, power)
        alphas = alphas.to(inputs.device, inputs.dtype).reshape(-1, *[1] * inputs.ndim)

        def on_the_path(which: Tensor, rows: Tensor) -> Tensor:
            return start[rows] + alphas[which] * difference[rows]

        return difference * score.weighted_gradient(on_the_path, weights)


@cache  # numpy finds the nodes as eigenvalues, which takes longer than a small model
def _nodes(steps: int, power: int) -> tuple[Float[Tensor, " steps"], Float[Tensor, " steps"]]:
    """Positions α and weights on [0, 1]; substituting α = uᵖ brings in dα = p uᵖ⁻¹ du."""
    positions, weights = (torch.from_numpy(values) for values in np.polynomial.legendre.leggauss(steps))
    u = (positions + 1) / 2
    return u**power, weights / 2 * power * u ** (power - 1)
