"""Ranges: what min-max, a percentile and the least error cover."""

from functools import partial

import pytest
import torch

from lib.compression import dequantize, grid_for, least_error, min_max, percentile, quantize
from lib.core import seeded

X = torch.randn(3, 200, generator=seeded(0))


def error(x, ends, bits, symmetric=True):
    grid = grid_for(x, bits, symmetric=symmetric, limits=lambda _: ends)
    return (dequantize(quantize(x, grid), grid) - x).square().mean(-1)


def test_min_max_reaches_to_the_outermost_numbers():
    low, high = min_max(X)
    assert torch.equal(low, X.amin(1))
    assert torch.equal(high, X.amax(1))


@pytest.mark.parametrize("share", [1.0, 0.99, 0.9, 0.5, 0.0])
def test_percentiles_are_torchs_quantiles(share):
    low, high = percentile(X, share)
    # Interpolated between the same neighbours: one rounding of float32.
    torch.testing.assert_close(low, X.quantile((1 - share) / 2, dim=1))
    torch.testing.assert_close(high, X.quantile((1 + share) / 2, dim=1))


@pytest.mark.equation("eq-clipping-error")
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 4])
def test_no_other_share_of_the_range_has_less_error(bits, symmetric):
    chosen = least_error(X, bits, symmetric=symmetric, candidates=20)
    least = error(X, chosen, bits, symmetric)
    low, high = min_max(X)
    shares = (chosen[1] / high * 20).round()
    for number in range(1, 21):
        other = error(X, (number / 20 * low, number / 20 * high), bits, symmetric)
        # Where another share is chosen it is better by more than a rounding of float32 in the mean.
        assert (least <= other * (1 + 1e-5)).all()
    assert (shares < 20).all(), "with few bits clipping a normal distribution pays"


def test_one_far_number_is_clipped_with_few_bits_and_kept_with_many():
    x = torch.cat([torch.linspace(-1, 1, 400), torch.tensor([4.0])])
    assert least_error(x, 3)[1] < 2
    assert least_error(x, 8)[1] > 3


def test_each_row_has_a_range_of_its_own():
    x = torch.stack([X[0], 10 * X[0]])
    for limits in (min_max, percentile, partial(least_error, bits=4)):
        grid = grid_for(x, 4, limits=limits)
        torch.testing.assert_close(10 * grid.scale[0], grid.scale[1])
        codes = quantize(x, grid)
        assert torch.equal(codes[0], codes[1])
