"""Pruning: which weights go, by hand and against torch's own, and what is stored of the rest."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune

from lib.compression import (
    Masked,
    SparseLayer,
    bytes_of,
    keep_largest,
    lottery_ticket,
    plan_for,
    pruning_masks,
    record_inputs,
    two_of_four,
)
from lib.core import replaced, train


def network():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 10))


@given(st.integers(1, 5), st.integers(1, 12), st.floats(0, 1))
def test_the_share_counts_and_what_is_kept_is_no_smaller_than_what_goes(rows, columns, share):
    scores = torch.rand(rows, columns, generator=torch.Generator().manual_seed(rows * 13 + columns))
    kept = keep_largest(scores, share)
    assert int((~kept).sum()) == round(share * scores.numel())
    by_row = keep_largest(scores, share, per="row")
    assert (~by_row).sum(1).eq(round(share * columns)).all()
    for mask in (kept[None], by_row):
        for row, score in zip(mask.flatten(1), scores.view(len(mask), -1), strict=True):
            if row.any() and not row.all():
                assert score[row].min() >= score[~row].max()


def test_equal_scores_go_in_order():
    assert keep_largest(torch.zeros(2, 3), 0.5).tolist() == [[False, False, False], [True, True, True]]


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_masks_by_magnitude_are_torchs(share):
    model = network()
    layers = [(model[0], "weight"), (model[3], "weight")]
    by_layer, over_all = pruning_masks(model, share), pruning_masks(model, share, per="model")
    for name in ("0", "3"):
        expected = prune.L1Unstructured(amount=share).compute_mask(
            model[int(name)].weight, torch.ones_like(model[int(name)].weight)
        )
        assert torch.equal(by_layer[name], expected.bool())
    prune.global_unstructured(layers, pruning_method=prune.L1Unstructured, amount=share)
    assert torch.equal(over_all["0"], model[0].weight_mask.bool())
    assert torch.equal(over_all["3"], model[3].weight_mask.bool())


def test_two_of_each_four_neighbours_stay():
    model = network()
    mask = pruning_masks(model, 0.5, per="2:4", only=["3"])["3"]
    assert mask.view(-1, 4).sum(1).eq(2).all()
    assert torch.equal(mask, two_of_four(model[3].weight.detach().abs()))
    assert two_of_four(torch.tensor([[1.0, 5.0, 4.0, 2.0, 0.0, 0.0, 3.0, 1.0]])).tolist() == [
        [False, True, True, False, False, False, True, True]
    ]


def test_wandas_score_keeps_what_meets_large_inputs():
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data = torch.tensor([[1.0, 0.6]])
    model = nn.Sequential(layer)
    squares = record_inputs(model, ["0"], torch.tensor([[1.0, 2.0], [-1.0, 2.0]]), keep="mean squares")
    assert pruning_masks(model, 0.5)["0"].tolist() == [[True, False]]
    assert pruning_masks(model, 0.5, mean_squares=squares)["0"].tolist() == [[False, True]]  # 1·1 against 0.6·2


def test_wanda_is_the_best_mask_where_the_inputs_are_uncorrelated():
    torch.manual_seed(0)
    weight, spread = torch.randn(5, 8, dtype=torch.float64), torch.rand(8, dtype=torch.float64)
    model = nn.Sequential(nn.Linear(8, 5, bias=False).double())
    model[0].weight.data = weight
    mask = pruning_masks(model, 0.5, per="row", mean_squares={"0": spread})["0"]
    # The output error of removing a set of columns is then the sum of their squared scores: the smallest of all 70 sets.
    losses = weight.square() * spread
    for row in range(5):
        best = min(losses[row, list(columns)].sum() for columns in torch.combinations(torch.arange(8), 4).tolist())
        torch.testing.assert_close(losses[row][~mask[row]].sum(), best)


def test_masked_weights_stay_zero_in_training_and_the_others_learn_as_without_a_mask():
    torch.manual_seed(0)
    model = replaced(network(), plan_for(network(), Masked, given=pruning_masks(network(), 0.5)))
    before = model[3].dense.clone()
    x, y = torch.randn(64, 1, 6, 6), torch.randint(0, 10, (64,))
    train(model, x, y, epochs=2, generator=torch.Generator().manual_seed(0), progress=False)
    assert (model[3].weight[~model[3].mask] == 0).all()
    assert torch.equal(model[3].dense[~model[3].mask], before[~model[3].mask])
    assert (model[3].dense[model[3].mask] != before[model[3].mask]).all()


@pytest.mark.parametrize("share", [0, 0.5, 0.9, 1])
def test_bytes_of_each_form_by_hand(share):
    layer = nn.Linear(64, 30, bias=False)
    model = nn.Sequential(layer)
    pruned = replaced(model, plan_for(model, Masked, given=pruning_masks(model, share)))
    sparse = replaced(pruned, plan_for(pruned, SparseLayer))
    n = 64 * 30
    assert bytes_of(model) == 4 * n
    assert bytes_of(pruned) == 4 * n + n  # a mask of one byte each: larger than before
    two = nn.Sequential(nn.Linear(8, 4, bias=False), layer)
    assert bytes_of(Masked(layer, pruning_masks(two, share, per="model")["1"])) == 5 * n  # and no other layer's mask
    assert bytes_of(sparse) == 4 * (n - round(share * n)) + n / 8
    x = torch.randn(5, 64)
    assert torch.equal(sparse(x), pruned(x))


def test_a_ticket_starts_from_early_weights_and_loses_its_share_each_round():
    torch.manual_seed(0)
    early, x, y = network(), torch.randn(64, 1, 6, 6), torch.randint(0, 10, (64,))
    seen = []

    def fit(model):
        # Each round begins at the early weights, and what earlier rounds removed is zero.
        seen.append({name: model.get_submodule(name).weight.detach().clone() for name in ("0", "3")})
        train(model, x, y, epochs=1, generator=torch.Generator().manual_seed(0), progress=False)

    state = {name: tensor.clone() for name, tensor in early.state_dict().items()}
    masks = lottery_ticket(early, fit, share=0.5, rounds=3)
    assert all(torch.equal(state[name], tensor) for name, tensor in early.state_dict().items())
    for round_, weights in enumerate(seen):
        for name, weight in weights.items():
            kept = weight != 0
            assert torch.equal(weight[kept], early.get_submodule(name).weight[kept])
            assert int(kept.sum()) == pytest.approx(kept.numel() * 0.5**round_, abs=1)
    for name in ("0", "3"):
        assert int(masks[name].sum()) == masks[name].numel() - round((1 - 0.5**3) * masks[name].numel())
        assert (masks[name] <= (seen[2][name] != 0)).all()  # what is gone stays gone


SCORES, NAN = torch.ones(2, 4), torch.tensor([[1.0, float("nan")]])


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: keep_largest(SCORES, 1.5), ValueError, "share must be from 0 to 1, got 1.5"),
        (lambda m: keep_largest(SCORES, -0.1), ValueError, "share must be from 0 to 1, got -0.1"),
        (lambda m: keep_largest(SCORES, "half"), TypeError, "share must be a number, got str 'half'"),
        (lambda m: keep_largest(SCORES, float("nan")), ValueError, "share must be finite, got nan"),
        (lambda m: keep_largest(NAN, 0.5), ValueError, "scores must be finite, got nan at (0, 1)"),
        (lambda m: keep_largest(SCORES[0], 0.5), ValueError, "scores must have 2 axes (rows, columns), got 1"),
        (lambda m: keep_largest(SCORES, 0.5, per="column"), ValueError, "per must be 'matrix' or 'row', got 'column'"),
        (lambda m: two_of_four(torch.ones(2, 6)), ValueError, "columns 6 must be divisible by the pattern's 4"),
        (lambda m: pruning_masks(m, 2), ValueError, "share must be from 0 to 1, got 2"),
        (lambda m: pruning_masks(m, 0.4, per="2:4"), ValueError, "2:4 removes two weights of four, so share must be 0.5, got 0.4"),
        (lambda m: pruning_masks(m, 0.5, per="2:4"), ValueError, "columns 9 must be divisible by the pattern's 4"),
        (lambda m: pruning_masks(m, 0.5, only=["9"]), ValueError, "only must name layers of the kinds Conv2d or Linear, got ['9']"),
        (lambda m: pruning_masks(m[1:3], 0.5), ValueError, "the plan must name a layer of the kinds Conv2d or Linear, got none"),
        (lambda m: pruning_masks(m, 0.5, mean_squares={}), ValueError, "mean_squares must hold one entry for each layer, got none for '0'"),
        (lambda m: pruning_masks(m, 0.5, only=["3"], mean_squares={"3": torch.ones(3)}), ValueError, "mean_squares['3'] must have one number for each of 64 columns, got (3,)"),
        (lambda m: pruning_masks(m, 0.5, only=["3"], mean_squares={"3": -torch.ones(64)}), ValueError, "mean_squares['3'] must not be negative, got -1.0"),
        (lambda m: pruning_masks(m, 0.5, only=["3"], mean_squares={"3": NAN.expand(32, 2).flatten()}), ValueError, "mean_squares['3'] must be finite, got nan at (1,)"),
        (lambda m: Masked(m[3], torch.ones(10, 4) > 0), ValueError, "mask must have the weight's shape (10, 64), got (10, 4)"),
        (lambda m: Masked(m[3], torch.ones(10, 64)), TypeError, "mask must be boolean, got torch.float32"),
        (lambda m: lottery_ticket(m, id, share=0.5, rounds=0), ValueError, "rounds must be at least 1, got 0"),
        (lambda m: lottery_ticket(m, id, share=1.1, rounds=1), ValueError, "share must be from 0 to 1, got 1.1"),
        (lambda m: lottery_ticket(m, None, share=0.5, rounds=1), TypeError, "fit must be callable, got NoneType None"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_and_the_model_stays_as_it_was(call, error, message):
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(error, match=re.escape(message)):
        call(model)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
