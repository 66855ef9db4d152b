"""Dense layers, activations and the loss beside torch's native kernels."""

from collections.abc import Iterator
from functools import partial

import torch
from torch.nn import functional as F

from lib.architectures.activations import gelu, relu, sigmoid, tanh
from lib.architectures.dense import linear
from lib.architectures.softmax import cross_entropy, log_softmax, softmax
from lib.core.sampling import seeded

from .harness import Row, Table, compare

# rows, in_features, out_features: one image of 003's network, a batch of it, and a wide layer.
SIZES = [(1, 576, 64), (64, 576, 64), (256, 1024, 1024)]


def tables(rounds: int) -> list[Table]:
    """The affine map, then what is done to its result; all with the backward pass, none with a target."""
    return [
        _table("linear", _linear(rounds)),
        _table("activations", _activations(rounds)),
        _table("softmax", _losses(rounds)),
    ]


def _table(key, rows) -> Table:
    return Table(key, f"{key}, forward and backward, against torch.nn.functional", tuple(rows))


def _linear(rounds) -> Iterator[Row]:
    for rows, in_features, out_features in SIZES:
        generator = seeded(0)
        shapes = [(rows, in_features), (out_features, in_features), (out_features,)]
        tensors = [torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes]
        yield _row(f"{rows}×{in_features} → {out_features}", linear, F.linear, tensors, tensors, rounds)


def _activations(rounds) -> Iterator[Row]:
    x = torch.randn(256, 1024, generator=seeded(0), requires_grad=True)
    for ours, torchs in [(relu, F.relu), (sigmoid, torch.sigmoid), (tanh, torch.tanh), (gelu, F.gelu)]:
        yield _row(f"{ours.__name__}, 256×1024", ours, torchs, [x], [x], rounds)


def _losses(rounds) -> Iterator[Row]:
    generator = seeded(0)
    logits = torch.randn(256, 1000, generator=generator, requires_grad=True)
    labels = torch.randint(1000, (256,), generator=generator)
    for ours, torchs, inputs in [
        (softmax, partial(F.softmax, dim=-1), [logits]),
        (log_softmax, partial(F.log_softmax, dim=-1), [logits]),
        (cross_entropy, F.cross_entropy, [logits, labels]),
    ]:
        yield _row(f"{ours.__name__}, 256×1000", ours, torchs, inputs, [logits], rounds)


def _row(name, ours, torchs, inputs, differentiated, rounds) -> Row:
    grad = torch.ones_like(torchs(*inputs))

    def run(function):
        return torch.autograd.grad(function(*inputs), differentiated, grad)

    return compare(name, lambda: run(ours), lambda: run(torchs), rounds=rounds)
