"""Positions: what the papers promise of them, and torch's complex numbers as the reference."""

import math

import pytest
import torch
from torch.testing import assert_close

from lib.architectures import LearnedPositions, alibi, attention, rotary, sinusoidal_positions
from lib.core import fixed_seed, seeded


@pytest.mark.equation("eq-sinusoidal-positions")
def test_sines_and_cosines_are_those_of_the_paper():
    table = sinusoidal_positions(50, 8)
    for position in (0, 1, 49):
        for i in range(4):
            angle = position / 10000 ** (2 * i / 8)
            assert table[position, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert table[position, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)
    assert_close(sinusoidal_positions(3, 8, start=47), table[47:], rtol=0, atol=0)


def test_the_last_position_that_float64_tells_apart_has_its_own_row():
    assert torch.equal(sinusoidal_positions(3, 4, start=2**53 - 3)[2:], sinusoidal_positions(1, 4, start=2**53 - 1))


def test_a_step_is_the_same_rotation_everywhere():
    table = sinusoidal_positions(1000, 16).double()
    sin, cos = table[:, 0::2], table[:, 1::2]
    step = 7
    moved_sin = sin * cos[step] + cos * sin[step]
    moved_cos = cos * cos[step] - sin * sin[step]
    assert_close(moved_sin[:-step], sin[step:], rtol=0, atol=1e-6)  # float32 tables
    assert_close(moved_cos[:-step], cos[step:], rtol=0, atol=1e-6)


def test_far_positions_are_as_exact_as_near_ones():
    far = sinusoidal_positions(1, 2, start=10_000_000)[0]
    assert_close(far, torch.tensor([math.sin(1e7), math.cos(1e7)]), rtol=0, atol=1e-6)


@pytest.mark.equation("eq-learned-positions")
def test_each_token_gets_the_row_of_its_position():
    with fixed_seed(0):
        positions = LearnedPositions(400, 6)
    assert positions.weight.std().item() == pytest.approx(0.02, rel=0.05)  # 2,400 draws: three standard errors
    x = torch.randn(2, 3, 6, generator=seeded(1), requires_grad=True)
    table = torch.nn.Embedding.from_pretrained(positions.weight.detach())
    assert torch.equal(positions(x, start=397), x + table(torch.tensor([397, 398, 399])))
    positions(x, start=5).sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))
    assert positions.weight.grad.sum(1).nonzero().flatten().tolist() == [5, 6, 7]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("pairs", ["neighbours", "halves"])
def test_half_precision_turns_by_the_exact_angle_far_away(dtype, pairs):
    """Neither dtype can hold 100,000, and float32 angles there are good for two decimals."""
    x = torch.randn(3, 8, generator=seeded(0)).to(dtype)
    exact = rotary(x.double(), start=100_000, pairs=pairs).to(dtype)
    # Float32 in between may tip one rounding over, which is one unit in the last place.
    assert_close(rotary(x, start=100_000, pairs=pairs), exact, rtol=torch.finfo(dtype).eps, atol=0)


@pytest.mark.equation("eq-rotary")
@pytest.mark.parametrize("pairs", ["neighbours", "halves"])
def test_a_rotated_product_depends_on_the_distance_alone(pairs):
    q, k = torch.randn(2, 1, 8, generator=seeded(0), dtype=torch.float64)

    def product(i, j):
        return (rotary(q, start=i, pairs=pairs) * rotary(k, start=j, pairs=pairs)).sum()

    assert_close(product(3, 1), product(1003, 1001))
    assert (product(3, 1) - product(3, 2)).abs() > 1e-3
    assert_close(rotary(q, start=77, pairs=pairs).norm(), q.norm())


def test_rotation_is_a_product_of_complex_numbers():
    x = torch.randn(2, 3, 5, 8, generator=seeded(0), dtype=torch.float64)
    angles = torch.arange(4, 9, dtype=torch.float64)[:, None] * 500.0 ** (-torch.arange(4, dtype=torch.float64) / 4)
    turns = torch.polar(torch.ones_like(angles), angles)
    expected = torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (4, 2))) * turns).flatten(-2)
    assert_close(rotary(x, start=4, base=500.0), expected)
    exchanged = torch.cat([x[..., 0::2], x[..., 1::2]], -1)
    halves = rotary(exchanged, start=4, base=500.0, pairs="halves")
    assert_close(halves, torch.cat([expected[..., 0::2], expected[..., 1::2]], -1))


