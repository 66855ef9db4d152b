"""Known integrals, completeness, and the quadrature that computes them."""

import captum.attr
import pytest
import torch
from explained_models import build, sample
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from lib.core import fixed_seed
from lib.explanations import completeness_gap, input_x_gradient, integrated_gradients, occlusion


def test_a_saturated_score_is_attributed_in_full():
    # f(x) = 1 − ReLU(1 − x) rises from 0 to 1 and stays there; at 2 its gradient is 0 (Sundararajan et al. 2017).
    def model(x):
        return 1 - torch.relu(1 - x)

    x = torch.tensor([[2.0]])
    # The kink lies in the middle of the path, where an even number of nodes is symmetric: exact.
    assert integrated_gradients(model, x, 0, steps=50).item() == pytest.approx(1, abs=1e-6)
    # In the middle between two kinks it is not: half a node's weight is the most that can be missed.
    off_centre = integrated_gradients(model, torch.tensor([[3.0]]), 0, steps=50).item()
    assert off_centre == pytest.approx(1, abs=3 * 0.5 * torch.pi / 100)


@pytest.mark.equation("eq-integrated-gradients")
def test_a_product_is_shared_as_the_integral_says():
    # f = x₁² x₂: ∂₁f = 2x₁x₂ → ∫ 2α² dα x₁²x₂ = 2/3 of f, and ∂₂f = x₁² → 1/3 of f.
    x = torch.tensor([[3.0, -2.0], [0.5, 4.0]])
    attributions = integrated_gradients(lambda x: (x[:, :1] ** 2) * x[:, 1:], x, 0, steps=2)
    f = x[:, 0] ** 2 * x[:, 1]
    assert_close(attributions, torch.stack([2 * f / 3, f / 3], dim=1))
    # From x′ = (1, 1): ∫ ∂₁f = 2(1 + αa)(1 + αb), a and b the differences.
    a, b = (x - 1).unbind(1)
    expected = torch.stack([a * (2 + a + b + 2 * a * b / 3), b * (1 + a + a**2 / 3)], dim=1)
    attributions = integrated_gradients(lambda x: (x[:, :1] ** 2) * x[:, 1:], x, 0, baseline=1.0, steps=2)
    assert_close(attributions, expected)


def powers(degree):
    return lambda x: (x**degree).sum(1, keepdim=True)


@given(
    steps=st.integers(1, 8),
    degree=st.integers(1, 16),
    power=st.integers(1, 4),
    baseline=st.floats(-1, 1),
    end=st.floats(-1.5, 1.5),
)
def test_n_nodes_integrate_polynomials_up_to_degree_2n_minus_1(steps, degree, power, baseline, end):
    x = torch.tensor([[end, -0.7]], dtype=torch.float64)
    power = min(power, 2 * steps)
    attributions = integrated_gradients(powers(degree), x, 0, baseline=baseline, steps=steps, power=power)
    if power * (degree - 1) + power - 1 <= 2 * steps - 1:  # the degree in u, with α = uᵖ and dα = p uᵖ⁻¹ du
        assert_close(attributions, x**degree - baseline**degree, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(("power", "degree"), [(1, 7), (3, 3)])
def test_and_not_beyond(power, degree):
    x = torch.ones(1, 1, dtype=torch.float64)
    assert integrated_gradients(powers(degree), x, 0, steps=3, power=power).item() != pytest.approx(1, abs=1e-6)
    assert integrated_gradients(powers(degree - 1), x, 0, steps=3, power=power).item() == pytest.approx(1, abs=1e-12)


def test_captum_with_the_same_nodes_agrees():
    model, x, target = build("rows")
    model, x = model.double(), x.double()
    baseline = torch.linspace(-1, 1, 6).double()
    theirs, delta = captum.attr.IntegratedGradients(model).attribute(
        x,
        baseline.expand_as(x),
        target,
        n_steps=7,
        method="gausslegendre",
        return_convergence_delta=True,
    )
    ours = integrated_gradients(model, x, target, baseline=baseline, steps=7)
    assert_close(ours, theirs.detach())
    gap = completeness_gap(model, x, target, ours, baseline=baseline)
    # Captum's delta has the same sign: what the attributions add up to, less what they should.
    assert_close(gap, delta)
    assert gap.abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["images", "tokens"])
