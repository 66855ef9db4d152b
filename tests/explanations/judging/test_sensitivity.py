"""How far an explanation moves with its input: known answers and Captum."""

import captum.attr
import captum.metrics
import pytest
import torch
from explained_models import build
from torch.testing import assert_close

from lib.core import seeded
from lib.explanations import input_x_gradient, max_sensitivity, saliency, smoothgrad


def linear(x):
    return (x @ torch.tensor([2.0, -1.0, 0.5]))[:, None]


@pytest.mark.equation("eq-max-sensitivity")
def test_the_largest_relative_change_of_a_known_explanation():
    x = torch.tensor([[3.0, 0.0, 4.0], [0.3, 0.0, 0.4]])

    def twice(model, inputs, target):
        return 2 * inputs

    draw = seeded(5)
    shifts = torch.stack([torch.rand(3, generator=draw) * 2 - 1 for _ in range(40)])
    found = max_sensitivity(linear, x, 0, twice, generator=seeded(5), radius=0.1, samples=40)
    # φ = 2 x: the change is 2 · 0.1 · ‖shift‖, of norms 10 and 1.
    expected = 0.2 * shifts.norm(dim=1).max() / torch.tensor([10.0, 1.0])
    assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_a_constant_explanation_is_perfectly_insensitive_and_no_better_for_it():
    x = torch.randn(3, 3, generator=seeded(0))
    assert max_sensitivity(linear, x, 0, saliency, generator=seeded(0)).tolist() == [0, 0, 0]
    assert max_sensitivity(linear, x, 0, lambda m, x, t: torch.ones_like(x), generator=seeded(0)).max() == 0
    assert max_sensitivity(linear, x, 0, input_x_gradient, generator=seeded(0)).min() > 0


def test_no_explanation_at_all_is_nan():
    x = torch.randn(2, 3, generator=seeded(0))
    assert max_sensitivity(linear, x, 0, lambda m, x, t: 0 * x, generator=seeded(0)).isnan().all()


def test_more_samples_find_no_less_and_a_larger_ball_more():
    model, x, target = build("rows")
    few, many = (
        max_sensitivity(model, x, target, input_x_gradient, generator=seeded(0), samples=n, radius=0.1) for n in (3, 30)
    )
    wide = max_sensitivity(model, x, target, input_x_gradient, generator=seeded(0), samples=30, radius=0.5)
    assert (many >= few).all()
    assert (many > few).any()
    assert (wide > many).all()


def test_noise_of_the_method_itself_is_measured_too_unless_its_draws_are_the_same():
    model, x, target = build("rows")
    same = max_sensitivity(
        model,
        x,
        target,
        lambda *asked: smoothgrad(*asked, generator=seeded(1), samples=8),
        generator=seeded(0),
        radius=1e-6,
    )
    running = seeded(1)
    other = max_sensitivity(
        model,
        x,
        target,
        lambda *asked: smoothgrad(*asked, generator=running, samples=8),
        generator=seeded(0),
        radius=1e-6,
    )
    assert (other > 10 * same).all()


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")  # Captum's own points
def test_captum_agrees_on_the_same_points():
    model, x, target = build("rows")
    draw = seeded(9)

    def same_points(inputs, radius):
        # Captum asks once for all; each of ours is a shift that all examples share.
        shifts = torch.stack([torch.rand(6, generator=draw) * 2 - 1 for _ in range(12)])
        return (inputs.reshape(4, 12, 6) + radius * shifts).reshape(48, 6)

    theirs = captum.metrics.sensitivity_max(
        captum.attr.InputXGradient(model).attribute,
        x,
        same_points,
        perturb_radius=0.2,
        n_perturb_samples=12,
        target=target,
    )
    ours = max_sensitivity(model, x, target, input_x_gradient, generator=seeded(9), radius=0.2, samples=12)
    assert_close(ours, theirs.detach(), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_points_stay_in_the_ball_and_the_inputs_as_they_are(dtype):
    x = torch.randn(2, 3, generator=seeded(0)).to(dtype)
    before, seen = x.clone(), []

    def spoil(model, inputs, target):
        seen.append((inputs - before).abs().max())
        return inputs.mul_(2)  # works on what it was given

    found = max_sensitivity(linear, x, 0, spoil, generator=seeded(0), radius=0.05, samples=200)
    assert torch.equal(x, before)
    assert found.dtype == dtype
    assert seen[0] == 0
    assert 0.04 < max(seen) <= 0.05 + 1e-6
