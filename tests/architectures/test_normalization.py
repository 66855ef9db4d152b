"""Layer normalization is its formula, is torch's, and does not see what it should not."""

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck
from torch.nn import functional as F
from torch.testing import assert_close

from lib.architectures import LayerNorm, layer_norm
from lib.core import seeded


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=seeded(seed))


def test_a_row_with_known_mean_and_variance():
    # Mean 3, biased variance ((−2)² + 0 + 2²)/3 = 8/3; the unbiased one would be 4.
    x = torch.tensor([[1.0, 3.0, 5.0]], dtype=torch.float64)
    eps = 1 / 3  # so that the root is √(8/3 + 1/3) = √3; an eps outside the root would give √(8/3) + 1/3
    expected = torch.tensor([[-2.0, 0.0, 2.0]], dtype=torch.float64) / 3**0.5
    assert_close(layer_norm(x, eps=eps), expected)
    weight, bias = torch.tensor([1.0, 10.0, -1.0]).double(), torch.tensor([0.0, 7.0, 1.0]).double()
    assert_close(layer_norm(x, weight, bias, eps=eps), expected * weight + bias)


def test_a_constant_row_becomes_the_bias():
    bias = torch.tensor([1.0, -2.0])
    assert layer_norm(torch.full((3, 2), 7.0), torch.tensor([5.0, 5.0]), bias).tolist() == [[1.0, -2.0]] * 3


@pytest.mark.parametrize("leading", [(), (4,), (2, 3)], ids=str)
@pytest.mark.parametrize("given", ["nothing", "weight", "bias", "weight and bias"])
def test_values_and_gradients_are_torchs(leading, given):
    tensors = {"x": random(*leading, 5)}
    if "weight" in given:
        tensors["weight"] = random(5, seed=1)
    if "bias" in given:
        tensors["bias"] = random(5, seed=2)
    for tensor in tensors.values():
        tensor.requires_grad_()
    x, weight, bias = (tensors.get(name) for name in ("x", "weight", "bias"))
    outputs = [layer_norm(x, weight, bias, eps=0.25), F.layer_norm(x, (5,), weight, bias, eps=0.25)]
    assert_close(*outputs)
    for pair in zip(*(torch.autograd.grad(y.sin().sum(), list(tensors.values())) for y in outputs), strict=True):
        assert_close(*pair)


def test_gradients_pass_a_numerical_check():
    tensors = [random(3, 4).requires_grad_(), random(4, seed=1).requires_grad_(), random(4, seed=2).requires_grad_()]
    assert gradcheck(lambda x, w, b: layer_norm(x, w, b, eps=0.1), tensors)


def test_scaling_and_shifting_a_row_changes_nothing_but_what_eps_adds():
    x = random(4, 6)
    y = layer_norm(x, eps=1e-12)
    assert_close(layer_norm(3 * x + 100, eps=1e-12), y)
    assert_close(layer_norm(-x, eps=1e-12), -y)


def test_each_position_is_normalized_by_itself():
    x = random(2, 3, 6)
    other = x.clone()
    other[1, 2] *= 50
    changed = (layer_norm(x) != layer_norm(other)).any(-1)
    assert changed.tolist() == [[False] * 3, [False, False, True]]


def test_large_numbers_with_a_small_spread_keep_their_digits():
    # E[x²] − E[x]² would lose all of them in float32, where neighbours of 4096 are 2⁻¹¹ apart.
    x = 4096 + torch.tensor([[-1.0, 0.0, 1.0, 0.0]])
    assert_close(layer_norm(x), F.layer_norm(x.double(), (4,)).float())


@pytest.mark.parametrize("affine", [True, False])
def test_a_layer_is_torchs_with_another_eps(affine):
    ours, torchs = LayerNorm(6, 0.5, affine=affine), nn.LayerNorm(6, 0.5, elementwise_affine=affine)
    for mine, other in zip(ours.parameters(), torchs.parameters(), strict=True):
        assert torch.equal(mine, other)  # ones and zeros
        with torch.no_grad():
            mine.copy_(torch.rand(6))
            other.copy_(mine)
    x = random(2, 3, 6).float()
    assert_close(ours(x), torchs(x))


def test_the_layer_prints_what_it_is():
    assert repr(LayerNorm(6, affine=False)) == "LayerNorm(6, eps=1e-05, affine=False)"
