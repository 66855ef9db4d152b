"""Activations are their formulas, keep their digits far from 0, and have the right slopes."""

import math

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional as F
from torch.testing import assert_close

from lib.architectures import ReLU, gelu, relu, sigmoid, tanh

FAMILY = pytest.mark.parametrize(
    ("ours", "torchs"), [(relu, F.relu), (sigmoid, torch.sigmoid), (tanh, torch.tanh), (gelu, F.gelu)]
)
GRID = torch.linspace(-6, 6, 121, dtype=torch.float64)  # 0 is on it


@pytest.mark.equation("eq-relu")
def test_relu_keeps_the_positive_part():
    assert relu(torch.tensor([-2.0, -0.0, 0.0, 3.0])).tolist() == [0.0, 0.0, 0.0, 3.0]
    assert_close(relu(GRID), (GRID + GRID.abs()) / 2)


@pytest.mark.equation("eq-sigmoid")
def test_sigmoid_is_the_logistic_function():
    assert sigmoid(torch.tensor([0.0, math.log(3)], dtype=torch.float64)).tolist() == pytest.approx([0.5, 0.75])
    assert_close(sigmoid(GRID), 1 / (1 + torch.exp(-GRID)))
    assert_close(sigmoid(-GRID), 1 - sigmoid(GRID))


@pytest.mark.equation("eq-tanh")
def test_tanh_is_a_stretched_sigmoid():
    assert tanh(torch.tensor([0.0, math.log(2)], dtype=torch.float64)).tolist() == pytest.approx([0.0, 0.6])
    assert_close(tanh(GRID), 2 * sigmoid(2 * GRID) - 1)
    assert torch.equal(tanh(torch.tensor([1e-12])), torch.tensor([1e-12]))  # 2σ(2x) − 1 would give 0


@pytest.mark.equation("eq-gelu")
def test_gelu_weighs_by_the_normal_distribution():
    normal = torch.distributions.Normal(0.0, 1.0)
    assert_close(gelu(GRID), GRID * normal.cdf(GRID))
    # Far left, 1 + erf rounds to 0 in float64; the true value is −10 · 7.6199e-24 (tables of Φ(−10)).
    assert gelu(torch.tensor(-10.0, dtype=torch.float64)).item() == pytest.approx(-7.6199e-23, rel=1e-4, abs=0.0)


@FAMILY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_slopes_are_torchs(ours, torchs, dtype):
    x = GRID.to(dtype).requires_grad_()
    assert ours(x).dtype == dtype
    # Default tolerances: a few roundings apart, since the formulas are arranged otherwise.
    assert_close(ours(x), torchs(x))
    assert_close(*(torch.autograd.grad(f(x).sum(), x)[0] for f in (ours, torchs)))


@FAMILY
def test_slopes_and_curvatures_pass_a_numerical_check(ours, torchs):
    x = torch.tensor([-2.0, -0.3, 0.4, 1.7], dtype=torch.float64, requires_grad=True)  # away from ReLU's corner
    assert gradcheck(ours, x)
    assert gradgradcheck(ours, x)


@pytest.mark.parametrize("smooth", [sigmoid, tanh, gelu])
def test_smooth_activations_pass_a_numerical_check_at_zero(smooth):
    assert gradcheck(smooth, torch.zeros(1, dtype=torch.float64, requires_grad=True))


def test_the_slopes_are_those_of_the_formulas():
    x = GRID.clone().requires_grad_()
    slopes = [torch.autograd.grad(f(x).sum(), x)[0] for f in (relu, sigmoid, tanh)]
    expected = [(GRID > 0).double(), sigmoid(GRID) * (1 - sigmoid(GRID)), 1 - tanh(GRID) ** 2]
    for slope, formula in zip(slopes, expected, strict=True):
        assert_close(slope, formula)
    assert slopes[0][60] == 0  # ReLU at exactly 0


@FAMILY
def test_extreme_numbers_give_no_nan_and_nan_stays(ours, torchs):
    x = torch.tensor([-1e30, -200.0, 200.0, 1e30], requires_grad=True)
    y = ours(x)
    assert_close(y, torchs(x))
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert_close(slope, torch.autograd.grad(torchs(x).sum(), x)[0])
    assert slope.isfinite().all()
    assert ours(torch.tensor([torch.nan])).isnan().all()


@pytest.mark.parametrize("ours", [relu, sigmoid, tanh])
def test_infinities_are_squashed(ours):
    low, high = ours(torch.tensor([-torch.inf, torch.inf])).tolist()
    assert (low, high) == {relu: (0.0, math.inf), sigmoid: (0.0, 1.0), tanh: (-1.0, 1.0)}[ours]


def test_the_layer_is_the_function():
    assert torch.equal(ReLU()(GRID), relu(GRID))
