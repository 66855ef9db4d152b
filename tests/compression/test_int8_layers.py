"""Int8 layers: exact integer arithmetic on rounded inputs and weights, static, dynamic and smoothed."""

import copy
import pickle
from functools import partial

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from lib import architectures
from lib.compression import (
    bytes_of,
    dequantize,
    grid_for,
    int8_dynamic,
    int8_static,
    percentile,
    quantize,
    record_inputs,
    smoothing_factors,
    smoothquant,
)
from lib.core import seeded

X = torch.randn(40, 24, generator=seeded(0)) + 0.5
IMAGES = torch.randn(3, 4, 9, 10, generator=seeded(1))
LINEAR, CONVOLUTION = nn.Linear(24, 5), nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2))

KINDS = {
    "dynamic": lambda layer, rows: int8_dynamic(layer),
    "static": int8_static,
    "static, clipped": lambda layer, rows: int8_static(layer, rows, limits=partial(percentile, share=0.9)),
    "smoothed": smoothquant,
    "smoothed, static": lambda layer, rows: smoothquant(layer, rows, strength=0.7, static=True),
}
LAYERS = {
    "linear": (LINEAR, X),
    "tokens": (architectures.Linear(24, 5, bias=False), X.reshape(4, 10, 24)),
    "convolution": (CONVOLUTION, IMAGES),
    "circular": (architectures.Conv2d(4, 6, 3, padding=1, padding_mode="circular"), IMAGES),
}


def rows_of(layer, x):
    return record_inputs(nn.Sequential(layer), ["0"], x)["0"]


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


@pytest.fixture(params=LAYERS)
def case(request):
    return LAYERS[request.param]


@torch.no_grad()
def test_a_dynamic_layer_by_the_formula():
    steps_w, steps_x = LINEAR.weight.abs().amax(1) / 127, X.abs().amax(1) / 127
    w, x = (LINEAR.weight / steps_w[:, None]).round().long(), (X / steps_x[:, None]).round().long()
    expected = (x @ w.T).double() * steps_x[:, None] * steps_w + LINEAR.bias
    # Exact integers, then three roundings of float32.
    assert_close(int8_dynamic(LINEAR)(X).double(), expected, atol=1e-6, rtol=1e-6)


@torch.no_grad()
def test_a_static_layer_clips_what_calibration_did_not_see():
    layer = int8_static(LINEAR, X)
    step, zero = layer.input_grid.scale, layer.input_grid.zero_point
    far = 10 * X
    seen = (far / step).round().add(zero).clamp(0, 255).sub(zero) * step
    expected = nn.functional.linear(seen, layer.weight, LINEAR.bias)
    assert_close(layer(far), expected, atol=1e-5, rtol=1e-5)  # other order of adding up
    assert (layer(far) - LINEAR(far)).norm() > 0.3 * LINEAR(far).norm()


@torch.no_grad()
def test_outputs_are_near_those_of_the_layer(kind, case):
    layer, x = case
    y = kind(layer, rows_of(layer, x))(x)
    assert y.shape == layer(x).shape
    # Two roundings to 8 bits, 0.6 % each for normal numbers; where a tenth of the inputs is clipped about 15 %.
    clipped = kind is KINDS["static, clipped"]
    error = (y - layer(x)).norm() / layer(x).norm()
    assert error < (0.3 if clipped else 0.02)
    assert error > 1e-4


@torch.no_grad()
def test_it_computes_in_float32_whatever_comes(kind, case):
    layer, x = case
    packed = kind(layer, rows_of(layer, x))
    exact = packed(x)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        y = packed(x.to(dtype))
        assert y.dtype == dtype
        # Roundings of the input may move a code by one, and the result is rounded.
        assert_close(y.float(), exact, atol=0.05 if dtype == torch.bfloat16 else 0.02, rtol=0)