@pytest.mark.equation("eq-alibi")
def test_alibi_takes_off_in_proportion_to_the_distance():
    bias = alibi(8, 5, 5)
    assert bias[0, :, 4, 0].tolist() == [-4 * 2.0**-h for h in range(1, 9)]
    assert torch.equal(bias, bias.mT)
    assert torch.equal(alibi(8, 2, 5), bias[:, :, 3:])
    # Twelve heads: those of eight, then every second of sixteen.
    assert (-alibi(12, 1, 2)[0, :, 0, 0]).tolist() == pytest.approx(
        [2.0**-h for h in range(1, 9)] + [2.0 ** (-h / 2) for h in (1, 3, 5, 7)]
    )


def test_a_bias_is_added_to_the_scores():
    q, k, v = torch.randn(3, 2, 4, 5, 8, generator=seeded(0), dtype=torch.float64)
    bias = alibi(4, 5, 5).double()
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    assert_close(attention(q, k, v, bias=bias), expected)
    future = torch.ones(5, 5).triu(1).bool()
    both = bias.masked_fill(future, -math.inf)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=both)
    assert_close(attention(q, k, v, bias=bias, causal=True), expected)


WRONG = {
    "odd width": (lambda: sinusoidal_positions(4, 3), ValueError, "width 3 must be divisible by pairs of 2"),
    "odd head_dim": (lambda: rotary(torch.zeros(4, 3)), ValueError, "width 3 must be divisible by pairs of 2"),
    "learned, beyond the table": (
        lambda: LearnedPositions(4, 2)(torch.zeros(3, 2), start=2), ValueError, "the table has positions 0 to 3, got 2 to 4"
    ),
    "learned, longer than the table": (
        lambda: LearnedPositions(4, 2)(torch.zeros(5, 2)), ValueError, "the table has positions 0 to 3, got 0 to 4"
    ),
    "learned, negative": (
        lambda: LearnedPositions(4, 2)(torch.zeros(1, 2), start=-1), ValueError, "start must be at least 0, got -1"
    ),
    "learned, width": (
        lambda: LearnedPositions(4, 2)(torch.zeros(3, 4)), ValueError, "x must have the width of the table, 2, got 4"
    ),
    "learned, no position": (lambda: LearnedPositions(0, 2), ValueError, "context must be at least 1, got 0"),
    "no position": (lambda: sinusoidal_positions(0, 4), ValueError, "time must be at least 1, got 0"),
    "start": (lambda: rotary(torch.zeros(4, 2), start=-1), ValueError, "start must be at least 0, got -1"),
    "base": (lambda: rotary(torch.zeros(4, 2), base=0.0), ValueError, "base must be positive and finite, got 0.0"),
    "between two positions": (lambda: rotary(torch.zeros(4, 2), start=0.5), TypeError, "start must be an int, got float 0.5"),
    "half a position": (lambda: sinusoidal_positions(4, 2, start=0.5), TypeError, "start must be an int, got float 0.5"),
    "learned, half a position": (
        lambda: LearnedPositions(4, 2)(torch.zeros(1, 2), start=0.5), TypeError, "start must be an int, got float 0.5"
    ),
    "learned, tokens": (
        lambda: LearnedPositions(4, 2)(torch.zeros(1, 2).long()), TypeError, "x must be floating point, got torch.int64"
    ),
    "negative": (lambda: sinusoidal_positions(4, 2, start=-1), ValueError, "start must be at least 0, got -1"),
    "too far for float64": (lambda: sinusoidal_positions(3, 2, start=2**53 - 2), ValueError, "below 2\\*\\*53, .* got 9007199254740992"),
    "turned too far": (lambda: rotary(torch.zeros(3, 2), start=10**18), ValueError, "below 2\\*\\*53, .* got 1000000000000000002"),
    "base of the sines": (lambda: sinusoidal_positions(4, 2, base=-1.0), ValueError, "base must be positive and finite, got -1.0"),
    "pairs": (lambda: rotary(torch.zeros(4, 2), pairs="thirds"), ValueError, "pairs must be 'neighbours' or 'halves', got 'thirds'"),
    "queries": (lambda: alibi(2, 4, 3), ValueError, "each query must have a key, got 4 queries and 3 keys"),
    "bias": (
        lambda: attention(*[torch.zeros(2, 4, 5, 8)] * 3, bias=torch.zeros(4, 5, 5)),
        ValueError,
        r"bias must have the axes \(queries, keys\) or all of \(2, 4, 5, 5\), .* got \(4, 5, 5\)",
    ),
}  # fmt: skip
