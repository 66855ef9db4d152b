"""Folding: the layer and its norm in evaluation mode are one layer, and the model stays as it was."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from lib.architectures import (
    BatchNorm,
    Conv1d,
    Conv2d,
    Linear,
    ReLU,
    fold_batch_norms,
    folded,
    small_densenet,
    small_resnet,
)
from lib.core import seeded


def settle(model):
    """Give the norms running statistics and a stretch that do something, and switch to evaluation mode."""
    for module in model.eval().modules():
        if isinstance(module, BatchNorm):
            module.running_mean.normal_(generator=seeded(1))
            module.running_var.uniform_(0.25, 4, generator=seeded(2))
            if module.weight is not None:
                nn.init.normal_(module.weight, generator=seeded(3))
                nn.init.normal_(module.bias, generator=seeded(4))
    return model


@pytest.mark.equation("eq-fold-batch-norm")
def test_known_numbers():
    layer, norm = Linear(1, 1), BatchNorm(1, eps=0.25).eval()
    norm.running_var.fill_(3.75)  # the root of 3.75 + 0.25 is 2
    norm.running_mean.fill_(1.0)
    with torch.no_grad():
        for parameter, value in [(layer.weight, 6.0), (layer.bias, 5.0), (norm.weight, 3.0), (norm.bias, 7.0)]:
            parameter.fill_(value)
    new = folded(layer, norm)
    assert new.weight.item() == 9.0  # 6 · 3/2
    assert new.bias.item() == 13.0  # (5 − 1) · 3/2 + 7


LAYERS = {
    "Conv2d": (lambda bias: Conv2d(4, 6, 3, stride=2, padding=1, groups=2, bias=bias), (2, 4, 7, 6)),
    "Conv2d, circular": (lambda bias: Conv2d(4, 6, 3, padding=1, padding_mode="circular", bias=bias), (2, 4, 7, 6)),
    "Conv1d": (lambda bias: Conv1d(4, 6, 3, dilation=2, bias=bias), (2, 4, 9)),
    "Linear": (lambda bias: Linear(4, 6, bias=bias), (2, 4)),
}


@pytest.mark.parametrize("affine", [True, False], ids=["affine", "not affine"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("name", LAYERS)
def test_one_layer_gives_what_two_gave(name, bias, affine):
    build, shape = LAYERS[name]
    two = settle(nn.Sequential(build(bias), BatchNorm(6, affine=affine))).double()
    before = copy.deepcopy(two.state_dict())
    x = torch.randn(shape, dtype=torch.float64, generator=seeded(0))
    new = folded(two[0], two[1])
    assert_close(new(x), two(x))
    assert type(new) is type(two[0])
    assert all(torch.equal(value, before[key]) for key, value in two.state_dict().items())
    new(x).sum().backward()
    assert new.bias.grad is not None
    assert two[0].weight.grad is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_rounded_once(dtype):
    two = settle(nn.Sequential(Conv2d(4, 6, 3), BatchNorm(6))).to(dtype)
    wide = copy.deepcopy(two).float()
    new, exact = folded(two[0], two[1]), folded(wide[0], wide[1])
    assert torch.equal(new.weight, exact.weight.to(dtype))
    assert torch.equal(new.bias, exact.bias.to(dtype))


def test_a_resnet_without_its_norms_gives_the_same_logits():
    model = settle(small_resnet(14, width=4, shortcut="projection")).double()
    names = [name for name, module in model.named_modules() if isinstance(module, BatchNorm)]
    # torchvision's names: bn1 follows conv1, and downsample.1 follows downsample.0.
    pairs = {name.replace("bn", "conv") if "bn" in name else f"{name[:-1]}0": name for name in names}
    assert len(pairs) == 13 + 2
    new = fold_batch_norms(model, pairs)
    assert not any(isinstance(module, BatchNorm) for module in new.modules())
    assert sum(isinstance(module, BatchNorm) for module in model.modules()) == len(pairs)
    images = torch.randn(2, 3, 9, 8, dtype=torch.float64, generator=seeded(0))
    assert_close(new(images), model(images))


def test_of_a_densenets_norms_those_behind_a_convolution_can_be_folded():
    model = settle(small_densenet(10, growth=3)).double()
    pairs = {name: name.replace("conv1", "norm2") for name, module in model.named_modules() if name.endswith("conv1")}
    images = torch.randn(2, 3, 9, 8, dtype=torch.float64, generator=seeded(0))
    assert_close(fold_batch_norms(model, pairs)(images), model(images))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: folded(m[0], BatchNorm(6)), ValueError, "norm must be in evaluation mode"),
        (lambda m: folded(m[0], BatchNorm(5).eval()), ValueError, "norm must have the 6 channels of the layer, got 5"),
        (lambda m: folded(nn.Conv2d(4, 6, 3), m[1]), TypeError, "layer must be a Conv2d or a Conv1d or a Linear, got Conv2d"),
        (lambda m: folded(m[0], nn.BatchNorm2d(6).eval()), TypeError, "norm must be a BatchNorm, got BatchNorm2d"),
        (lambda m: fold_batch_norms(m, {}), ValueError, "pairs must name modules of the model, got no name"),
        (lambda m: fold_batch_norms(m, {"0": "3"}), ValueError, "pairs must name modules of the model, got ['3']; it has ['0', '1', '2']"),
        (lambda m: fold_batch_norms(m, {"0": "0"}), ValueError, "each layer and each norm must stand in one pair"),
        (lambda m: fold_batch_norms(m, {"0": "1", "2": "1"}), ValueError, "each layer and each norm must stand in one pair"),
        (lambda m: fold_batch_norms(m, {"0": "2"}), TypeError, "norm must be a BatchNorm, got ReLU"),
        (lambda m: fold_batch_norms(m, {"2": "1"}), TypeError, "layer must be a Conv2d or a Conv1d or a Linear, got ReLU"),
        (lambda m: fold_batch_norms(m.train(), {"0": "1"}), ValueError, "norm must be in evaluation mode"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_and_changes_nothing(call, error, message):
    model = settle(nn.Sequential(Conv2d(4, 6, 3), BatchNorm(6), ReLU()))
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(error) as raised:
        call(model)
    assert message in str(raised.value)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
