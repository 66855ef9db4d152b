"""Quantization-aware training: what is trained is what is stored."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from lib import architectures
from lib.compression import QuantizationAware, plan_for, weight_only
from lib.core import fixed_seed, replaced, seeded

X = torch.randn(64, 24, generator=seeded(0))
IMAGES = torch.randn(3, 4, 9, 9, generator=seeded(1))
SETTINGS = [{"bits": 4, "per": 8}, {"bits": 3, "symmetric": False}, {"bits": 8, "per": "tensor"}, {"inputs": True}]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize(
    ("layer", "x"), [(nn.Linear(24, 5), X), (architectures.Conv2d(4, 6, 2, stride=2, padding=1), IMAGES)]
)
def test_in_evaluation_it_computes_what_its_packed_form_computes(settings, layer, x):
    aware = QuantizationAware(copy.deepcopy(layer), **settings)
    aware(x)
    aware.eval()
    # Scaled sums of integers against sums of scaled integers: roundings of float32.
    assert_close(aware(2 * x), aware.packed()(2 * x), atol=2e-5, rtol=1e-5)


def test_weight_and_bias_get_the_gradients_of_the_rounded_layer():
    layer = nn.Linear(24, 5)
    aware = QuantizationAware(copy.deepcopy(layer), 3)
    rounded = copy.deepcopy(layer)
    rounded.weight.data = weight_only(layer, 3).weight
    aware(X).square().sum().backward()
    rounded(X).square().sum().backward()
    # No weight is clipped by min-max, so the straight-through estimator passes them all.
    assert_close(aware.layer.weight.grad, rounded.weight.grad)
    assert_close(aware.layer.bias.grad, rounded.bias.grad)


def test_training_through_the_rounding_finds_a_smaller_loss_than_rounding_afterwards():
    with fixed_seed(0):
        model = nn.Sequential(nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 5))
        target = nn.Sequential(nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 5))(X).detach() * 3

    def loss(module):
        return (module(X) - target).square().mean()

    def fit(module, steps=300):
        optimizer = torch.optim.Adam(module.parameters(), 0.01)
        for _ in range(steps):
            optimizer.zero_grad()
            loss(module).backward()
            optimizer.step()
        return module

    fit(model)
    afterwards = replaced(model, plan_for(model, lambda layer: weight_only(layer, 2)))
    aware = fit(replaced(model, plan_for(model, lambda layer: QuantizationAware(layer, 2))))
    packed = replaced(aware, plan_for(aware, QuantizationAware.packed, kinds=QuantizationAware))
    with torch.no_grad():
        assert_close(packed(X), aware(X), atol=1e-4, rtol=1e-4)  # trained numbers near 10 through two layers
        assert loss(packed) < 0.5 * loss(afterwards)
        assert loss(model) < loss(packed)


def test_the_range_of_the_inputs_follows_training_batches_only():
    aware = QuantizationAware(nn.Linear(2, 2), inputs=True, momentum=0.25)
    aware(torch.tensor([[-1.0, 3.0]]))
    assert aware.input_ends.tolist() == [-1, 3]
    aware(torch.tensor([[-5.0, 7.0]]))
    assert aware.input_ends.tolist() == [-2, 4]
    aware.eval()
    aware(torch.tensor([[-50.0, 70.0]]))
    assert aware.input_ends.tolist() == [-2, 4]
    again = QuantizationAware(nn.Linear(2, 2), inputs=True)
    again.load_state_dict(aware.state_dict())
    assert again.input_ends.tolist() == [-2, 4]
