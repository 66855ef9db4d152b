"""Eight-bit floats bound the relative error; NF4 has the published levels."""

import pytest
import torch
from torch import nn

from lib.compression import Float8Layer, NormalFloatLayer, float8, nearest, normal_float_levels
from lib.core import seeded

# Dettmers et al. 2023, appendix E.
NF4 = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
]  # fmt: skip


def test_the_levels_of_nf4_are_the_published_ones():
    # Published with seven digits of a computation in float32.
    torch.testing.assert_close(normal_float_levels(), torch.tensor(NF4), atol=2e-6, rtol=0)


def test_the_nearest_level_by_trying_all():
    x, levels = torch.randn(500, generator=seeded(0)), normal_float_levels()
    assert torch.equal(nearest(x, levels).long(), (x[:, None] - levels).abs().argmin(1))


@pytest.mark.parametrize(("kind", "bound", "largest"), [("e4m3", 1 / 16, 448), ("e5m2", 1 / 8, 57344)])
def test_the_relative_error_of_an_eight_bit_float_is_half_its_last_bit(kind, bound, largest):
    x = torch.randn(4, 1000, generator=seeded(0))
    codes, scale = float8(x, kind)
    back = codes.view({"e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2}[kind]).float() * scale
    normal = x.abs() / scale > 2**-6  # e4m3 has subnormal numbers below
    # One rounding of float32 in the quotient comes on top.
    assert ((back - x).abs()[normal] <= (bound + 1e-6) * x.abs()[normal]).all()
    assert (back - x).abs().max() > 0.5 * bound * x.abs().min()
    torch.testing.assert_close(scale * largest, x.abs().amax(1, keepdim=True))


def test_rows_of_zeros_stay_zeros():
    codes, _ = float8(torch.zeros(2, 3))
    assert codes.tolist() == [[0, 0, 0], [0, 0, 0]]
    layer = nn.Linear(64, 2)
    nn.init.zeros_(layer.weight)
    assert not NormalFloatLayer(layer).weight.any()
    assert not Float8Layer(layer).weight.any()


def test_nf4_layers_hold_the_nearest_levels_of_each_group():
    layer = nn.Linear(6, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[2.0, 1.0, -0.1, 0.5, 0.4, 0.0], [-4.0, 0.0, 4.0, 1.0, 0.3, 0.1]]))
    packed = NormalFloatLayer(layer, per=3)
    levels = torch.tensor(NF4)
    expected = [[2, 2 * levels[12], 2 * levels[6], 0.5, 0.5 * levels[14], 0], [-4, 0, 4, 1, levels[11], levels[8]]]
    # The levels themselves are published to 2e-6, times at most 2.
    torch.testing.assert_close(packed.weight, torch.tensor(expected), atol=4e-6, rtol=0)
    assert packed.codes.numel() == 6
