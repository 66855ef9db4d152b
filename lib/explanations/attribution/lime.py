"""A linear model that imitates the network near one input."""

import math
from collections.abc import Callable, Sequence
from numbers import Real

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from lib.core.targets import Target
from lib.core.validation import as_number, check_positive_int
from lib.explanations.calls import Score, check_generator, explaining
from lib.explanations.coalitions import Game

__all__ = ["lime"]


def lime(
    model: Callable,
    inputs: Float[Tensor, "batch *features"],
    target: Target,
    *,
    background: Float[Tensor, "background *features"],
    generator: torch.Generator,
    segments: Tensor | None = None,
    samples: int = 1000,
    width: Real | None = None,
    ridge: Real = 1.0,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> Float[Tensor, "batch *features"]:
    """argmin_w Σ_z exp(−d(z, x)² / 2 width²) [f_c(z) − w₀ − w·z′]² + ridge ‖w‖², over random inputs z near x.

    Equation: eq-lime. Ribeiro et al. 2016, equation 1, as its package has it (the paper's σ is √2 width). Of a table, z
    is normal with the ``background``'s mean and deviation, z′ and d are standardised, width is 0.75 √features by default;
    units: score a standard deviation. With ``segments``, z keeps a random half of them and takes the others from a random
    background row, z′ says which (0, 1), d is the cosine distance to 1, width 0.25; units: score, in equal parts for a
    segment's entries.

    >>> x, rows = torch.tensor([[1.0, 5.0]]), torch.tensor([[-1.0, 0.0], [1.0, 4.0]])
    >>> slopes = torch.tensor([[3.0], [2.0]])  # a unit, of columns that deviate by 1 and by 2
    >>> lime(lambda x: x @ slopes, x, 0, background=rows, ridge=0.0, generator=torch.Generator()).round(decimals=3)
    tensor([[3., 4.]])

    Raises:
        TypeError: a width or ridge that is no number; what `exact_shapley` refuses.
        ValueError: a width that is not positive or leaves no sample near x, a ridge below 0, one background row for a
            table, too few samples.
    """
    check_positive_int("samples", samples)
    check_generator(generator)
    if width is not None:
        width = _finite("width", width)
        if width <= 0:
            raise ValueError(f"width must be positive, got {width}")
    ridge = _finite("ridge", ridge)
    if ridge < 0:
        raise ValueError(f"ridge must be at least 0, got {ridge}")
    with explaining(model, inputs, target, arguments=arguments, chunk_size=chunk_size) as score:
        game = Game(score, background, segments)
        if samples <= game.players:
            raise ValueError(f"samples must be more than the {game.players} weights that are fitted, got {samples}")
        if segments is None:
            weights = _of_a_table(score, game, samples, width, ridge, generator)
        else:
            weights = _of_segments(game, samples, width, ridge, generator)
        return game.spread(weights)


def _of_a_table(
    score: Score, game: Game, samples: int, width: float | None, ridge: float, generator: torch.Generator
) -> Float64[Tensor, "batch players"]:
    """Normal inputs, the same for all examples, after the example itself."""
    rows, x = (tensor.flatten(1).cpu() for tensor in (game.background.double(), score.inputs))
    if len(rows) < 2:
        raise ValueError(f"background must have at least 2 rows, which give features a spread, got {len(rows)}")
    # As precise as the inputs: of samples in double precision only half as many fit the processor's cache.
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    mean, spread = (moment.to(x) for moment in (rows.mean(dim=0), rows.std(dim=0, unbiased=False)))
    z = torch.empty(samples, game.players, device=generator.device, dtype=torch.float32)
    z[1:].normal_(generator=generator)
    z = z.to(x)
    z[1:] *= spread > 0  # what is constant stays as it is, and gets 0
    width = 0.75 * math.sqrt(game.players) if width is None else width
    found = []
    for row in range(len(x)):
        here = z[0] = torch.where(spread > 0, (x[row] - mean) / spread, 0)
        points = torch.addcmul(torch.where(spread > 0, mean, x[row]), spread, z).to(score.inputs)
        points[0] = score.inputs[row].flatten()
        scores = _scores(score, points.reshape(-1, *score.inputs.shape[1:]), row)
        found.append(_ridge_fit(z, (z - here).square_().sum(dim=1), width, scores, ridge))
    return torch.stack(found)


def _of_segments(
    game: Game, samples: int, width: float | None, ridge: float, generator: torch.Generator
) -> Float64[Tensor, "batch players"]:
    """Random coalitions of segments, the same for all examples, after the example itself."""
    where = {"generator": generator, "device": generator.device}
    kept = torch.randint(0, 2, (samples, game.players), **where).bool().cpu()
    kept[0] = True
    scores = game.scores(kept, torch.randint(0, len(game.background), (samples,), **where).cpu())
    distance = 1 - (kept.double().sum(dim=1) / game.players).sqrt()
    width = 0.25 if width is None else width
    return torch.stack([_ridge_fit(kept.double(), distance.square(), width, row, ridge) for row in scores])


def _scores(score: Score, points: Float[Tensor, "points *features"], row: int) -> Float64[Tensor, " points"]:
    rows = score.rows[row].expand(len(points))
    parts = zip(points.split(score.chunk), rows.split(score.chunk), strict=True)
    return torch.cat([score.of(part, row).cpu().double() for part, row in parts])


def _ridge_fit(
    z: Float[Tensor, "samples players"],
    squares: Float[Tensor, " samples"],
    width: float,
    scores: Float64[Tensor, " samples"],
    ridge: float,
) -> Float64[Tensor, " players"]:
    """Ridge regression with an intercept, which is not shrunk: both sides less their means, weighted by squared distance."""
    weights = (-squares.double() / (2 * width**2)).exp()
    others = weights[squares > 0]  # of inputs that differ from the example, the first
    if others.numel() and not others.any():  # or there is nothing to fit
        raise ValueError(
            "width must leave random inputs near the example, got weights of which all are rounded to 0: the kernel is too "
            "narrow, or the example too far from the background"
        )
    share, root = weights / weights.sum(), weights.sqrt()
    z = z.to(torch.float64, copy=True)  # and changed in place: fresh memory would cost more than the arithmetic
    z -= share @ z
    z *= root[:, None]
    scores = (scores - share @ scores) * root
    gram = z.T @ z + ridge * torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
    # Without a ridge, a column that never varied leaves its weight open: the pseudo-inverse gives 0.
    return torch.linalg.pinv(gram, hermitian=True) @ (z.T @ scores)


def _finite(name: str, value: Real) -> float:
    value = as_number(name, value)
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")
    return value
