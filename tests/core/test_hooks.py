"""What hooks saw, and that none is left."""

import pytest
import torch
from torch import nn

from lib.core import capture


def model():
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def hooks_left(network):
    return sum(len(module._forward_hooks) for module in network.modules())


def test_captured_activations_are_the_layers_outputs():
    network, x = model(), torch.randn(5, 3)
    with capture(network, ["0", "1"]) as seen:
        network(x)
    assert torch.equal(seen["0"], network[0](x))
    assert torch.equal(seen["1"], network[0](x).relu())
    assert hooks_left(network) == 0


def test_gradients_flow_through_what_was_captured():
    network, x = model(), torch.randn(5, 3)
    with capture(network, ["1"]) as seen:
        output = network(x).sum()
    (gradient,) = torch.autograd.grad(output, seen["1"])
    assert torch.allclose(gradient, network[2].weight.sum(0).expand(5, 4))


def test_no_hook_is_left_when_the_model_raises():
    network = model()
    with pytest.raises(RuntimeError), capture(network, ["0"]):
        network(torch.randn(5, 9))
    assert hooks_left(network) == 0


@pytest.mark.parametrize("layers", [["0", "nine"], []])
def test_a_layer_that_is_not_in_the_model_is_named(layers):
    with (
        pytest.raises(ValueError, match=r"layers must name modules of the model, got \[.*\]; it has \['0', '1', '2'\]"),
        capture(model(), layers),
    ):
        pass
