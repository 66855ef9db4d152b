"""Shapley values: games whose answer is known, the axioms, plain loops, and the package shap."""

import itertools
import math

import numpy as np
import pytest
import torch
from explained_models import build, sample
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.ensemble import RandomForestClassifier
from torch.testing import assert_close

from lib.core import seeded
from lib.explanations import (
    completeness_gap,
    exact_shapley,
    kernel_shap,
    model_of,
    permutation_shapley,
    shapley_value,
)

# Small whole numbers: sums of a few hundred of them are exact, so that only the weights round.
GAMES = st.integers(1, 5).flatmap(lambda n: arrays(np.float64, 2**n, elements=st.integers(-9, 9)))


def of(worth, players):
    """The worths of all coalitions, in the order that `shapley_value` asks for."""
    coalitions = [{j for j in range(players) if k >> j & 1} for k in range(2**players)]
    return torch.tensor([float(worth(coalition)) for coalition in coalitions], dtype=torch.float64)


def by_orders(worths):
    """The mean, over all orders of arrival, of what each player adds."""
    players = len(worths).bit_length() - 1
    total = torch.zeros(players, dtype=torch.float64)
    for order in itertools.permutations(range(players)):
        present = 0
        for player in order:
            total[player] += worths[present | 1 << player] - worths[present]
            present |= 1 << player
    return total / math.factorial(players)


# ---- games ------------------------------------------------------------------------------------------------------


def airport(costs):
    return lambda s: max((costs[j] for j in s), default=0)


@pytest.mark.parametrize(
    ("worth", "players", "known"),
    [
        (lambda s: min(len(s & {0, 1}), len(s & {2})), 3, [1 / 6, 1 / 6, 4 / 6]),  # two left gloves, one right
        (lambda s: sum([50, 49, 1][j] for j in s) > 50, 3, [4 / 6, 1 / 6, 1 / 6]),  # a majority of 100 votes
        (lambda s: sum([45, 45, 10][j] for j in s) > 50, 3, [1 / 3, 1 / 3, 1 / 3]),  # a tenth of the seats, a third of the power
        (airport([1, 3, 6]), 3, [1 / 3, 1 / 3 + 2 / 2, 1 / 3 + 2 / 2 + 3]),  # Littlechild & Owen 1973: each strip shared by its users
        (lambda s: len(s) == 4, 4, [0.25] * 4),
        (lambda s: 7 * len(s), 1, [7]),
    ],
    ids=["gloves", "majority", "small party", "airport", "unanimity", "one player"],
)  # fmt: skip
def test_classic_games_have_their_known_values(worth, players, known):
    assert_close(shapley_value(of(worth, players)), torch.tensor(known, dtype=torch.float64))


@pytest.mark.equation("eq-shapley-value")
@given(GAMES)
@settings(deadline=None)
def test_it_is_the_mean_over_all_orders_of_arrival(worths):
    worths = torch.from_numpy(worths)
    assert_close(shapley_value(worths), by_orders(worths))


@given(GAMES, st.data())
@settings(deadline=None)
def test_the_axioms_hold(worths, data):
    worths = torch.from_numpy(worths)
    players = len(worths).bit_length() - 1
    shares, numbers = shapley_value(worths), torch.arange(len(worths))
    assert_close(shares.sum(), worths[-1] - worths[0])  # efficiency
    other = torch.from_numpy(data.draw(arrays(np.float64, len(worths), elements=st.integers(-9, 9))))
    assert_close(shapley_value(2 * worths - other), 2 * shares - shapley_value(other))  # linearity
    assert_close(shapley_value(torch.stack([worths, other])), torch.stack([shares, shapley_value(other)]))
    player = data.draw(st.integers(0, players - 1))
    without = numbers & ~(1 << player)
    assert shapley_value(worths[without])[player] == 0  # a player who changes nothing gets nothing
    if players > 1:  # symmetry: two players who change places change shares
        twin = data.draw(st.integers(0, players - 1).filter(lambda j: j != player))
        bits = (numbers >> player & 1) ^ (numbers >> twin & 1)
        swapped = shapley_value(worths[numbers ^ bits * ((1 << player) | (1 << twin))])
        order = list(range(players))
        order[player], order[twin] = twin, player
        assert_close(swapped, shares[order])


