"""Noise averaged away: the gradient of the score smeared by a Gaussian, in closed form."""

import math

import captum.attr
import pytest
import torch
from explained_models import build
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from lib.core import fixed_seed, seeded
from lib.explanations import saliency, smoothgrad

X = torch.linspace(-1.2, 1.5, 5, dtype=torch.float64)[None]


def total(function):
    """A model of one class: the sum of a function over the entries, so that each entry has its own gradient."""
    return lambda x: function(x).sum(1, keepdim=True)


@pytest.mark.equation("eq-smoothgrad")
@pytest.mark.parametrize(
    ("function", "smeared"),
    [
        # E[4(x + ε)³] = 4x³ + 12xσ², and E[exp(x + ε)] = exp(x + σ²/2), and E[cos(x + ε)] = cos(x) exp(−σ²/2).
        (lambda x: x**4, lambda x, s: 4 * x**3 + 12 * x * s**2),
        (torch.exp, lambda x, s: torch.exp(x + s**2 / 2)),
        (torch.sin, lambda x, s: torch.cos(x) * math.exp(-(s**2) / 2)),
    ],
    ids=["x⁴", "exp", "sin"],
)
def test_the_mean_is_the_gradient_convolved_with_a_gaussian(function, smeared):
    noise, samples = 0.4, 60_000
    mean = smoothgrad(total(function), X, 0, generator=seeded(0), noise=noise, samples=samples)
    # A pair's mean deviates by about σ² |f'''| ≤ 4; over 30,000 pairs that is 0.002 and less, five times allowed.
    assert_close(mean, smeared(X, noise), rtol=0.01, atol=0.01)
    # The smeared gradient is not the gradient, by far more than that.
    assert (mean - saliency(total(function), X, 0)).abs().max() > 0.05


@given(noise=st.floats(0, 3), seed=st.integers(0, 2**31), pairs=st.integers(1, 4))
def test_pairs_leave_the_gradient_of_a_quadratic_as_it_is(noise, seed, pairs):
    with fixed_seed(seed):
        matrix, x = torch.randn(5, 5).double(), torch.randn(2, 5).double()

    def model(x):
        return torch.einsum("bi,ij,bj->b", x, matrix, x)[:, None]

    mean = smoothgrad(model, x, 0, generator=seeded(seed), noise=noise, samples=2 * pairs)
    assert_close(mean, x @ (matrix + matrix.T), rtol=1e-9, atol=1e-9)


def test_pairs_keep_the_even_part():
    draws = torch.randn((3, 5), generator=seeded(4), dtype=torch.float64)
    mean = smoothgrad(total(lambda x: x**3), X, 0, generator=seeded(4), noise=0.5, samples=6)
    # 3(x ± ε)²: the mixed terms cancel, the squares stay.
    assert_close(mean, 3 * X**2 + 3 * 0.25 * draws.square().mean(0))


def test_without_noise_it_is_the_gradient():
    model, x, target = build("tokens")
    assert_close(smoothgrad(model, x, target, generator=seeded(0), noise=0.0, samples=4), saliency(model, x, target))


def test_the_generator_alone_decides_and_is_used_up_by_half_the_samples():
    model, x, target = build("rows")
    generator = seeded(7)
    first, second = (smoothgrad(model, x, target, generator=generator, samples=8) for _ in range(2))
    assert not torch.equal(first, second)
    torch.manual_seed(1234)  # of no account
    assert torch.equal(first, smoothgrad(model, x, target, generator=seeded(7), samples=8))
    used = seeded(7)
    for _ in range(2):
        torch.randn((4, *x.shape[1:]), generator=used)
    assert torch.equal(generator.get_state(), used.get_state())


@pytest.mark.parametrize("chunk_size", [1, 3, 4, 7, 1000])
def test_chunks_change_the_calls_and_not_the_answer(chunk_size):
    model, x, target = build("rows")
    model, x, sizes = model.double(), x.double(), []

    def counted(points):
        sizes.append(len(points))
        return model(points)

    chunked = smoothgrad(counted, x, target, generator=seeded(0), samples=10, chunk_size=chunk_size)
    assert_close(chunked, smoothgrad(model, x, target, generator=seeded(0), samples=10))
    assert sum(sizes) == 40
    assert max(sizes) <= chunk_size


def test_captums_noise_tunnel_comes_to_the_same():
    model, x, target = build("rows")
    tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(model))
    theirs = tunnel.attribute(x, nt_type="smoothgrad", nt_samples=4000, stdevs=0.3, target=target, abs=False)
    ours = smoothgrad(model, x, target, generator=seeded(0), noise=0.3, samples=4000)
    # Two means of 4,000 draws; a gradient of a ReLU network jumps by about its own size: 1 / √4000 is 1.6 %.
    assert (ours - theirs).norm() < 0.05 * theirs.norm()


def test_noise_of_a_tenth_and_32_samples_are_the_default():
    model, x, target = build("rows")
    default = smoothgrad(model, x, target, generator=seeded(0))
    assert torch.equal(default, smoothgrad(model, x, target, generator=seeded(0), noise=0.1, samples=32))
    assert not torch.equal(default, smoothgrad(model, x, target, generator=seeded(0), noise=0.11, samples=32))
    assert not torch.equal(default, smoothgrad(model, x, target, generator=seeded(0), noise=0.1, samples=30))
