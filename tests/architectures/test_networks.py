"""The two networks: their parameters counted, their maps measured, their values beside torch's own layers."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from lib.architectures import LeNet5, digit_cnn
from lib.core import capture, fixed_seed, seeded, train


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_sources_network_has_93322_parameters_and_maps_of_26_13_11_5_3():
    model = digit_cnn()
    assert parameters(model) == 93_322
    assert [parameters(layer) for layer in model if parameters(layer)] == [320, 18_496, 36_928, 36_928, 650]
    with capture(model, [str(index) for index in range(12)]) as outputs:
        model(torch.rand(2, 1, 28, 28))
    sides = [outputs[name].shape[-1] for name in ("0", "2", "3", "5", "6")]
    assert sides == [26, 13, 11, 5, 3]
    assert outputs["8"].shape == (2, 576)


def test_the_sources_network_is_torchs_with_the_same_weights():
    ours = digit_cnn()
    torchs = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    torchs.load_state_dict(ours.state_dict())
    images, labels = torch.rand(8, 1, 28, 28), torch.arange(8)
    gradients = []
    for model in (ours, torchs):
        loss = F.cross_entropy(model(images), labels)
        gradients.append([loss, *torch.autograd.grad(loss, list(model.parameters()))])
    for mine, other in zip(*gradients, strict=True):
        assert_close(mine, other, rtol=1e-4, atol=1e-6)  # float32 sums of up to 8·26² terms in another order


def test_lenet_has_61706_parameters_and_is_torchs_with_the_same_weights():
    model = LeNet5()
    counts = {name: parameters(layer) for name, layer in model.named_children()}
    assert counts == {"c1": 156, "c3": 2_416, "c5": 48_120, "f6": 10_164, "output": 850}
    assert parameters(model) == 61_706
    images, w = torch.rand(3, 1, 28, 28), model.state_dict()
    s2 = F.avg_pool2d(F.conv2d(images, w["c1.weight"], w["c1.bias"], padding=2).tanh(), 2)
    s4 = F.avg_pool2d(F.conv2d(s2, w["c3.weight"], w["c3.bias"]).tanh(), 2)
    c5 = F.conv2d(s4, w["c5.weight"], w["c5.bias"]).tanh().flatten(1)
    f6 = F.linear(c5, w["f6.weight"], w["f6.bias"]).tanh()
    assert_close(model(images), F.linear(f6, w["output.weight"], w["output.bias"]))


def test_lenet_takes_another_number_of_classes():
    assert LeNet5(num_classes=3)(torch.rand(2, 1, 28, 28)).shape == (2, 3)


@pytest.mark.parametrize("build", [digit_cnn, LeNet5])
def test_a_network_can_learn_eight_images_by_heart(build):
    with fixed_seed(0):
        model = build()
    images, labels = torch.rand(8, 1, 28, 28, generator=seeded(0)), torch.arange(8)
    history = train(model, images, labels, epochs=60, batch_size=8, generator=seeded(0), progress=False)
    assert history.train_accuracy[-1] == 1.0
    assert history.train_loss[-1] < 0.2 * history.train_loss[0]
