"""Weights in few bits: the bytes they take, the codes they hold, the layers they come from."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from lib.compression import (
    Float8Layer,
    NormalFloatLayer,
    awq,
    bytes_of,
    dequantize,
    gptq,
    grid_for,
    grouped,
    least_error,
    quantize,
    weight_only,
)
from lib.core import seeded


def layer(*shape):
    made = (
        nn.Linear(shape[1], shape[0], bias=False)
        if len(shape) == 2
        else nn.Conv2d(shape[1], shape[0], shape[2:], bias=False)
    )
    with torch.no_grad():
        made.weight.copy_(torch.randn(shape, generator=seeded(1)))
    return made


MOMENTS = torch.diag(torch.linspace(0.5, 4, 64)) + 0.3


@pytest.mark.parametrize("shape", [(8, 64), (8, 4, 4, 4)])
@pytest.mark.parametrize(
    ("pack", "bits", "steps", "more"),
    [
        (weight_only, 8, 8 * 4, 0),
        (partial(weight_only, per="tensor", symmetric=False), 8, 4, 1),
        (partial(weight_only, bits=4, per=32), 4, 16 * 4, 0),
        (partial(weight_only, bits=4, per=32, symmetric=False, scales=torch.float16), 4, 16 * 2, 16),
        (partial(weight_only, bits=3), 3, 8 * 4, 0),
        (Float8Layer, 8, 8 * 4, 0),
        (NormalFloatLayer, 4, 8 * 4, 0),
        (partial(gptq, second_moments=MOMENTS, group=16), 4, 32 * 4, 0),
        (partial(awq, second_moments=MOMENTS, per=16), 4, 32 * 4, 64 * 4),
    ],
)
def test_bytes_are_those_of_the_codes_the_steps_and_the_zero_points(pack, bits, steps, more, shape):
    assert bytes_of(pack(layer(*shape))) == 512 * bits // 8 + steps + more


@pytest.mark.parametrize("per", ["tensor", "channel", 16])
@pytest.mark.parametrize("bits", [2, 4, 7, 8])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("limits", [None, "least error"])
def test_the_weight_is_what_its_grid_makes_of_it(per, bits, symmetric, limits):
    dense = layer(6, 4, 2, 4)
    settings = {} if limits is None else {"limits": partial(least_error, bits=bits, symmetric=symmetric)}
    packed = weight_only(dense, bits, per=per, symmetric=symmetric, **settings)
    numbers = grouped(dense.weight.detach(), per)
    grid = grid_for(numbers, bits, symmetric=symmetric, **settings)
    assert torch.equal(packed.weight, dequantize(quantize(numbers, grid), grid).reshape(dense.weight.shape))
    assert (packed.grid.low, packed.grid.high) == (grid.low, grid.high)


def test_codes_are_chosen_for_the_steps_as_they_are_stored():
    dense = layer(4, 256)
    packed = weight_only(dense, 8, scales=torch.float16)
    error = (packed.weight - dense.weight).abs()
    # Half a step everywhere but at the far end, which a step rounded down may clip by 127 times its last digit.
    assert (error <= packed.scale[:, 0].float() * (0.5 + 127 * 2**-11)).all()
    assert (error <= 0.501 * packed.scale[:, 0].float()).float().mean() > 0.99


def test_a_channel_that_is_nearly_dead_does_not_spoil_the_others():
    dense = layer(4, 64)
    with torch.no_grad():
        dense.weight[2] *= 1e-10
    packed = weight_only(dense, 4, scales=torch.float16)
    assert packed.scale.min() > 0
    assert (packed.weight[2] - dense.weight[2]).abs().max() < 1e-7
    others = [0, 1, 3]
    assert (packed.weight[others] - dense.weight[others]).norm() < 0.2 * dense.weight[others].norm()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_layers_in_other_precision_are_packed_too(dtype):
    dense = layer(8, 64).to(dtype)
    x = torch.randn(3, 64, generator=seeded(2)).to(dtype)
    for pack in (weight_only, Float8Layer, NormalFloatLayer, partial(gptq, second_moments=MOMENTS)):
        packed = pack(copy.deepcopy(dense))
        assert packed(x).dtype == dtype
        assert (packed(x) - dense(x)).norm() < 0.2 * dense(x).norm()


def test_a_depthwise_convolution_has_a_step_for_each_channel():
    dense = nn.Conv2d(6, 6, 3, groups=6)
    packed = weight_only(dense, 8)
    assert packed.scale.shape == (6, 1, 1)
    images = torch.randn(2, 6, 5, 5, generator=seeded(3))
    assert (packed(images) - dense(images)).norm() < 0.01 * dense(images).norm()