def test_captum_agrees_on_images_and_tokens(kind):
    model, x, target = build(kind)
    model, x = model.double(), x.double()
    theirs = captum.attr.IntegratedGradients(lambda z: model(z.clone())).attribute(x, 0.2, target, n_steps=9)
    assert_close(integrated_gradients(model, x, target, baseline=0.2, steps=9), theirs.detach())


def test_the_gap_is_the_sum_less_what_the_score_gained():
    model, x, target = build("tokens")
    model, x = model.double(), x.double()
    attributions = integrated_gradients(model, x, target, baseline=0.5, steps=3)
    gap = completeness_gap(model, x, target, attributions, baseline=0.5, chunk_size=3)
    gained = (model(x) - model(torch.full_like(x, 0.5))).gather(1, target[:, None]).squeeze(1).detach()
    assert_close(gap, attributions.sum((1, 2)) - gained)
    finer = []
    for steps in (3, 30, 300):
        attributions = integrated_gradients(model, x, target, baseline=0.5, steps=steps)
        finer.append(completeness_gap(model, x, target, attributions, baseline=0.5).abs().max())
    assert finer[0] > 3 * finer[1] > 9 * finer[2]


def test_nodes_near_the_baseline_pay_where_a_layer_norm_starts_from_zero():
    # Layer norm turns at zero at once into its direction: nearly all of the score is gained in the first steps.
    with fixed_seed(0):
        model = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3)).double()
        x = sample("tokens").double()[:, 0] * 3
    gaps = [
        completeness_gap(model, x, 1, integrated_gradients(model, x, 1, power=power, steps=50)).abs().mean()
        for power in (1, 3)
    ]
    assert gaps[1] < 0.5 * gaps[0]
    assert gaps[0] > 1e-4


def test_a_baseline_may_be_a_number_or_anything_that_broadcasts():
    model, x, target = build("images")
    expected = integrated_gradients(model, x, target, baseline=torch.full_like(x, 2.0), steps=4)
    for baseline in (2, 2.0, torch.tensor(2.0), torch.full((3, 1, 1), 2.0)):
        assert torch.equal(integrated_gradients(model, x, target, baseline=baseline, steps=4), expected)
    assert not torch.allclose(integrated_gradients(model, x, target, steps=4), expected)


def test_what_equals_the_baseline_or_does_not_matter_gets_nothing():
    model, x, target = build("rows")
    with torch.no_grad():
        model[0].weight[:, 4] = 0
    x[:, 2] = 0
    attributions = integrated_gradients(model, x, target)
    assert attributions[:, [2, 4]].count_nonzero() == 0
    assert attributions[:, [0, 1, 3, 5]].all()


def test_one_node_is_the_gradient_in_the_middle_of_the_path():
    model, x, target = build("rows")
    # (x / 2) ⊙ ∇f(x / 2), twice.
    assert_close(integrated_gradients(model, x, target, steps=1), 2 * input_x_gradient(model, x / 2, target))


def test_the_gap_judges_any_method_that_promises_to_be_complete():
    model, x, target = build("rows")
    whole = occlusion(model, x, target, window=(6,), baseline=0.5)  # one window: its drop is the whole gain, six times
    gap = completeness_gap(model, x, target, whole, baseline=0.5)
    gained = (model(x) - model(torch.full_like(x, 0.5))).gather(1, target[:, None]).squeeze(1).detach()
    assert_close(gap, 5 * gained, rtol=1e-4, atol=1e-5)
    assert_close(completeness_gap(model, x, target, whole / 6, baseline=0.5), torch.zeros(4), rtol=0, atol=1e-5)


def test_fifty_nodes_are_the_default():
    model, x, target = build("rows")
    assert torch.equal(integrated_gradients(model, x, target), integrated_gradients(model, x, target, steps=50))
    assert not torch.equal(integrated_gradients(model, x, target), integrated_gradients(model, x, target, steps=49))


def test_half_precision_adds_up_in_single():
    # 50 weights of about a fiftieth and 50 gradients of 1: in bfloat16 the sum would stop growing below 1.
    x = torch.ones(1, 3).bfloat16()
    attributions = integrated_gradients(lambda x: x.sum(1, keepdim=True), x, 0, steps=200, chunk_size=1)
    assert_close(attributions, x, rtol=0, atol=0)
