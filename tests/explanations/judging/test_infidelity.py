"""How far attributions are from the drops: by hand, by Captum, and which attributions are best for which disturbance."""

import captum.metrics
import pytest
import torch
from explained_models import build, sample
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from lib.core import seeded
from lib.explanations import infidelity, input_x_gradient, saliency

WEIGHTS = torch.tensor([2.0, -1.0, 0.5, 0.0, 3.0, -2.0]).double()
X = torch.tensor([[1.0, 2.0, 3.0, -1.0, 0.5, 1.5], [-2.0, 0.1, 1.0, 1.0, 1.0, -1.0]]).double()


def linear(x):
    return (x @ WEIGHTS)[:, None]


@pytest.mark.equation("eq-infidelity")
def test_coins_by_hand():
    phi = torch.randn(2, 6, generator=seeded(1)).double()
    found = infidelity(linear, X, 0, phi, generator=seeded(0), samples=30_000, baseline=0.5)
    # dᵀφ − drop = Σ zᵢ eᵢ with coins z and e = φ − w (x − ½): mean ½ Σ e, variance ¼ Σ e².
    e = phi - WEIGHTS * (X - 0.5)
    expected = e.sum(1).square() / 4 + e.square().sum(1) / 4
    assert_close(found, expected, rtol=0.03, atol=0)  # the mean of 30,000 squares


@pytest.mark.equation("eq-infidelity")
def test_noise_by_hand():
    phi = torch.randn(2, 6, generator=seeded(1)).double()
    found = infidelity(linear, X, 0, phi, generator=seeded(0), samples=30_000, noise=0.3)
    expected = 0.09 * (phi - WEIGHTS).square().sum(1)
    assert_close(found, expected, rtol=0.03, atol=0)


def test_for_a_linear_model_the_terms_foretell_all_that_is_taken_and_the_gradient_all_noise():
    options = {"generator": seeded(0), "samples": 50}
    assert infidelity(linear, X, 0, input_x_gradient(linear, X, 0), **options).max() < 1e-20
    assert infidelity(linear, X, 0, saliency(linear, X, 0), noise=0.5, **options).max() < 1e-20
    assert infidelity(linear, X, 0, saliency(linear, X, 0), **options).min() > 0.1
    assert infidelity(linear, X, 0, input_x_gradient(linear, X, 0), noise=0.5, **options).min() > 0.1


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("noise", [None, 0.4])
def test_captum_agrees_on_the_same_disturbances(noise, normalize):
    model, x, target = build("rows")
    phi = torch.randn(4, 6, generator=seeded(2))
    draws = torch.randn(60, 6, generator=seeded(7)) * 0.4 if noise else (torch.rand(60, 6, generator=seeded(7)) < 0.5)
    used = iter(draws)

    def disturb(inputs):
        d = next(used) * torch.ones_like(inputs) if noise else next(used) * (inputs - 0.25)
        return (d if noise else (d != 0).float()), inputs - d

    theirs = captum.metrics.infidelity(
        model, disturb, x, phi, target=target, n_perturb_samples=60, max_examples_per_batch=4, normalize=normalize
    )
    ours = infidelity(
        model, x, target, phi, generator=seeded(7), noise=noise, baseline=0.25, samples=60, scaled=normalize
    )
    if normalize:  # Captum scales by the ratio of the mean product and the mean square, as we do
        assert_close(ours, theirs, rtol=1e-3, atol=1e-5)
    else:
        assert_close(ours, theirs.detach(), rtol=1e-3, atol=1e-5)


@given(seed=st.integers(0, 2**31), factor=st.floats(0.1, 10))
def test_a_scale_does_not_matter_if_it_is_fitted_and_never_hurts(seed, factor):
    model, x, target = build("rows")
    phi = torch.randn(4, 6, generator=seeded(seed))
    fitted, other = (infidelity(model, x, target, phi * f, generator=seeded(0), scaled=True) for f in (1, -factor))
    assert_close(fitted, other, rtol=1e-3, atol=1e-5)
    plain = infidelity(model, x, target, phi, generator=seeded(0))
    nothing = infidelity(model, x, target, torch.zeros_like(phi), generator=seeded(0), scaled=True)
    assert (fitted <= plain * 1.001 + 1e-6).all()
    assert (fitted <= nothing * 1.001 + 1e-6).all()


@pytest.mark.parametrize("noise", [None, 0.2])
@pytest.mark.parametrize("chunk_size", [1, 3, 7])
def test_chunks_change_nothing(chunk_size, noise):
    model, x, target = build("images")
    model, x = model.double(), x.double()
    knobs = {"noise": noise, "samples": 11, "baseline": 0.1}
    whole = infidelity(model, x, target, x, generator=seeded(0), **knobs)
    found = infidelity(model, x, target, x, generator=seeded(0), chunk_size=chunk_size, **knobs)
    assert_close(found, whole)


def test_of_all_attributions_those_of_a_regression_have_the_least_infidelity():
    model, x, target = build("rows")
    model, x = model.double(), x.double()[:1]
    target = target[:1]
    z = (torch.rand(200, 6, generator=seeded(3)) < 0.5).double()
    drops = (model(x) - model(x * (1 - z))).gather(1, target.expand(200)[:, None]).detach()
    best = torch.linalg.lstsq(z, drops).solution.T
    least = infidelity(model, x, target, best, generator=seeded(3))
    for seed in range(5):
        other = best + 0.05 * torch.randn(1, 6, generator=seeded(seed)).double()
        assert infidelity(model, x, target, other, generator=seeded(3)) > least
    assert sample("rows").shape == (4, 6)