# ---- the game of an input ---------------------------------------------------------------------------------------


def plain_game(model, x, target, background, segments, present):
    """v(S), word for word."""
    scores = []
    for row in background:
        point = row.clone()
        for entry in itertools.product(*map(range, x.shape)):
            if segments[entry].item() in present:
                point[entry] = x[entry]
        scores.append(model(point[None].clone())[0, target].item())
    return sum(scores) / len(scores)


@pytest.mark.equation("eq-interventional-game")
@pytest.mark.parametrize(("kind", "players"), [("rows", 6), ("rows", 3), ("tokens", 5), ("images", 4)])
def test_a_plain_loop_over_features_and_background_agrees(kind, players):
    model, x, target = build(kind)
    model, x, background = model.double(), x.double(), sample(kind, 7)[4:].double()
    entries = torch.arange(x[0].numel()).reshape(x[0].shape)
    segments = entries % players
    found = exact_shapley(model, x, target, background=background, segments=segments, chunk_size=9)
    for example in range(2):
        worths = of(lambda s: plain_game(model, x[example], target[example], background, segments, s), players)  # noqa: B023
        shares, sizes = by_orders(worths), segments.flatten().bincount()
        assert_close(found[example], (shares / sizes)[segments])


def tabular():
    """A forest on eight features, so that the game has interactions of a high order, and its background."""
    x = torch.randn(200, 8, generator=seeded(0), dtype=torch.float64)
    labels = (x[:, 0] * x[:, 1] + x[:, 2].abs() - x[:, 3] > 0.5).long() + (x[:, 4] > 1).long()
    forest = RandomForestClassifier(15, max_depth=5, random_state=0).fit(x.numpy(), labels.numpy())
    return forest, model_of(forest), x[:5], torch.tensor([0, 1, 2, 1, 0]), x[100:120]


def test_the_package_shap_agrees_exactly_and_by_regression_over_all_coalitions():
    import shap

    forest, model, x, target, background = tabular()
    x, target = x[:2], target[:2]  # the package asks the forest for one coalition after the other
    ours = exact_shapley(model, x, target, background=background)
    exact = shap.explainers.Exact(forest.predict_proba, shap.maskers.Independent(background.numpy()))
    theirs = torch.from_numpy(exact(x.numpy()).values)[torch.arange(2), :, target]
    assert_close(ours, theirs)
    kernel = shap.KernelExplainer(forest.predict_proba, background.numpy())
    theirs = torch.from_numpy(kernel.shap_values(x.numpy(), nsamples=254, l1_reg=0, silent=True))
    assert_close(ours, theirs[torch.arange(2), :, target], rtol=1e-6, atol=1e-8)  # a linear system is solved


def game_model(worths):
    """A model whose game, for inputs of ones on a background of zeros, is any given one."""
    players = len(worths).bit_length() - 1
    powers = 2 ** torch.arange(players)
    return (lambda x: worths[(x.long() @ powers)][:, None]), torch.ones(1, players).double(), torch.zeros(1, players).double()  # fmt: skip


@pytest.mark.equation("eq-kernel-shap")
@given(GAMES)
@settings(deadline=None)
def test_the_regression_over_all_coalitions_is_the_shapley_value_of_any_game(worths):
    worths = torch.from_numpy(worths)
    model, ones, zeros = game_model(worths)
    samples = max(len(worths) - 2, 2 * ones.shape[1])
    found = kernel_shap(model, ones, 0, background=zeros, samples=samples, generator=seeded(0))
    assert_close(found[0], shapley_value(worths))


