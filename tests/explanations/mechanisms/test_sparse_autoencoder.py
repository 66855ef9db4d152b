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


@pytest.mark.equation("eq-sparse-autoencoder")
def test_by_hand():
    model = SparseAutoencoder(3, 5, active=2)
    with torch.no_grad():
        model.encoder.normal_()
        model.bias.copy_(torch.tensor([0.1, -0.2, 0.0, 0.3, -0.1]))
        model.centre.copy_(torch.tensor([1.0, 0.0, -1.0]))
    E, D = model.encoder.detach(), model.directions.detach()
    for x in torch.randn(6, 3):
        f = [max(0.0, float((x - model.centre) @ e + b)) for e, b in zip(E, model.bias.detach(), strict=True)]
        third = sorted(f)[-3]
        f = [value if value > third else 0.0 for value in f]
        assert_close(model.encode(x).detach(), torch.tensor(f))
        assert_close(model(x).detach(), model.centre + sum(a * d for a, d in zip(f, D, strict=True)))


def test_planted_directions_are_found():
    states, D = planted(4000)
    model = train_sparse_autoencoder(states, 42, active=3, steps=1500, seed=0)
    found = (model.directions @ D.T).max(0).values
    drawn = (F.normalize(torch.randn(42, 20, generator=seeded(8)), dim=1) @ D.T).max(0).values
    assert (found > 0.9).sum() >= 26  # of 30; of as many directions at random, none
    assert (drawn > 0.9).sum() == 0
    assert explained_variance(states, model(states).detach()) > 0.85
    assert_close(model.directions.detach().norm(dim=1), torch.ones(42))


@pytest.mark.parametrize("active", [1, 4])
def test_no_more_features_are_on_than_asked_for(active):
    states, _ = planted(600)
    on = (train_sparse_autoencoder(states, 24, active=active, steps=60, seed=0).encode(states) > 0).sum(1)
    assert on.max() == active


def test_a_dead_feature_gets_the_direction_of_what_is_missing():
    missing = torch.tensor([0.0, 3.0, 4.0])
    states = torch.tensor([[2.0, 0.0, 0.0]] * 50 + [[0.0, 3.0, 4.0]] * 3)
    model = SparseAutoencoder(3, 2, active=2)
    with torch.no_grad():
        model.directions.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
        model.encoder.copy_(model.directions)
        model.bias.copy_(torch.tensor([0.0, -100.0]))  # the second is never on
    optimizer = torch.optim.Adam(model.parameters(), 1e-6)
    model(states).sum().backward()
    optimizer.step()
    optimizer.state[model.directions]["exp_avg"][:] = 5.0
    before = model.directions[0].clone()
    _revive(model, states, torch.tensor([False, True]), optimizer)
    assert_close(
        model.directions[1].detach(), missing / 5, atol=1e-5, rtol=0
    )  # one step of Adam, of 1e-6, lies between
    assert (model.encode(states)[:, 1] > 1).sum() == 3
    assert torch.equal(model.directions[0], before)
    assert optimizer.state[model.directions]["exp_avg"].tolist() == [[5.0] * 3, [0.0] * 3]
    _revive(model, states, torch.tensor([False, False]), optimizer)  # none dead, nothing drawn


def test_revival_leaves_fewer_features_off():
    states, _ = planted(1000)
    models = [
        train_sparse_autoencoder(states, 96, active=2, steps=400, seed=0, revive_every=every) for every in (50, 10**6)
    ]
    off = [(model.encode(states) == 0).all(0).sum() for model in models]
    assert off[0] < off[1]


def test_training_repeats_and_leaves_the_random_numbers():
    states, _ = planted(600)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, second = (train_sparse_autoencoder(states, 16, active=2, steps=40, seed=5) for _ in range(2))
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
