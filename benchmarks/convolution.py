"""Convolution beside torch's native kernel: the formula and its fast twin, forward and with the backward pass."""

import torch
from torch.nn import functional as F

from lib.architectures.convolution import conv2d, conv2d_formula
from lib.core.sampling import seeded

from .harness import Row, Table, compare, geometric_mean

# batch, channels, image side, filters, kernel, padding: from a first layer to a deep one.
SIZES = [
    (64, 3, 32, 32, 3, 1),
    (64, 64, 16, 64, 3, 1),
    (32, 1, 28, 32, 5, 2),
    (64, 6, 14, 16, 5, 0),
    (16, 128, 8, 128, 3, 1),
]


def tables(rounds: int) -> list[Table]:
    """Four tables: two formulations, without and with the gradients of input and weight."""
    return [
        _table("formula-forward", conv2d_formula, rounds),
        _table("formula", conv2d_formula, rounds, backward=True, mean_target=3.0),
        _table("fast-forward", conv2d, rounds),
        _table("fast", conv2d, rounds, backward=True, target=4.5, mean_target=2.0),
    ]


def _table(key, convolve, rounds, *, backward=False, target=None, mean_target=None) -> Table:
    rows = [_row(size, convolve, rounds, backward, target) for size in SIZES]
    passes = "forward and backward" if backward else "forward"
    title = f"{convolve.__name__}, {passes}, against torch.nn.functional.conv2d"
    return Table(key, title, (*rows, geometric_mean(rows, target=mean_target)))


def _row(size, ours, rounds, backward, target) -> Row:
    batch, channels, side, filters, kernel, padding = size
    generator = seeded(0)
    x = torch.randn(batch, channels, side, side, generator=generator, requires_grad=backward)
    weight = torch.randn(filters, channels, kernel, kernel, generator=generator, requires_grad=backward)
    grad = torch.randn(F.conv2d(x, weight, padding=padding).shape, generator=generator)

    def run(convolve):
        y = convolve(x, weight, padding=padding)
        return torch.autograd.grad(y, (x, weight), grad) if backward else y

    name = f"{batch}×{channels}×{side}×{side} → {filters}, {kernel}×{kernel}, padding {padding}"
    return compare(name, lambda: run(ours), lambda: run(F.conv2d), target=target, rounds=rounds)