@pytest.mark.parametrize("method", [kernel_shap, permutation_shapley])
def test_estimates_scatter_about_the_exact_value_ever_less(method):
    _, model, x, target, background = tabular()
    x, target, background = x[:2], target[:2], background[:4]
    exact = exact_shapley(model, x, target, background=background)
    knob, few, many = ("samples", 24, 96) if method is kernel_shap else ("rounds", 2, 32)
    estimates = [
        torch.stack([method(model, x, target, background=background, generator=seeded(s), **{knob: n}) for s in range(24)])
        for n in (few, many)
    ]  # fmt: skip
    errors = [(found - exact).norm(dim=(1, 2)).square().mean().sqrt() for found in estimates]
    # 16 times the orders would make 1/4 of it; the regression's 4 times are 38 % of all coalitions, none twice.
    assert errors[1] < 0.5 * errors[0]
    assert errors[0] > 0.01 * exact.norm()  # there was an error to be made smaller
    mean, spread = estimates[1].mean(0), estimates[1].std(0) / 24**0.5
    # 16 entries within 5 standard errors of 24 draws; the regression is not unbiased, but its bias is smaller than that.
    assert ((mean - exact).abs() < 5 * spread + 1e-12).all()


@pytest.mark.equation("eq-permutation-shapley")
def test_orders_and_their_reverses_are_exact_where_at_most_two_features_act_together():
    # x_i x_j goes to whoever comes second: in one order to i, in its reverse to j, half each on average.
    x, background = sample("rows").double(), sample("rows", 7)[4:].double()
    matrix = torch.randn(6, 6, generator=seeded(5)).double()
    model = lambda x: torch.stack([x[:, 0], (x @ matrix * x).sum(1)], 1)  # noqa: E731
    exact = exact_shapley(model, x, 1, background=background)
    assert_close(permutation_shapley(model, x, 1, background=background, generator=seeded(0), rounds=1), exact)
    three = lambda x: x[:, :3].prod(1, keepdim=True)  # noqa: E731
    found = permutation_shapley(three, x, 0, background=background, generator=seeded(0), rounds=1)
    assert (found - exact_shapley(three, x, 0, background=background)).abs().max() > 1e-3


@pytest.mark.parametrize("rounds", [1, 3])
def test_sampled_orders_keep_efficiency_and_the_unread_feature_exactly(rounds):
    _, model, x, target, background = tabular()
    blind = lambda points: model(points * (torch.arange(8) != 5))  # noqa: E731
    found = permutation_shapley(blind, x, target, background=background, generator=seeded(1), rounds=rounds)
    assert (found[:, 5] == 0).all()
    assert completeness_gap(blind, x, target, found, background=background).abs().max() < 1e-12


@pytest.mark.parametrize("method", ["exact", "regression", "orders"])
def test_attributions_add_up_to_the_score_less_the_mean_of_the_background(method):
    _, model, x, target, background = tabular()
    segments = torch.tensor([0, 1, 1, 2, 0, 3, 3, 3])
    explain = {
        "exact": exact_shapley,
        "regression": lambda *a, **k: kernel_shap(*a, **k, samples=10, generator=seeded(0)),
        "orders": lambda *a, **k: permutation_shapley(*a, **k, rounds=1, generator=seeded(0)),
    }[method]
    found = explain(model, x, target, background=background, segments=segments, chunk_size=7)
    gained = model(x)[torch.arange(5), target] - model(background).mean(0)[target]
    assert_close(found.sum(1), gained)
    assert_close(found[:, 5:], found[:, 5:6].expand(-1, 3))  # a group's entries share equally
    assert completeness_gap(model, x, target, found, background=background).abs().max() < 1e-12


@pytest.mark.parametrize("players", [2, 5, 6, 9, 16, 30])
@pytest.mark.parametrize("budget", [2, 3.5, 20])
def test_coalitions_are_drawn_in_pairs_within_the_budget_and_weigh_what_their_size_weighs(players, budget):
    from lib.explanations.attribution.shapley import _drawn_coalitions

    samples = int(budget * players)
    coalitions, weights = _drawn_coalitions(players, samples, seeded(0))
    assert len(coalitions) <= samples
    assert len(coalitions) >= min(samples - 1, 2**players - 2)
    drawn = {tuple(row) for row in coalitions.tolist()}
    assert all(tuple(not member for member in row) in drawn for row in drawn)
    for size in coalitions.sum(1).unique().tolist():
        # The kernel times the number of coalitions of the size: (n − 1) / (s (n − s)).
        mass = weights[coalitions.sum(1) == size].sum().item()
        assert mass == pytest.approx((players - 1) / (size * (players - size)))
    if players <= 9:
        assert len(drawn) == len(coalitions)
