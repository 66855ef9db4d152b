"""Counting, fitting and dividing: closed forms, torch's own count of operations, and published figures."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from lib.architectures import (
    LossSurface,
    PowerLaw,
    Transformer,
    TransformerConfig,
    count_parameters,
    fit_power_law,
    training_flops,
)

# As printed by Hoffmann et al. 2022, section D.3; the same from the TeX source; the refit of Besiroglu et al. 2024.
PRINTED = LossSurface(1.69, (406.4, 0.34), (410.7, 0.28))
UNROUNDED = LossSurface(1.69337, (406.4, 0.33917), (410.7, 0.28491))
REFIT = LossSurface(1.8172, (482.01, 0.3478), (2085.43, 0.3658))


@pytest.mark.parametrize("tied", [False, True])
def test_parameters_are_counted_in_three_ways(tied):
    config = TransformerConfig(layers=3, width=8, heads=2, vocabulary=50, context=16, tied=tied)
    counts = count_parameters(Transformer(config))
    # A block: two norms, four maps of attention, two of the MLP, with their biases.
    block = 2 * 2 * 8 + 4 * (8 * 8 + 8) + (8 * 32 + 32) + (32 * 8 + 8)
    head = 50 * 8 + (0 if tied else 50)
    assert counts.blocks == 3 * block
    assert counts.multiply == 3 * block + head
    assert counts.all == 3 * block + head + 16 * 8 + 2 * 8 + (0 if tied else 50 * 8)


@pytest.mark.equation("eq-training-flops")
def test_six_operations_a_parameter_and_token_are_what_torch_counts_without_attention():
    config = TransformerConfig(layers=2, width=64, heads=2, vocabulary=100, context=32, tied=True)
    model, tokens = Transformer(config), torch.randint(100, (4, 32))
    with FlopCounterMode(display=False) as counter:
        F.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()).backward()
    matrices = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "positions" not in name)
    attention = 12 * 2 * 64 * 32 * tokens.numel()
    assert counter.get_total_flops() == training_flops(matrices, tokens.numel()) + attention
    # Biases and norms, which no matrix product counts, are few.
    assert matrices < count_parameters(model).multiply < 1.03 * matrices


@pytest.mark.equation("eq-power-law")
@given(st.floats(0.01, 2), st.floats(0.1, 100))
def test_a_power_law_is_found_again(exponent, coefficient):
    x = np.array([10.0, 30.0, 500.0])
    found = fit_power_law(x, PowerLaw(exponent, coefficient)(x))
    np.testing.assert_allclose([found.exponent, found.coefficient], [exponent, coefficient], rtol=1e-9)


def test_least_squares_is_meant_in_logarithms():
    # By hand: logs of x are 0, 1, 2 and of the loss 0, −1, 0 (base e); the best line is level, at −1/3.
    found = fit_power_law(np.exp([0.0, 1.0, 2.0]), np.exp([0.0, -1.0, 0.0]))
    np.testing.assert_allclose([found.exponent, np.log(found.coefficient)], [0, -1 / 3], atol=1e-12)


@pytest.mark.equation("eq-loss-surface")
def test_the_surface_is_the_sum_of_its_three_terms():
    surface = LossSurface(1.5, (8.0, 1 / 3), (16.0, 0.5))
    assert surface.loss(8.0, 64.0) == pytest.approx(1.5 + 4.0 + 2.0)


@pytest.mark.equation("eq-compute-optimal")
@pytest.mark.parametrize("surface", [PRINTED, UNROUNDED, REFIT])
def test_no_other_division_of_the_budget_has_a_smaller_loss(surface):
    flops = 5.76e23
    parameters, tokens = surface.allocation(flops)
    assert training_flops(parameters, tokens) == pytest.approx(flops)
    for factor in (0.5, 0.99, 1.01, 2):
        assert surface.loss(parameters * factor, tokens / factor) > surface.loss(parameters, tokens)


@pytest.mark.parametrize(("surface", "ratio"), [(PRINTED, 93), (UNROUNDED, 59), (REFIT, 18)])
def test_tokens_a_parameter_at_the_budget_of_gopher(surface, ratio):
    parameters, tokens = surface.allocation(5.76e23)
    assert round(tokens / parameters) == ratio


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: training_flops(0, 1.0), "parameters must be"),
        (lambda: training_flops(1.0, float("nan")), "tokens must be"),
        (lambda: fit_power_law([1, 2], [1.0]), r"shapes \(2,\) and \(1,\)"),
        (lambda: fit_power_law([3, 3], [1.0, 2.0]), "two different sizes"),
        (lambda: fit_power_law([1, -2], [1.0, 2.0]), "x must be positive"),
        (lambda: fit_power_law([1, 2], [1.0, 0.0]), "losses must be positive"),
        (lambda: LossSurface(1.0, (1.0, -1.0), (1.0, 1.0)), "parameters must be positive and finite, got -1.0"),
        (lambda: LossSurface(1.0, (1.0, 1.0), (1.0, float("inf"))), "tokens must be positive and finite, got inf"),
        (lambda: PRINTED.allocation(-1.0), "flops must be positive"),
    ],
)
def test_what_no_law_can_be_made_of_is_refused(call, told):
    with pytest.raises((TypeError, ValueError), match=told):
        call()
