"""DenseNets: parameters as published, every layer reads all before it, values beside torch's own operations."""

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from lib.architectures import DenseBlock, DenseNet, DenseNetConfig, densenet, small_densenet
from lib.core import capture, fixed_seed, seeded, train


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


# torchvision's counts; DenseNet-161 and -169 stand in no prose.
@pytest.mark.parametrize(
    ("depth", "count"), [(121, 7_978_856), (161, 28_681_000), (169, 14_149_480), (201, 20_013_928)]
)
def test_the_networks_for_photographs_have_as_many_parameters_as_published(depth, count):
    with torch.device("meta"):
        model = densenet(depth)
    assert parameters(model) == count
    convolutions = [name for name, _ in model.named_modules() if name.rpartition(".")[2].startswith("conv")]
    assert len(convolutions) + 1 == depth


# Huang et al. 2017, table 2: 0.8 million for k = 12 and L = 100, 15.3 for k = 24 and L = 250.
@pytest.mark.parametrize(("depth", "growth", "count"), [(100, 12, 769_162), (250, 24, 15_324_406)])
def test_the_networks_for_small_images_have_as_many_parameters_as_published(depth, growth, count):
    with torch.device("meta"):
        assert parameters(small_densenet(depth, growth=growth)) == count


def test_names_and_shapes_are_torchvisions():
    # Written down from torchvision's densenet121: a state dict goes from one into the other.
    with torch.device("meta"):
        state = {name: tuple(value.shape) for name, value in densenet(121).state_dict().items()}
    assert state["features.conv0.weight"] == (64, 3, 7, 7)
    assert state["features.denseblock1.denselayer6.conv1.weight"] == (128, 224, 1, 1)
    assert state["features.denseblock4.denselayer16.conv2.weight"] == (32, 128, 3, 3)
    assert state["features.transition3.conv.weight"] == (512, 1024, 1, 1)
    assert state["features.norm5.running_var"] == (1024,)
    assert state["classifier.weight"] == (1000, 1024)
    assert len(state) == 727


def test_a_layer_of_a_block_changes_what_comes_after_it_and_nothing_before():
    block = DenseBlock(3, 4, growth=2).eval()
    x = torch.randn(2, 4, 5, 5, generator=seeded(0))
    before = block(x)
    with torch.no_grad():
        block["denselayer2"].conv2.weight.mul_(2)
    changed = (block(x) != before).flatten(2).any(-1).any(0)
    assert changed.tolist() == [False] * 6 + [True] * 4
    assert torch.equal(before[:, :4], x)


def test_images_shrink_as_in_the_papers_table():
    with torch.device("meta"):
        model = densenet(121)
        names = ["conv0", "pool0", "denseblock1", "transition1", "denseblock2", "denseblock3", "denseblock4"]
        with capture(model, [f"features.{name}" for name in names]) as outputs:
            model(torch.empty(1, 3, 224, 224))
    assert [(y.shape[1], y.shape[-1]) for y in outputs.values()] == [
        (64, 112), (64, 56), (256, 56), (128, 28), (512, 28), (1024, 14), (1024, 7)]  # fmt: skip


def by_torch(model, images, training):
    """The same network, written once more with torch's functions, from the state dict alone."""
    w = model.state_dict()

    def bent(x, name):
        running = [w[f"{name}.running_mean"].clone(), w[f"{name}.running_var"].clone()]
        return F.batch_norm(x, *running, w[f"{name}.weight"], w[f"{name}.bias"], training).relu()

    if model.config.stem == "cifar":
        x = F.conv2d(images, w["features.conv0.weight"], padding=1)
    else:
        x = F.conv2d(images, w["features.conv0.weight"], stride=2, padding=3)
        x = F.max_pool2d(bent(x, "features.norm0"), 3, 2, 1)
    for number, layers in enumerate(model.config.layers, 1):
        read = [x]
        for layer in range(1, layers + 1):
            at = f"features.denseblock{number}.denselayer{layer}"
            narrow = F.conv2d(bent(torch.cat(read, 1), f"{at}.norm1"), w[f"{at}.conv1.weight"])
            read.append(F.conv2d(bent(narrow, f"{at}.norm2"), w[f"{at}.conv2.weight"], padding=1))
        x = torch.cat(read, 1)
        if number < len(model.config.layers):
            at = f"features.transition{number}"
            x = F.avg_pool2d(F.conv2d(bent(x, f"{at}.norm"), w[f"{at}.conv.weight"]), 2)
    x = bent(x, f"features.norm{len(model.config.layers) + 1}").mean((2, 3))
    return F.linear(x, w["classifier.weight"], w["classifier.bias"])


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
def test_values_are_those_of_torchs_functions_with_the_same_state(stem, training):
    config = DenseNetConfig(layers=(3, 2), growth=4, stem_channels=6, stem=stem, classes=5, channels=2)
    model = DenseNet(config).double().train(training)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("running_var") or ("norm" in name and name.endswith("weight")):
                value.uniform_(0.5, 1.5)
            elif name.endswith(("running_mean", "bias")):
                value.normal_()
    images = torch.randn(3, 2, 19, 18, dtype=torch.float64, generator=seeded(0))
    expected = by_torch(model, images, training)
    assert_close(model(images), expected)


def test_a_small_network_can_learn_eight_images_by_heart():
    with fixed_seed(0):
        model = small_densenet(10, growth=4, classes=8, channels=1)
    images, labels = torch.rand(8, 1, 8, 8, generator=seeded(0)), torch.arange(8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    history = train(
        model, images, labels, epochs=25, batch_size=8, optimizer=optimizer, generator=seeded(0), progress=False
    )
    assert history.train_accuracy[-1] == 1.0
    assert history.train_loss[-1] < 0.2 * history.train_loss[0]