def test_gradients_pass_straight_through(kind, case):
    layer, x = case
    packed = kind(layer, rows_of(layer, x))
    x = x.clone().requires_grad_()
    y = packed(x)
    with torch.no_grad():
        assert torch.equal(y, packed(x))
    y.sum().backward()
    dense = copy.deepcopy(layer)
    dense.weight.data = packed.weight
    (expected,) = torch.autograd.grad(dense(x).sum(), x)
    assert_close(x.grad, expected, atol=1e-5, rtol=1e-5)  # other order of adding up


@torch.no_grad()
def test_it_is_stored_loaded_and_copied_like_any_module(kind, case):
    layer, x = case
    packed = kind(layer, rows_of(layer, x))
    other = kind(copy.deepcopy(layer).requires_grad_(False), rows_of(layer, 2 * x))
    other.codes.zero_()
    other.load_state_dict(packed.state_dict())
    for copied in (other, copy.deepcopy(packed), pickle.loads(pickle.dumps(packed))):
        assert torch.equal(copied(x), packed(x))
    assert packed.codes.dtype == torch.int8
    bias = 0 if layer.bias is None else layer.bias.numel()
    # A byte a weight; a step an output, a factor an input, the grid of the inputs.
    assert bytes_of(packed) <= layer.weight.numel() + 4 * (bias + len(layer.weight) + layer.weight[0].numel() + 2)


@torch.no_grad()
def test_nan_in_the_input_is_refused(kind, case):
    layer, x = case
    packed = kind(layer, rows_of(layer, x))
    x = x.clone()
    x.view(-1)[7] = torch.nan
    with pytest.raises(ValueError, match="finite"):
        packed(x)


def test_smoothing_by_hand():
    # max|x|^α / max|W|^(1−α): 100^0.5 / 0.25^0.5 = 20, 4^0.25 / 16^0.75 = √2 / 8.
    assert_close(smoothing_factors(torch.tensor([100.0]), torch.tensor([0.25])), torch.tensor([20.0]))
    assert_close(smoothing_factors(torch.tensor([4.0]), torch.tensor([16.0]), 0.25), torch.tensor([2**0.5 / 8]))
    assert smoothing_factors(torch.tensor([0.0, 3.0]), torch.tensor([2.0, 0.0])).tolist() == [1, 1]


@torch.no_grad()
def test_at_one_half_inputs_and_weights_become_equally_large():
    packed = smoothquant(LINEAR, X)
    inputs = (X / packed.input_factor).abs().amax(0)
    weights = (LINEAR.weight * packed.input_factor).abs().amax(0)
    assert_close(inputs, weights)


@torch.no_grad()
def test_with_one_large_channel_smoothing_is_nearer_than_plain_int8():
    x = X.clone()
    x[:, 3] *= 200
    exact = LINEAR(x)
    errors = [(layer(x) - exact).norm() for layer in (smoothquant(LINEAR, x), int8_dynamic(LINEAR))]
    assert errors[0] < 0.5 * errors[1]
    static = [(layer(x) - exact).norm() for layer in (smoothquant(LINEAR, x, static=True), int8_static(LINEAR, x))]
    assert static[0] < 0.5 * static[1]


def test_no_rows_give_no_rows():
    assert int8_dynamic(LINEAR)(torch.zeros(0, 24)).shape == (0, 5)


@torch.no_grad()
def test_one_row_without_a_batch():
    layer = int8_dynamic(LINEAR)
    assert torch.equal(layer(X[0]), layer(X[:1])[0])


@torch.no_grad()
def test_static_is_the_affine_grid_of_all_inputs():
    layer = int8_static(LINEAR, X)
    grid = grid_for(X.reshape(1, -1), 8, symmetric=False)
    assert_close(layer.input_grid.scale, grid.scale[0, 0])
    expected = nn.functional.linear(dequantize(quantize(X, grid), grid), layer.weight, LINEAR.bias)
    assert_close(layer(X), expected, atol=1e-5, rtol=1e-5)  # other order of adding up
