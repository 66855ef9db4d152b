"""Inputs made for units whose optimum is known."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from lib.core import fixed_seed, seeded
from lib.explanations import feature_visualization, unit_activations


def linear(size: int = 48, dtype=torch.float32) -> nn.Sequential:
    with fixed_seed(0):
        return nn.Sequential(nn.Flatten(), nn.Linear(size, 3)).to(dtype)


@pytest.mark.equation("eq-feature-visualization")
@pytest.mark.parametrize(("parametrization", "shape"), [("pixel", (3, 4, 4)), ("pixel", (48,)), ("fourier", (3, 4, 4)), ("fourier", (1, 6, 8)), ("fourier", (48, 1))])  # fmt: skip
def test_of_a_linear_unit_the_optimum_is_its_weight_vector(parametrization, shape):
    model = linear()
    found = feature_visualization(
        model, shape, layer="1", unit=1, norm=2.5, steps=400, parametrization=parametrization, generator=seeded(1)
    )
    weight, bias = model[1].weight[1].detach(), model[1].bias[1].item()
    assert_close(
        found.image.flatten(), 2.5 * F.normalize(weight, dim=0), atol=0.02, rtol=0
    )  # where the falling rate stops
    assert found.activation == pytest.approx(2.5 * weight.norm().item() + bias, abs=1e-3)
    assert found.image.shape == shape


def test_a_direction_has_the_sum_of_its_weights():
    model, direction = linear(), torch.tensor([1.0, -1.0, 0.5])
    found = feature_visualization(model, (48,), layer="1", unit=direction, norm=1.0, steps=400, generator=seeded(1))
    assert F.cosine_similarity(found.image, direction @ model[1].weight.detach(), dim=0) > 0.999


def test_of_a_filter_it_is_the_filter():
    with fixed_seed(0):
        model = nn.Sequential(nn.Conv2d(2, 4, 3))
    found = feature_visualization(model, (2, 3, 3), layer="0", unit=3, norm=1.0, steps=400, generator=seeded(0))
    assert F.cosine_similarity(found.image.flatten(), model[0].weight[3].detach().flatten(), dim=0) > 0.999
    # In a larger image the filter stands at one place, and there is nothing elsewhere.
    found = feature_visualization(model, (2, 7, 7), layer="0", unit=3, norm=1.0, steps=600, generator=seeded(0))
    assert found.activation == pytest.approx(model[0].weight[3].norm().item() + model[0].bias[3].item(), abs=0.01)


def network():
    with fixed_seed(3):
        return nn.Sequential(nn.Conv2d(1, 6, 3), nn.Tanh(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(216, 4)).train()


@pytest.mark.parametrize("parametrization", ["pixel", "fourier"])
def test_it_climbs_above_noise_of_the_same_length_and_keeps_the_length(parametrization):
    model = network()
    noise = torch.randn(500, 1, 8, 8, generator=seeded(1))
    noise = 3 * noise / noise.flatten(1).norm(dim=1)[:, None, None, None]
    found = feature_visualization(
        model, (1, 8, 8), layer="4", unit=2, norm=3.0, parametrization=parametrization, generator=seeded(0)
    )
    assert found.activation > 1.2 * unit_activations(model, noise, layer="4", unit=2).max()
    assert found.image.norm().item() == pytest.approx(3, abs=1e-4)
    assert found.path[0] < found.path[-1]
    assert found.path[-1].item() == pytest.approx(found.activation, abs=0.01)


def test_waves_make_smoother_images_than_pixels():
    def roughness(image):
        return (image.diff(dim=-1).square().sum() + image.diff(dim=-2).square().sum()) / image.square().sum()

    found = {
        kind: feature_visualization(
            network(), (1, 8, 8), layer="4", unit=2, norm=3.0, steps=30, parametrization=kind, generator=seeded(0)
        )
        for kind in ("pixel", "fourier")
    }
    assert roughness(found["fourier"].image) < 0.7 * roughness(found["pixel"].image)


def test_jitter_moves_what_the_unit_sees_by_so_many_entries_and_no_more():
    seen = []

    class Spy(nn.Module):
        def forward(self, x):
            seen.append(x.detach().clone())
            return x.flatten(1)

    model = nn.Sequential(Spy())
    feature_visualization(
        model, (1, 9, 9), layer="0", unit=40, norm=1.0, steps=80, rate=1e-9, jitter=2, generator=seeded(0)
    )
    first = seen[-1]  # without jitter
    shifts = set()
    for image in seen[:-1]:
        shifts |= {
            (i, j)
            for i in range(-4, 5)
            for j in range(-4, 5)
            if torch.allclose(first.roll((i, j), (-2, -1)), image, atol=1e-5)
        }
    assert {shift for pair in shifts for shift in pair} == {-2, -1, 0, 1, 2}


def test_the_same_generator_makes_the_same_and_the_model_is_as_it_was():
    model = network()
    model[0].eval()
    before = torch.get_rng_state()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    with torch.no_grad():
        first, second = (
            feature_visualization(model, (1, 8, 8), layer="4", unit=0, norm=1.0, jitter=1, generator=seeded(5))
            for _ in range(2)
        )
        assert not torch.is_grad_enabled()
    assert torch.equal(first.image, second.image)
    assert not first.image.requires_grad
    assert torch.equal(torch.get_rng_state(), before)
    assert all((parameter.grad == 1).all() for parameter in model.parameters())
    assert model.training
    assert not model[0].training
    assert not any(module._forward_hooks for module in model.modules())


def test_a_unit_that_reaches_its_ceiling_on_the_way_has_been_climbed():
    with fixed_seed(0):
        model = nn.Sequential(nn.Linear(8, 1), nn.Hardtanh(-3.0, 1.0))
    found = feature_visualization(model, (8,), layer="1", unit=0, norm=3.0, generator=seeded(0))
    assert found.path[0] < found.path[-1] == found.activation == 1


def test_double_precision_stays_double():
    found = feature_visualization(
        linear(dtype=torch.float64), (48,), layer="1", unit=0, norm=1.0, steps=5, generator=seeded(0)
    )
    assert found.image.dtype == torch.float64
