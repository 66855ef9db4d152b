"""The gradient and its product with the input, against finite differences, Euler's theorem and Captum."""

import captum.attr
import pytest
import torch
from explained_models import build
from torch import nn
from torch.testing import assert_close

from lib.core import fixed_seed
from lib.explanations import input_x_gradient, saliency


@pytest.mark.equation("eq-saliency")
def test_the_gradient_is_the_limit_of_difference_quotients():
    model, x, target = build("tokens")
    model, x, h = model.double(), x.double(), 1e-6
    gradient = saliency(model, x, target)
    for position in [(0, 0), (2, 5), (4, 7)]:
        shift = torch.zeros_like(x)
        shift[:, *position] = h
        up, down = (model(x + sign * shift).gather(1, target[:, None]).squeeze(1) for sign in (1, -1))
        # The quotient's own error is of the order h², its rounding 1e-16 / h.
        assert_close(gradient[:, *position], ((up - down) / (2 * h)).detach(), rtol=1e-5, atol=1e-8)


def test_the_sign_is_kept():
    model = nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, -2.0, 0.0], [-5.0, 0.5, 3.0]]))
    x = torch.tensor([[9.0, 9.0, 9.0]])
    assert saliency(model, x, 0).tolist() == [[1, -2, 0]]
    assert saliency(model, x, 1).tolist() == [[-5, 0.5, 3]]
    assert input_x_gradient(model, x, 1).tolist() == [[-45, 4.5, 27]]


@pytest.mark.equation("eq-input-x-gradient")
def test_without_biases_a_relu_network_is_the_sum_of_input_times_gradient():
    # Such a network is homogeneous, f(cx) = c f(x) for c > 0, and Euler's theorem gives x · ∇f = f.
    with fixed_seed(1):
        model = nn.Sequential(nn.Linear(6, 20, bias=False), nn.ReLU(), nn.Linear(20, 3, bias=False)).double()
        x = torch.randn(5, 6).double()
    target = torch.tensor([0, 1, 2, 1, 0])
    score = model(x).gather(1, target[:, None]).squeeze(1)
    assert_close(input_x_gradient(model, x, target).sum(1), score.detach())


@pytest.mark.parametrize("kind", ["images", "rows", "tokens"])
def test_captum_agrees(kind):
    model, x, target = build(kind)
    ours, product = saliency(model, x, target), input_x_gradient(model, x, target)
    x = x.requires_grad_()
    # A copy for Captum: its own leaf would be changed by a first layer that works in place.
    assert_close(ours, captum.attr.Saliency(lambda z: model(z.clone())).attribute(x, target, abs=False))
    theirs = captum.attr.InputXGradient(lambda z: model(z.clone())).attribute(x, target)
    assert_close(product, theirs.detach())


def test_a_saturated_score_has_no_gradient():
    # Sundararajan et al. 2017, section 2.1; integrated gradients answer 1 here.
    def model(x):
        return 1 - torch.relu(1 - x)

    x = torch.tensor([[2.0]])
    assert saliency(model, x, 0).item() == 0
    assert input_x_gradient(model, x, 0).item() == 0
