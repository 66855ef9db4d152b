"""What the score loses when a window of the input is covered."""

import itertools
from collections.abc import Callable, Sequence
from numbers import Real

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from lib.core.targets import Target
from lib.core.validation import check_positive_int, check_switch
from lib.explanations.baselines import baseline_like
from lib.explanations.calls import at_least_single, check_inputs, explaining

__all__ = ["occlusion"]


def occlusion(
    model: Callable,
    inputs: Float[Tensor, "batch *features"],
    target: Target,
    *,
    window: tuple[int, ...],
    stride: tuple[int, ...] | None = None,
    baseline: Real | Tensor = 0.0,
    reveal: bool = False,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> Float[Tensor, "batch *features"]:
    """Cover one window after another with the baseline; each entry gets the mean drop of the windows over it.

    Equation: eq-occlusion. Zeiler & Fergus 2014, section 4.2. ``window`` and ``stride`` give one size for each axis
    after the batch: ``(3, 32, 32)`` covers squares of a colour image, ``(1, 64)`` one token of width 64. The stride is
    the window if not given; the last window of an axis is cut off at its end. ``reveal`` asks the opposite: what the
    score gains when a window alone is shown on the baseline. Units: score. Needs no gradient.

    >>> occlusion(lambda x: x**2, torch.tensor([[1.0, 3.0]]), 1, window=(1,))
    tensor([[0., 9.]])

    Raises:
        TypeError: inputs or baseline of a wrong dtype, a window that is no tuple of ints, a target that is no class index.
        ValueError: a window or stride of the wrong length, empty, or larger than the inputs.
    """
    check_inputs(inputs)
    check_switch(reveal=reveal)
    features = tuple(inputs.shape[1:])
    stride = window if stride is None else stride
    _check_sizes("window", window, features)
    _check_sizes("stride", stride, features)
    for axis, (step, width) in enumerate(zip(stride, window, strict=True), start=1):
        if step > width:
            raise ValueError(
                f"stride must not exceed the window, or entries are skipped; axis {axis}: {step} > {width}"
            )
    starts = torch.tensor(list(itertools.product(*map(_starts, features, window, stride))), device=inputs.device)
    with explaining(model, inputs, target, arguments=arguments, chunk_size=chunk_size) as score:
        whole, patch, sign = score.inputs, baseline_like(baseline, score.inputs), 1
        if reveal:
            whole, patch, sign = patch, whole, -1
        untouched = score.at(whole)
        total = torch.zeros_like(whole, dtype=at_least_single(inputs.dtype))
        times = total.new_zeros(features)
        for rows in score.rows.split(score.chunk):
            for which in starts.split(max(1, score.chunk // len(rows))):
                mask = _inside(which, window, features)
                pictures = torch.where(mask[:, None], patch[rows], whole[rows])  # windows × rows × features
                scores = score.of(pictures.flatten(0, 1), rows.repeat(len(which)))
                drop = sign * (untouched[rows] - scores.reshape(len(which), len(rows)))
                mask = mask.to(total.dtype)
                total[rows] += torch.tensordot(drop.T.to(total.dtype), mask, dims=1)
                times += mask.sum(0) if rows[0] == 0 else 0  # the same for every example
        return (total / times).to(inputs.dtype)


def _check_sizes(name: str, sizes: tuple[int, ...], features: tuple[int, ...]) -> None:
    if not isinstance(sizes, tuple):
        raise TypeError(f"{name} must be a tuple of one size for each axis of {features}, got {sizes!r}")
    if len(sizes) != len(features):
        raise ValueError(f"{name} must give one size for each of the {len(features)} axes {features}, got {sizes}")
    for size, length in zip(sizes, features, strict=True):
        check_positive_int(name, size)
        if size > length:
            raise ValueError(f"{name} {sizes} must not be larger than the inputs' {features}")


def _starts(length: int, width: int, step: int) -> list[int]:
    """Where windows begin on an axis, so that together they reach its end."""
    return list(range(0, length - width + step, step))


def _inside(
    starts: Int64[Tensor, "windows axes"], window: tuple[int, ...], features: tuple[int, ...]
) -> Bool[Tensor, "windows *features"]:
    """Mark the entries that each window covers: on every axis, start ≤ position < start + width."""
    mask = torch.ones((), dtype=torch.bool, device=starts.device)
    for axis, (width, length) in enumerate(zip(window, features, strict=True)):
        offset = torch.arange(length, device=starts.device) - starts[:, axis, None]
        inside = (offset >= 0) & (offset < width)
        shape = [len(starts), *[1] * len(features)]
        shape[1 + axis] = length
        mask = mask & inside.reshape(shape)
    return mask
