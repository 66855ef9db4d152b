"""Integrated Gradients averaged over references: closed forms, Captum's GradientShap without noise, and its draws."""

import itertools

import captum.attr
import pytest
import torch
from explained_models import build
from torch.testing import assert_close

from lib.core import seeded
from lib.explanations import expected_gradients, integrated_gradients

X = torch.tensor([[1.0, 3.0, -2.0]]).double()
REFERENCES = torch.tensor([[0.0, 1.0, 0.5], [2.0, -1.0, 0.5], [1.0, 1.0, -3.0], [0.0, 0.0, 0.0]]).double()


@pytest.mark.equation("eq-expected-gradients")
def test_a_product_has_a_closed_form():
    # f = x₁ x₂ + x₃²: along a straight line a product's gain is shared as Δ₁ (x₂ + x₂′) / 2 and Δ₂ (x₁ + x₁′) / 2.
    def model(x):
        return (x[:, :1] * x[:, 1:2]) + x[:, 2:] ** 2

    found = expected_gradients(model, X, 0, background=REFERENCES, generator=seeded(0), samples=40_000)
    difference, middle = X - REFERENCES, (X + REFERENCES) / 2
    expected = torch.stack(
        [difference[:, 0] * middle[:, 1], difference[:, 1] * middle[:, 0], X[0, 2] ** 2 - REFERENCES[:, 2] ** 2], 1
    ).mean(0)
    # One α in each of 40,000 parts: what is left is far below a thousandth.
    assert_close(found[0], expected, rtol=0, atol=1e-3)


def test_it_is_the_mean_of_integrated_gradients_over_the_references():
    model, x, target = build("rows")
    background = torch.randn(8, 6, generator=seeded(3))
    one_by_one = [integrated_gradients(model, x, target, baseline=row, steps=300) for row in background]
    expected = torch.stack(one_by_one).mean(0)
    found = expected_gradients(model, x, target, background=background, generator=seeded(0), samples=8000)
    assert_close(found, expected, rtol=0, atol=0.01 * expected.abs().max().item())


def test_captums_gradient_shap_comes_to_the_same():
    model, x, target = build("rows")
    background = torch.randn(5, 6, generator=seeded(3))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = captum.attr.GradientShap(model).attribute(x, background, n_samples=4000, stdevs=0.0, target=target)
    ours = expected_gradients(model, x, target, background=background, generator=seeded(0), samples=4000)
    # The error of Captum's 4,000 independent draws: 1 / √4000 is 1.6 %.
    assert (ours - theirs.detach()).norm() < 0.05 * theirs.norm()


@pytest.mark.parametrize("references", [1, 4, 7])
def test_even_draws_have_a_smaller_error_than_independent_ones(references):
    model, x, target = build("rows")
    model, x = model.double(), x.double()
    background = torch.randn(references, 6, generator=seeded(5)).double()
    lines = [integrated_gradients(model, x, target, baseline=row, steps=500) for row in background]
    truth = torch.stack(lines).mean(0)

    def error(explain):
        squares = [(explain(seed) - truth).square().mean() for seed in range(12)]
        return torch.stack(squares).mean().sqrt()

    def independent(seed):
        draw = seeded(seed)
        alphas, rows = torch.rand(56, generator=draw).double(), torch.randint(references, (56,), generator=draw)
        points = background[rows] + alphas[:, None] * (x[:, None] - background[rows])
        points = points.flatten(0, 1).requires_grad_()
        model(points).gather(1, target.repeat_interleave(56)[:, None]).sum().backward()
        return ((x[:, None] - background[rows]) * points.grad.reshape(4, 56, 6)).mean(1)

    even = error(lambda s: expected_gradients(model, x, target, background=background, generator=seeded(s), samples=56))
    # Measured: a fourth to a half.
    assert even < 0.75 * error(independent)


def test_each_reference_is_drawn_equally_often_and_all_along_the_way():
    seen = []

    def model(points):
        seen.append(points.detach().clone())
        return points.sum(1, keepdim=True)

    background = torch.arange(5.0)[:, None]  # at x = 10 the point 10 α + x′ (1 − α)
    expected_gradients(model, torch.full((1, 1), 10.0), 0, background=background, generator=seeded(0), samples=500)
    points = torch.cat(seen).flatten()
    assert len(points) == 500
    strata = torch.arange(500)
    drawn = [[] for _ in range(5)]
    for stratum, point in zip(strata.tolist(), points.tolist(), strict=True):
        fits = [r for r in range(5) if stratum / 500 - 1e-4 <= (point - r) / (10 - r) <= (stratum + 1) / 500 + 1e-4]
        for reference in fits:
            drawn[reference].append(stratum)
    assert all(90 <= len(strata) <= 120 for strata in drawn)  # 100 each; a point near two of them counts for both
    assert all(max(b - a for a, b in itertools.pairwise(strata)) <= 10 for strata in drawn)


@pytest.mark.parametrize("chunk_size", [1, 3, 17])
def test_chunks_change_nothing(chunk_size):
    model, x, target = build("rows")
    model, x = model.double(), x.double()
    knobs = {"background": x[:3] / 2, "samples": 11}
    whole = expected_gradients(model, x, target, generator=seeded(0), **knobs)
    assert_close(expected_gradients(model, x, target, generator=seeded(0), chunk_size=chunk_size, **knobs), whole)
