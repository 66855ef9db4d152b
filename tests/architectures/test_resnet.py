"""Residual blocks and ResNets: parameters as published, values beside torch's own operations, shortcuts that carry."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from lib.architectures import (
    BasicBlock,
    Bottleneck,
    Residual,
    ResNet,
    ResNetConfig,
    Subsampled,
    resnet,
    small_resnet,
)
from lib.core import capture, fixed_seed, seeded, train


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


# torchvision's counts; ResNet-34 and -101 stand in no prose.
@pytest.mark.parametrize(
    ("depth", "count"), [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032), (101, 44_549_160), (152, 60_192_808)]
)
def test_the_networks_for_photographs_have_as_many_parameters_as_published(depth, count):
    with torch.device("meta"):
        model = resnet(depth)
    assert parameters(model) == count
    convolutions = [module for name, module in model.named_modules() if "conv" in name]
    assert len(convolutions) + 1 == depth  # projections are not counted, the dense layer is


# He et al. 2016a, table 6: 0.27, 0.46, 0.66, 0.85 and 1.7 million.
@pytest.mark.parametrize(
    ("depth", "count"), [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)]
)
def test_the_networks_for_small_images_have_as_many_parameters_as_published(depth, count):
    with torch.device("meta"):
        assert parameters(small_resnet(depth)) == parameters(small_resnet(depth, shortcut="none")) == count
        assert parameters(small_resnet(depth, shortcut="projection")) == count + 16 * 32 + 32 * 64 + 2 * (32 + 64)


def test_names_and_shapes_are_torchvisions():
    # Written down from torchvision's resnet50: a state dict goes from one into the other.
    with torch.device("meta"):
        state = {name: tuple(value.shape) for name, value in resnet(50).state_dict().items()}
    assert state["conv1.weight"] == (64, 3, 7, 7)
    assert state["layer1.0.downsample.0.weight"] == (256, 64, 1, 1)
    assert state["layer2.0.conv2.weight"] == (128, 128, 3, 3)
    assert state["layer4.2.bn3.running_var"] == (2048,)
    assert state["layer4.2.bn3.num_batches_tracked"] == ()
    assert state["fc.weight"] == (1000, 2048)
    assert len(state) == 320
    assert list(state)[:6] == ["conv1.weight", *(f"bn1.{n}" for n in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"))]  # fmt: skip


def test_images_shrink_as_in_the_papers_tables():
    with torch.device("meta"):
        model = resnet(50)
        with capture(model, ["conv1", "maxpool", "layer1", "layer2", "layer3", "layer4"]) as outputs:
            model(torch.empty(1, 3, 224, 224))
    assert [(y.shape[1], y.shape[-1]) for y in outputs.values()] == [
        (64, 112), (64, 56), (256, 56), (512, 28), (1024, 14), (2048, 7)]  # fmt: skip
    small = small_resnet(8)
    with capture(small, ["conv1", "layer1", "layer2", "layer3"]) as outputs:
        small(torch.zeros(2, 3, 32, 32))
    assert [(y.shape[1], y.shape[-1]) for y in outputs.values()] == [(16, 32), (16, 32), (32, 16), (64, 8)]


def norm(x, w, name, training):
    running = [w[f"{name}.running_mean"].clone(), w[f"{name}.running_var"].clone()]
    return F.batch_norm(x, *running, w[f"{name}.weight"], w[f"{name}.bias"], training)


def by_torch(model, images, training):
    """The same network, written once more with torch's functions, from the state dict alone."""
    w, config = model.state_dict(), model.config
    cifar = config.stem == "cifar"
    x = F.conv2d(images, w["conv1.weight"], stride=1 if cifar else 2, padding=1 if cifar else 3)
    x = norm(x, w, "bn1", training).relu()
    x = x if cifar else F.max_pool2d(x, 3, 2, 1)
    for stage, blocks in enumerate(config.blocks, 1):
        for index in range(blocks):
            at, stride = f"layer{stage}.{index}", 2 if stage > 1 and index == 0 else 1
            y = x
            for i in (1, 2, 3) if config.block == "bottleneck" else (1, 2):
                weight = w[f"{at}.conv{i}.weight"]
                strided = i == (2 if config.block == "bottleneck" else 1)
                y = F.conv2d(y, weight, stride=stride if strided else 1, padding=weight.shape[-1] // 2)
                y = norm(y, w, f"{at}.bn{i}", training)
                y = y.relu() if f"{at}.conv{i + 1}.weight" in w else y
            if f"{at}.downsample.0.weight" in w:
                x = norm(F.conv2d(x, w[f"{at}.downsample.0.weight"], stride=stride), w, f"{at}.downsample.1", training)
            elif x.shape != y.shape:
                x = torch.cat(
                    [x[:, :, ::stride, ::stride], y.new_zeros(len(y), y.shape[1] - x.shape[1], *y.shape[2:])], 1
                )
            x = (y if config.shortcut == "none" else x + y).relu()
    return F.linear(x.mean((2, 3)), w["fc.weight"], w["fc.bias"])


NETWORKS = {
    "basic, projection": ResNetConfig((2, 1), (4, 6), classes=5),
    "bottleneck, projection": ResNetConfig((2, 1), (4, 6), block="bottleneck", classes=5, channels=2),
    "basic, zeros": ResNetConfig((1, 2), (4, 6), stem="cifar", shortcut="zeros", classes=5),
    "bottleneck, zeros": ResNetConfig((1, 1), (4, 6), block="bottleneck", stem="cifar", shortcut="zeros", classes=5),
    "plain": ResNetConfig((2, 1), (4, 6), stem="cifar", shortcut="none", classes=5),
}


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", NETWORKS)
def test_values_are_those_of_torchs_functions_with_the_same_state(name, training):
    model = ResNet(NETWORKS[name]).double().train(training)
    with torch.no_grad():  # norms that do something
        for key, value in model.state_dict().items():
            if key.endswith(("running_var", "bn1.weight", "bn2.weight")):
                value.uniform_(0.5, 1.5)
            elif key.endswith(("running_mean", "bn1.bias")):
                value.normal_()
    images = torch.randn(3, model.config.channels, 17, 16, dtype=torch.float64, generator=seeded(0))
    expected = by_torch(model, images, training)  # first: a call in training mode moves the running statistics
    assert_close(model(images), expected)


@pytest.mark.equation("eq-residual")
def test_a_residual_adds_and_its_gradient_has_the_shortcuts_as_a_term():
    branch = nn.Linear(3, 3).double()
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    y = Residual(branch)(x)
    assert_close(y, x + branch(x))
    grad = torch.randn(2, 3, dtype=torch.float64)
    assert_close(*torch.autograd.grad(y, x, grad), grad + grad @ branch.weight)
    with_shortcut = Residual(branch, nn.Tanh())
    assert_close(with_shortcut(x), x.tanh() + branch(x))


@pytest.mark.parametrize("block", [BasicBlock(4, 4), Bottleneck(16, 4)], ids=["basic", "bottleneck"])
def test_a_block_whose_last_norm_is_zero_is_the_relu_of_its_input(block):
    last = block.bn3 if isinstance(block, Bottleneck) else block.bn2
    nn.init.zeros_(last.weight)
    x = torch.randn(2, len(last.weight), 5, 5)
    assert torch.equal(block(x), x.relu())


def test_zeros_are_added_behind_and_pixels_are_skipped():
    x = torch.arange(18.0).reshape(1, 2, 3, 3)
    y = Subsampled(5, stride=2)(x)
    assert y.shape == (1, 5, 2, 2)
    assert y[0, :2].tolist() == [[[0, 2], [6, 8]], [[9, 11], [15, 17]]]
    assert not y[0, 2:].any()


def test_one_seed_gives_one_network_and_leaves_the_callers_numbers():
    with fixed_seed(3):
        first = small_resnet(8)
    with fixed_seed(3):
        second = small_resnet(8)
    for mine, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(mine, other)
    # He et al. 2015, eq. 14: variance 2 / fan_out, over 64·9 numbers at the widest layers.
    variance = first.layer3[0].conv2.weight.var().item()
    assert abs(variance / (2 / (64 * 9)) - 1) < 0.05  # 36,864 draws: ±0.7 %


@pytest.mark.parametrize("shortcut", ["zeros", "projection", "none"])
def test_a_small_network_can_learn_eight_images_by_heart(shortcut):
    with fixed_seed(0):
        model = small_resnet(8, width=4, classes=8, channels=1, shortcut=shortcut)
    images, labels = torch.rand(8, 1, 8, 8, generator=seeded(0)), torch.arange(8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    history = train(
        model, images, labels, epochs=25, batch_size=8, optimizer=optimizer, generator=seeded(0), progress=False
    )
    assert history.train_accuracy[-1] == 1.0
    assert history.train_loss[-1] < 0.2 * history.train_loss[0]
