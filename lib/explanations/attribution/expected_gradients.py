"""The gradient, averaged on the ways from many references to the input."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lib.core.targets import Target
from lib.core.validation import check_positive_int
from lib.explanations.baselines import check_background
from lib.explanations.calls import at_least_single, check_generator, explaining

__all__ = ["expected_gradients"]


def expected_gradients(
    model: Callable,
    inputs: Float[Tensor, "batch *features"],
    target: Target,
    *,
    background: Float[Tensor, "background *features"],
    generator: torch.Generator,
    samples: int = 200,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> Float[Tensor, "batch *features"]:
    """E[(x − x′) ⊙ ∇f_c(x′ + α (x − x′))] over references x′ of the background and α uniform on [0, 1].

    Equation: eq-expected-gradients. Erion et al. 2021, equation 4: Integrated Gradients, averaged over baselines.
    Units: score. Attributions add up to f(x) less the background's mean f, up to the error of ``samples`` draws: one α in
    each of as many equal parts of [0, 1], and among any ``len(background)`` neighbours each reference once. Every
    example meets the same draws, so a batch equals one at a time.

    >>> x, half = torch.tensor([[1.0, 3.0]]), torch.full((1, 2), 0.5)
    >>> expected_gradients(lambda x: 2 * x, x, 1, background=half, generator=torch.Generator()).round(decimals=4)
    tensor([[0., 5.]])

    Raises:
        TypeError: inputs or background of a wrong dtype, a target that is no class index.
        ValueError: an empty background or one of other features, no samples, and what `saliency` refuses.
    """
    check_positive_int("samples", samples)
    check_generator(generator)
    with explaining(model, inputs, target, arguments=arguments, chunk_size=chunk_size) as score:
        references = check_background(background, score.inputs)
        alphas, drawn = _draws(samples, len(references), generator)
        alphas = alphas.to(inputs.device, inputs.dtype).reshape(-1, *[1] * inputs.ndim)
        drawn = drawn.to(inputs.device)

        def difference(which: Tensor, rows: Tensor) -> Tensor:
            return score.inputs[rows] - references[drawn[which]][:, None]

        def on_the_way(which: Tensor, rows: Tensor) -> Tensor:
            return references[drawn[which]][:, None] + alphas[which] * difference(which, rows)

        weights = inputs.new_full((samples,), 1 / samples, dtype=at_least_single(inputs.dtype))
        return score.weighted_gradient(on_the_way, weights, times=difference)


def _draws(
    samples: int, references: int, generator: torch.Generator
) -> tuple[Float[Tensor, " samples"], Int64[Tensor, " samples"]]:
    """α, and the number of the reference it goes with; both spread evenly, and evenly together."""
    where = {"generator": generator, "device": generator.device}
    alphas = (torch.arange(samples, device=generator.device) + torch.rand(samples, **where)) / samples
    rounds = -(-samples // references)
    return alphas, torch.cat([torch.randperm(references, **where) for _ in range(rounds)])[:samples]
