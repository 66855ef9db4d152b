"""VGG: parameters as published, where they stand, values beside torch's own layers."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from lib.architectures import VGG
from lib.core import seeded


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


# torchvision's counts; a batch norm adds two numbers a channel.
@pytest.mark.parametrize(
    ("depth", "count", "normed"),
    [
        (11, 132_863_336, 132_868_840),
        (13, 133_047_848, 133_053_736),
        (16, 138_357_544, 138_365_992),
        (19, 143_667_240, 143_678_248),
    ],
)
def test_the_networks_have_as_many_parameters_as_published(depth, count, normed):
    with torch.device("meta"):
        plain = VGG(depth)
        assert parameters(VGG(depth, norm=True)) == normed
    assert parameters(plain) == count
    weights = [value for value in plain.parameters() if value.ndim > 1]
    assert len(weights) == depth


def test_names_and_shapes_are_torchvisions():
    # Written down from torchvision's vgg16: a state dict goes from one into the other.
    with torch.device("meta"):
        state = {name: tuple(value.shape) for name, value in VGG(16).state_dict().items()}
    assert state["features.0.weight"] == (64, 3, 3, 3)
    assert state["features.28.weight"] == (512, 512, 3, 3)
    assert state["classifier.0.weight"] == (4096, 25088)
    assert state["classifier.3.weight"] == (4096, 4096)
    assert state["classifier.6.bias"] == (1000,)
    assert len(state) == 32


@pytest.mark.parametrize("norm", [False, True])
def test_values_are_those_of_torchs_layers_with_the_same_state(norm):
    layers, width = [], 2
    for stage, stage_width in zip((1, 1, 2, 2, 2), (64, 128, 256, 512, 512), strict=True):
        for _ in range(stage):
            layers += [nn.Conv2d(width, stage_width, 3, padding=1)]
            layers += [nn.BatchNorm2d(stage_width), nn.ReLU()] if norm else [nn.ReLU()]
            width = stage_width
        layers.append(nn.MaxPool2d(2))
    torchs = nn.Module()
    torchs.features = nn.Sequential(*layers)
    torchs.classifier = nn.Sequential(
        nn.Linear(512, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(),
        nn.Linear(4096, 5),
    )  # fmt: skip
    ours = VGG(11, norm=norm, classes=5, channels=2, image_size=32)
    for parameter in ours.classifier.parameters():
        nn.init.normal_(parameter, 0, 0.02)  # as it starts, logits are of the size of their rounding
    torchs.load_state_dict(ours.state_dict())
    images = torch.randn(2, 2, 32, 32, generator=seeded(0))
    ours.eval()
    torchs.eval()
    # float32 sums of up to 9·512 products in another order, after 11 layers
    assert_close(ours(images), torchs.classifier(torchs.features(images).flatten(1)), rtol=1e-4, atol=1e-5)


def test_dropout_acts_in_training_mode_only():
    model = VGG(11, classes=2, channels=1, image_size=32)
    images = torch.randn(1, 1, 32, 32, generator=seeded(0))
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))
