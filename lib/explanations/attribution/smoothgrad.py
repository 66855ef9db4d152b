"""The gradient, averaged over noisy copies of the input."""

import math
from collections.abc import Callable, Sequence
from numbers import Real

import torch
from jaxtyping import Float
from torch import Tensor

from lib.core.targets import Target
from lib.core.validation import as_number, check_positive_int
from lib.explanations.calls import at_least_single, check_generator, explaining

__all__ = ["smoothgrad"]


def smoothgrad(
    model: Callable,
    inputs: Float[Tensor, "batch *features"],
    target: Target,
    *,
    generator: torch.Generator,
    noise: Real = 0.1,
    samples: int = 32,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> Float[Tensor, "batch *features"]:
    """Mean gradient at ``samples`` copies of the input with Gaussian noise: E[∇f_c(x + ε)].

    Equation: eq-smoothgrad. Smilkov et al. 2017, where the standard deviation is given as a share
    of the input's range; here ``noise`` is in units of the input. Draws come in pairs ε and −ε, which
    cancels the error's odd part; every example meets the same draws, so a batch equals one at a time.

    >>> smoothgrad(lambda x: x**2, torch.tensor([[1.0, 3.0]]), 1, generator=torch.Generator()).round(decimals=4)
    tensor([[0., 6.]])

    Raises:
        TypeError: inputs that are not floating point, a target that is no class index.
        ValueError: noise below 0, an odd or no number of samples, and what `saliency` refuses.
    """
    check_positive_int("samples", samples)
    if samples % 2:
        raise ValueError(f"samples must be even, since noise is drawn in pairs, got {samples}")
    noise = as_number("noise", noise)
    if not (noise >= 0 and math.isfinite(noise)):
        raise ValueError(f"noise must be a finite standard deviation of at least 0, got {noise}")
    check_generator(generator)
    with explaining(model, inputs, target, arguments=arguments, chunk_size=chunk_size) as score:
        # Drawn where the generator lives: a CPU generator then gives the same picture on every device.
        half = torch.randn(
            (samples // 2, *inputs.shape[1:]), generator=generator, device=generator.device, dtype=inputs.dtype
        )
        shifts = noise * torch.cat([half, -half]).to(inputs.device)[:, None]
        weights = inputs.new_full((samples,), 1 / samples, dtype=at_least_single(inputs.dtype))
        return score.weighted_gradient(lambda which, rows: score.inputs[rows] + shifts[which], weights)
