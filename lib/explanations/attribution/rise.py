"""The score of randomly masked copies, averaged over the masks that show an entry."""

from collections.abc import Callable, Sequence
from numbers import Real

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from lib.core.targets import Target
from lib.core.validation import check_positive_int
from lib.explanations.baselines import baseline_like
from lib.explanations.calls import at_least_single, check_generator, check_inputs, explaining

__all__ = ["rise"]

_WAYS = {1: "linear", 2: "bilinear", 3: "trilinear"}


def rise(
    model: Callable,
    inputs: Float[Tensor, "batch *features"],
    target: Target,
    *,
    cells: tuple[int, ...],
    generator: torch.Generator,
    samples: int = 1000,
    baseline: Real | Tensor = 0.0,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> Float[Tensor, "batch *features"]:
    """Mean score over random masks, weighted by how much each shows of an entry, less the mean over all masks.

    Equation: eq-rise. Petsiuk et al. 2018, equation 6, less a constant, with half of the cells shown. ``cells`` gives the
    size of the coarse random grid on each axis after the batch; it is enlarged smoothly and shifted at random. One
    cell takes an axis as a whole: ``(1, 7, 7)`` masks all colours of a pixel together, ``(10,)`` each of ten features
    alone. Hidden is blended with ``baseline``. Units: score. Needs no gradient; all examples meet the same masks.

    >>> x = torch.tensor([[1.0, 3.0]])
    >>> rise(lambda x: x, x, 1, cells=(2,), samples=5000, generator=torch.Generator().manual_seed(0)).round(decimals=1)
    tensor([[0.0000, 1.5000]])

    Raises:
        TypeError: inputs or baseline of a wrong dtype, cells that are no tuple of ints, a target that is no class index.
        ValueError: as many cells as do not fit the axes, no samples, a baseline that does not broadcast.
    """
    check_inputs(inputs)
    check_positive_int("samples", samples)
    check_generator(generator)
    features = tuple(inputs.shape[1:])
    _check_cells(cells, features)
    with explaining(model, inputs, target, arguments=arguments, chunk_size=chunk_size) as score:
        start, precision = baseline_like(baseline, score.inputs), at_least_single(inputs.dtype)
        coarse, shifts = _draws(samples, cells, features, generator)

        def masks_of(which: Tensor) -> Tensor:
            return _enlarged(coarse[which], shifts[which], features).to(inputs.device, precision)

        # Of each mask, first how much all of them show; then the score has one weight an entry, of mean 0.
        numbers = torch.arange(samples, device=shifts.device)
        shown = sum(masks_of(part).sum(0) for part in numbers.split(score.chunk))
        total = torch.zeros_like(score.inputs, dtype=precision)
        for rows in score.rows.split(score.chunk):
            for part in numbers.split(max(1, score.chunk // len(rows))):
                masks = masks_of(part)
                # masks × rows × features
                pictures = start[rows] + masks[:, None].to(inputs.dtype) * (score.inputs[rows] - start[rows])
                scores = score.of(pictures.flatten(0, 1), rows.repeat(len(part))).to(precision)
                weights = masks / torch.where(shown > 0, shown, 1) - 1 / samples
                total[rows] += torch.tensordot(scores.reshape(len(part), len(rows)).T, weights, dims=1)
        return total.masked_fill(shown == 0, 0).to(inputs.dtype)


def _check_cells(cells: tuple[int, ...], features: tuple[int, ...]) -> None:
    if not isinstance(cells, tuple):
        raise TypeError(f"cells must be a tuple of one number for each axis of {features}, got {cells!r}")
    if len(cells) != len(features):
        raise ValueError(f"cells must give one number for each of the {len(features)} axes {features}, got {cells}")
    for number, length in zip(cells, features, strict=True):
        check_positive_int("cells", number)
        if number > length:
            raise ValueError(f"cells {cells} must not be more than the inputs' {features}")
    if sum(number > 1 for number in cells) not in _WAYS:
        raise ValueError(f"cells must be more than 1 on one to three axes, got {cells}")


def _draws(
    samples: int, cells: tuple[int, ...], features: tuple[int, ...], generator: torch.Generator
) -> tuple[Float[Tensor, "samples *cells"], Int64[Tensor, "samples axes"]]:
    """Which cells of a grid show, one more than asked for on each axis, and how far the grid is shifted."""
    where = {"generator": generator, "device": generator.device}
    grid = [number + 1 if number > 1 else 1 for number in cells]
    coarse = (torch.rand(samples, *grid, **where) < 0.5).float()
    widths = [-(-length // number) if number > 1 else 1 for number, length in zip(cells, features, strict=True)]
    shifts = [torch.randint(width, (samples,), **where) for width in widths]
    return coarse, torch.stack(shifts, dim=1)


def _enlarged(
    coarse: Float[Tensor, "masks *cells"], shifts: Int64[Tensor, "masks axes"], features: tuple[int, ...]
) -> Float[Tensor, "masks *features"]:
    """The grids, enlarged by linear interpolation and cut out of the enlargement where the shift says."""
    fine = [axis for axis, number in enumerate(coarse.shape[1:]) if number > 1]
    numbers = [coarse.shape[1 + axis] for axis in fine]
    sizes = [number * -(-features[axis] // (number - 1)) for axis, number in zip(fine, numbers, strict=True)]
    masks = nn.functional.interpolate(coarse.reshape(len(coarse), 1, *numbers), sizes, mode=_WAYS[len(fine)])
    masks = masks.reshape(
        len(coarse), *[sizes[fine.index(axis)] if axis in fine else 1 for axis in range(len(features))]
    )
    for axis in fine:
        place = shifts[:, axis, None] + torch.arange(features[axis], device=shifts.device)
        place = place.reshape(len(masks), *[-1 if other == axis else 1 for other in range(len(features))])
        masks = masks.take_along_dim(place, dim=1 + axis)
    return masks.expand(-1, *features)
