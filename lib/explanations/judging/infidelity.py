"""Do the attributions foretell how the score answers a disturbance of the input?"""

import math
from collections.abc import Callable, Sequence
from numbers import Real

import torch
from jaxtyping import Float
from torch import Tensor

from lib.core.targets import Target
from lib.core.validation import as_number, check_finite, check_floating, check_positive_int, check_switch
from lib.explanations.baselines import baseline_like
from lib.explanations.calls import at_least_single, check_generator, explaining

__all__ = ["infidelity"]


def infidelity(
    model: Callable,
    inputs: Float[Tensor, "batch *features"],
    target: Target,
    attributions: Float[Tensor, "batch *features"],
    *,
    generator: torch.Generator,
    noise: Real | None = None,
    baseline: Real | Tensor = 0.0,
    scaled: bool = False,
    samples: int = 200,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> Float[Tensor, " batch"]:
    """E[(dᵀφ − (f(x) − f(x − d)))²]: how far the attributions are from the drops of the score; 0 is best.

    Equation: eq-infidelity. Yeh et al. 2019, definition 2.1, where d is I and φ stands for Φ. By default d takes each
    entry to the ``baseline`` or not, by the toss of a coin; φᵢ then counts as the drop for the whole way, so that dᵀφ is
    the sum of φ over what was taken. ``noise`` asks for Gaussian d of that standard deviation instead, with φ in the units
    of a gradient. ``scaled`` multiplies φ by the number that fits each example best. Units: score². Zero attributions
    are the opponent to beat: for them it is the mean square of the drops.

    >>> x = torch.tensor([[1.0, 3.0]])
    >>> infidelity(lambda x: 2 * x, x, 1, torch.tensor([[0.0, 6.0]]), generator=torch.Generator())
    tensor([0.])

    Raises:
        TypeError: inputs, attributions or baseline of a wrong dtype, a target that is no class index.
        ValueError: attributions of another shape than the inputs or with NaN, no samples, noise that is not above 0.
    """
    check_positive_int("samples", samples)
    check_switch(scaled=scaled)
    check_generator(generator)
    noise = None if noise is None else as_number("noise", noise, rule="a number or None")
    if noise is not None and not (noise > 0 and math.isfinite(noise)):
        raise ValueError(f"noise must be a finite standard deviation above 0, got {noise}")
    with explaining(model, inputs, target, arguments=arguments, chunk_size=chunk_size) as score:
        check_attributions(attributions, inputs)
        precision = at_least_single(inputs.dtype)
        phi = attributions.detach().to(inputs.device, precision)
        away = score.inputs - baseline_like(baseline, score.inputs)
        draws = _draws(samples, tuple(inputs.shape[1:]), noise, generator).to(inputs.device, inputs.dtype)
        untouched = score.at(score.inputs)
        foretold, drops = (torch.zeros(samples, len(inputs), dtype=precision, device=inputs.device) for _ in range(2))
        for rows in score.rows.split(score.chunk):
            for part in torch.arange(samples, device=inputs.device).split(max(1, score.chunk // len(rows))):
                d = draws[part][:, None] * (1 if noise else away[rows])  # samples × rows × features
                d = d.expand(-1, len(rows), *inputs.shape[1:])
                scores = score.of((score.inputs[rows] - d).flatten(0, 1), rows.repeat(len(part)))
                drops[part[:, None], rows] = untouched[rows] - scores.to(precision).reshape(len(part), len(rows))
                sums = draws[part].flatten(1).to(precision) @ phi[rows].flatten(1).T
                foretold[part[:, None], rows] = sums
        if scaled:
            square = foretold.square().sum(0)
            foretold = foretold * torch.where(square > 0, (foretold * drops).sum(0) / square.where(square > 0, 1), 0)
        return (foretold - drops).square().mean(0).to(inputs.dtype)


def check_attributions(attributions: Tensor, inputs: Tensor, name: str = "attributions") -> None:
    """Require one finite number for each entry of the inputs.

    Raises:
        TypeError: no tensor of floating point.
        ValueError: another shape, NaN or infinity.
    """
    check_floating(name, attributions)
    if attributions.shape != inputs.shape:
        raise ValueError(f"{name} must have the inputs' shape {tuple(inputs.shape)}, got {tuple(attributions.shape)}")
    check_finite(name, attributions)


def _draws(
    samples: int, features: tuple[int, ...], noise: float | None, generator: torch.Generator
) -> Float[Tensor, "samples *features"]:
    """One disturbance a sample, the same for every example: coins, or Gaussian noise."""
    where = {"generator": generator, "device": generator.device}
    if noise is None:
        return (torch.rand(samples, *features, **where) < 0.5).float()
    return noise * torch.randn(samples, *features, **where)
