"""Whole convolutional networks, and their normalizations, beside torch's native layers with the same weights."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from lib.architectures import BatchNorm, batch_norm, group_norm, rms_norm
from lib.architectures.convolution import Conv2d
from lib.architectures.densenet import densenet
from lib.architectures.pooling import MaxPool2d
from lib.architectures.resnet import resnet
from lib.architectures.vgg import VGG
from lib.core.sampling import fixed_seed, seeded
from lib.core.surgery import replaced

from .harness import Row, Table, compare

NETWORKS = {
    "ResNet-18": (partial(resnet, 18), 2.0),
    "ResNet-50": (partial(resnet, 50), 2.0),
    "DenseNet-121": (partial(densenet, 121), 2.0),
    "VGG-11": (partial(VGG, 11), 2.0),
}


def tables(rounds: int) -> list[Table]:
    """Forward passes of networks in use; forward and backward passes of the norms, as in training."""
    return [
        Table(
            "forward",
            "networks, forward of one image of 224 × 224 pixels, against the same network of torch's layers",
            tuple(_networks(rounds)),
        ),
        Table(
            "normalization", "norms, forward and backward, against torch.nn.functional", tuple(_normalizations(rounds))
        ),
    ]


def _networks(rounds) -> Iterator[Row]:
    image = torch.randn(1, 3, 224, 224, generator=seeded(0))
    for name, (build, target) in NETWORKS.items():
        with fixed_seed(0):
            ours = build().eval()
        torchs = with_torchs_layers(ours)
        with torch.no_grad():
            yield compare(name, lambda m=ours: m(image), lambda m=torchs: m(image), target=target, rounds=rounds)


def _normalizations(rounds) -> Iterator[Row]:
    generator = seeded(0)
    maps, weight, bias = torch.randn(64, 32, 16, 16, generator=generator), torch.ones(32), torch.zeros(32)
    rows = torch.randn(64, 128, 64, generator=generator)
    for name, ours, torchs, inputs in [
        ("batch_norm, 64×32×16×16", batch_norm, _batch_norm, [maps, weight, bias]),
        (
            "group_norm, 64×32×16×16, 8 groups",
            lambda x, w, b: group_norm(x, 8, w, b),
            lambda x, w, b: F.group_norm(x, 8, w, b),
            [maps, weight, bias],
        ),
        ("rms_norm, 64×128×64", rms_norm, lambda x, w: F.rms_norm(x, (64,), w, 1e-5), [rows, torch.ones(64)]),
    ]:
        leaves = [tensor.clone().requires_grad_() for tensor in inputs]
        grad = torch.ones_like(leaves[0])

        def run(function, leaves=leaves, grad=grad):
            return torch.autograd.grad(function(*leaves), leaves, grad)

        yield compare(name, partial(run, ours), partial(run, torchs), rounds=rounds)


def _batch_norm(x, weight, bias):
    return F.batch_norm(x, None, None, weight, bias, training=True)


def with_torchs_layers(model: nn.Module) -> nn.Module:
    """The same network with torch's convolutions, norms and poolings, in evaluation mode."""

    def change(old: nn.Module) -> nn.Module:
        if isinstance(old, Conv2d):
            out_channels, in_channels = old.weight.shape[0], old.weight.shape[1] * old.groups
            new = nn.Conv2d(
                in_channels, out_channels, old.kernel_size, old.stride, old.padding, bias=old.bias is not None
            )
        elif isinstance(old, BatchNorm):
            new = nn.BatchNorm2d(old.channels, old.eps)
        else:
            return nn.MaxPool2d(old.kernel_size, old.stride, old.padding)
        new.load_state_dict(old.state_dict())
        return new

    kinds = Conv2d | BatchNorm | MaxPool2d
    return replaced(model, {name: change for name, old in model.named_modules() if isinstance(old, kinds)}).eval()
