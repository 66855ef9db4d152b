"""Directions that were planted are found again; the formula by hand; what the two shares of variance are."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.testing import assert_close

from lib.core import seeded
from lib.explanations import SparseAutoencoder, explained_variance, train_sparse_autoencoder
from lib.explanations.mechanisms.sparse_autoencoder import _revive


def planted(states, directions=30, width=20, seed=7):
    """States that are sums of few of many directions, more of these than the states have axes."""
    generator = seeded(seed)
    D = F.normalize(torch.randn(directions, width, generator=generator), dim=1)
    on = torch.rand(states, directions, generator=generator) < 0.06
    return (on * (1 + torch.rand(states, directions, generator=generator))) @ D + 0.5, D


def test_by_hand():
    model = SparseAutoencoder(3, 5)
    with torch.no_grad():
        model.bias.copy_(torch.tensor([0.1, -0.2, 0.0, 0.3, -0.1]))
        model.centre.copy_(torch.tensor([1.0, 0.0, -1.0]))
    D = model.directions.detach()
    for x in torch.randn(4, 3):
        f = [max(0.0, float((x - model.centre) @ d + b)) for d, b in zip(D, model.bias.detach(), strict=True)]
        assert_close(model.encode(x).detach(), torch.tensor(f))
        assert_close(model(x).detach(), model.centre + sum(a * d for a, d in zip(f, D, strict=True)))


def test_planted_directions_are_found():
    states, D = planted(4000)
    model = train_sparse_autoencoder(states, 42, penalty=0.3, steps=2000, rate=3e-3, seed=0)
    found = (model.directions @ D.T).max(0).values
    drawn = (F.normalize(torch.randn(42, 20, generator=seeded(8)), dim=1) @ D.T).max(0).values
    assert (found > 0.85).sum() >= 26  # of 30; of as many directions at random, none
    assert (drawn > 0.85).sum() == 0
    assert explained_variance(states, model(states).detach()) > 0.85
    assert_close(model.directions.detach().norm(dim=1), torch.ones(42))


def test_the_penalty_buys_zeros():
    states, _ = planted(1000)
    without, weak, strong = (
        (train_sparse_autoencoder(states, 24, penalty=p, steps=300, seed=0).encode(states) > 0).float().mean()
        for p in (0.0, 0.5, 4.0)
    )
    assert without > 1.1 * weak > 1.1 * strong


def test_a_dead_feature_gets_the_direction_of_what_is_missing():
    missing = torch.tensor([0.0, 3.0, 4.0])
    states = torch.tensor([[2.0, 0.0, 0.0]] * 50 + [[0.0, 3.0, 4.0]] * 3)
    model = SparseAutoencoder(3, 2)
    with torch.no_grad():
        model.directions.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
        model.bias.copy_(torch.tensor([0.0, -100.0]))  # the second is never on
    optimizer = torch.optim.Adam(model.parameters())
    model(states).sum().backward()
    optimizer.step()
    optimizer.state[model.directions]["exp_avg"][:] = 5.0
    before = model.directions[0].clone()
    _revive(model, states, torch.tensor([False, True]), optimizer)
    assert_close(
        model.directions[1].detach(), missing / 5, atol=1e-3, rtol=0
    )  # one step of Adam, of 1e-3, lies between
    assert (model.encode(states)[:, 1] > 1).sum() == 3
    assert torch.equal(model.directions[0], before)
    assert optimizer.state[model.directions]["exp_avg"].tolist() == [[5.0] * 3, [0.0] * 3]
    _revive(model, states, torch.tensor([False, False]), optimizer)  # none dead, nothing drawn


def test_revival_leaves_fewer_features_off():
    states, _ = planted(1000)
    models = [
        train_sparse_autoencoder(states, 96, penalty=2.0, steps=900, rate=0.03, seed=0, revive_every=every)
        for every in (100, 10**6)
    ]
    off = [(model.encode(states) == 0).all(0).sum() for model in models]
    assert off[0] < off[1]


def test_training_repeats_and_leaves_the_random_numbers():
    states, _ = planted(600)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, second = (train_sparse_autoencoder(states, 16, penalty=0.2, steps=40, seed=5) for _ in range(2))
    assert torch.equal(first.directions, second.directions)
    assert torch.equal(torch.get_rng_state(), before)


@given(st.integers(0, 50))
def test_the_share_of_variance(seed):
    x = torch.randn(20, 3, generator=seeded(seed)) * torch.tensor([10.0, 1.0, 0.1])
    assert explained_variance(x, x) == 1
    assert explained_variance(x, x.mean(0).expand_as(x)) == pytest.approx(0, abs=1e-5)
    half = x.clone()
    half[:, 1:] = half[:, 1:].mean(0)  # two of three features lost, the two that hardly vary
    assert explained_variance(x, half) > 0.9
