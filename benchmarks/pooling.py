"""Pooling beside torch's native kernels."""

import torch
from torch.nn import functional as F

from lib.architectures.pooling import avg_pool2d, max_pool2d
from lib.core.sampling import seeded

from .harness import Row, Table, compare

# batch, channels, image side, window, stride
SIZES = [(64, 32, 32, 2, 2), (64, 64, 16, 2, 2), (32, 64, 28, 3, 2)]


def tables(rounds: int) -> list[Table]:
    """Maximum and average, without and with the gradient of the input."""
    return [
        _table("max-forward", max_pool2d, F.max_pool2d, rounds, target=0.2),
        _table("max", max_pool2d, F.max_pool2d, rounds, target=1.8, backward=True),
        _table("average-forward", avg_pool2d, F.avg_pool2d, rounds),
        _table("average", avg_pool2d, F.avg_pool2d, rounds, target=0.9, backward=True),
    ]


def _table(key, ours, torchs, rounds, *, target=None, backward=False) -> Table:
    passes = "forward and backward" if backward else "forward"
    title = f"{ours.__name__}, {passes}, against torch.nn.functional.{ours.__name__}"
    return Table(key, title, tuple(_row(size, ours, torchs, rounds, target, backward) for size in SIZES))


def _row(size, ours, torchs, rounds, target, backward) -> Row:
    batch, channels, side, window, stride = size
    generator = seeded(0)
    # Rectified noise, as after a ReLU: half of the cells are 0 and many windows tie.
    x = torch.randn(batch, channels, side, side, generator=generator).relu_().requires_grad_(backward)
    grad = torch.randn(torchs(x, window, stride=stride).shape, generator=generator)

    def run(pool):
        y = pool(x, window, stride=stride)
        return torch.autograd.grad(y, x, grad) if backward else y

    name = f"{batch}×{channels}×{side}×{side}, window {window}, stride {stride}"
    return compare(name, lambda: run(ours), lambda: run(torchs), target=target, rounds=rounds)
