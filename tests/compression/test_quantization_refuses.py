"""What quantization refuses: with the value received and the rule, and before anything is changed."""

import copy
import re
from functools import partial

import pytest
import torch
from torch import nn

from lib.compression import (
    Float8Layer,
    NormalFloatLayer,
    QuantizationAware,
    affine_grid,
    affine_product,
    awq,
    dequantize,
    fake_quantize,
    float8,
    gptq,
    grid_for,
    grouped,
    int8_dynamic,
    int8_static,
    integer_product,
    least_error,
    min_max,
    output_error,
    percentile,
    plan_for,
    quantize,
    record_inputs,
    smoothing_factors,
    smoothquant,
    symmetric_grid,
    weight_only,
)
from lib.core import replaced

NAN, INF = float("nan"), float("inf")
ONE, X, LAYER = torch.tensor(1.0), torch.randn(10, 24), nn.Linear(24, 5)
GRID, MOMENTS, BYTES = symmetric_grid(ONE, bits=8), torch.eye(24), torch.zeros(2, 24, dtype=torch.int8)
DEPTHWISE = nn.Conv2d(4, 4, 3, groups=4)


def with_one(value, x=X):
    x = x.clone()
    x[1, 2] = value
    return x


BITS = [
    pytest.param(call, bits, error, id=f"{name}, bits {bits!r}")
    for name, call in {
        "affine_grid": lambda bits: affine_grid(-ONE, ONE, bits),
        "symmetric_grid": lambda bits: symmetric_grid(ONE, bits),
        "least_error": lambda bits: least_error(X, bits),
        "grid_for": lambda bits: grid_for(X, bits),
        "weight_only": lambda bits: weight_only(LAYER, bits),
        "gptq": lambda bits: gptq(LAYER, MOMENTS, bits),
        "awq": lambda bits: awq(LAYER, MOMENTS, bits),
        "QuantizationAware": lambda bits: QuantizationAware(LAYER, bits),
    }.items()
    for bits, error in [
        (1, ValueError),
        (0, ValueError),
        (-4, ValueError),
        (9, ValueError),
        (4.0, TypeError),
        (True, TypeError),
    ]
]


@pytest.mark.bad_input
@pytest.mark.parametrize(("call", "bits", "error"), BITS)
def test_bits_outside_two_to_eight(call, bits, error):
    rule = "bits must lie in 2 … 8" if error is ValueError else "bits must be an int"
    with pytest.raises(error, match=f"{rule}, got .*{re.escape(str(bits))}"):
        call(bits)


CALIBRATED = {
    "int8_static": lambda layer, x: int8_static(layer, x),
    "smoothquant": lambda layer, x: smoothquant(layer, x),
    "smoothquant, static": lambda layer, x: smoothquant(layer, x, static=True),
}
DATA = {
    "no row": (X[:0], "inputs must hold at least one element along samples, got shape (0, 24)"),
    "NaN": (with_one(NAN), "inputs must be finite, got nan at (1, 2)"),
    "infinity": (with_one(INF), "inputs must be finite, got inf at (1, 2)"),
    "one value": (torch.full((10, 24), 0.5), "inputs must hold two different values to calibrate with, got only 0.5"),
    "other features": (X[:, :20], "inputs must have the layer's 24 features, got 20"),
    "not rows": (X[None], "inputs must have 2 axes (samples, features), got 3"),
}
MOMENTS_OF = {
    "NaN": (with_one(NAN, MOMENTS), "second_moments must be finite, got nan"),
    "other features": (torch.eye(20), "second_moments must have the layer's 24 features, got 20"),
    "nothing but zeros seen": (0 * MOMENTS, "second_moments must have a positive number on the diagonal, got none"),
    "inputs instead": (X, "second_moments"),
    "negative squares": (-MOMENTS, "second_moments must have squares on the diagonal, got -1.0"),
    "half of it only": (
        MOMENTS + torch.ones(24, 24).triu(1),
        "second_moments must be symmetric, got numbers that differ by 1 ",
    ),
}


@pytest.mark.bad_input
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("method", CALIBRATED)
def test_calibration_with_bad_data(method, data):
    x, message = DATA[data]
    with pytest.raises(ValueError, match=re.escape(message)):
        CALIBRATED[method](LAYER, x)


@pytest.mark.bad_input
@pytest.mark.parametrize("data", MOMENTS_OF)
@pytest.mark.parametrize("method", [gptq, awq])
def test_calibration_with_bad_moments(method, data):
    moments, message = MOMENTS_OF[data]
    with pytest.raises(ValueError, match=re.escape(message)):
        method(LAYER, moments)


GROUPS = {
    "weight_only": lambda group: weight_only(LAYER, 4, per=group),
    "Float8Layer": lambda group: Float8Layer(LAYER, per=group),
    "NormalFloatLayer": lambda group: NormalFloatLayer(LAYER, per=group),
    "gptq": lambda group: gptq(LAYER, MOMENTS, group=group),
    "awq": lambda group: awq(LAYER, MOMENTS, per=group),
    "QuantizationAware": lambda group: QuantizationAware(LAYER, 4, per=group),
    "grouped": lambda group: grouped(LAYER.weight, group),
}


@pytest.mark.bad_input
@pytest.mark.parametrize("method", GROUPS)
def test_a_group_that_does_not_divide_the_inputs(method):
    with pytest.raises(ValueError, match="inputs of a channel 24 must be divisible by group size 7"):
        GROUPS[method](7)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        GROUPS[method](0)
    with pytest.raises(TypeError, match="must be"):
        GROUPS[method](8.0)


TABLE = [
    (lambda: affine_grid(ONE, -ONE, 8), ValueError, "the range's low end must not be above its high end, got 1.0 above -1.0"),
    (lambda: affine_grid(-ONE, ONE / 0, 8), ValueError, "the high end of the range must be finite, got inf"),
    (lambda: symmetric_grid(-ONE, 8), ValueError, "the range's low end must not be above its high end, got 0.0 above -1.0"),
    (lambda: symmetric_grid(ONE * NAN, 8), ValueError, "the high end of the range must be finite, got nan"),
    (lambda: quantize(with_one(NAN), GRID), ValueError, "x must be finite, got nan at (1, 2) (1 such values)"),
    (lambda: quantize(BYTES, GRID), TypeError, "x must be floating point, got torch.int8"),
    (lambda: quantize(X, 0.1), TypeError, "grid must be a Grid, got float 0.1"),
    (lambda: dequantize(X, GRID), TypeError, "codes must hold integers, got torch.float32"),
    (lambda: fake_quantize(BYTES, GRID), TypeError, "x must be floating point, got torch.int8"),
    (lambda: min_max(X[:, :0]), ValueError, "x must hold at least one element along members, got shape (10, 0)"),
    (lambda: percentile(with_one(NAN)), ValueError, "x must be finite, got nan"),
    (lambda: percentile(X, 1.5), ValueError, "share must be from 0 to 1, got 1.5"),
    (lambda: least_error(X, 4, candidates=0), ValueError, "candidates must be at least 1, got 0"),
    (lambda: grid_for(X, 4, limits="percentile"), TypeError, "limits must be callable, got str 'percentile'"),
    (lambda: grouped(X, "row"), ValueError, "per must be 'tensor' or 'channel', got 'row'"),
    (lambda: weight_only(LAYER, 4, per="row"), ValueError, "per must be 'tensor' or 'channel', got 'row'"),
    (lambda: float8(X, "e3m4"), ValueError, "kind must be 'e4m3' or 'e5m2', got 'e3m4'"),
    (lambda: float8(with_one(-INF)), ValueError, "x must be finite, got -inf"),
    (lambda: weight_only(LAYER, scales=torch.int8), TypeError, "scales must be a floating-point dtype, got torch.int8"),
    (lambda: weight_only(tiny(), scales=torch.float16), ValueError, "scales as torch.float16 must hold the longest step, got 7.87e-12"),
    (lambda: integer_product(BYTES, BYTES[:, :20]), ValueError, "a and b must agree on inner, got 24 and 20"),
    (lambda: integer_product(BYTES, X), TypeError, "b must have dtype torch.int8, got torch.float32"),
    (lambda: integer_product(BYTES[:1, :1].expand(1, 131_072), BYTES[:1, :1].expand(1, 131_072)), ValueError, "inner must be at most 131071, or an int32 may overflow, got 131072"),
    (lambda: affine_product(BYTES.int(), GRID, BYTES, GRID), TypeError, "a must hold codes of dtype torch.int8 or torch.uint8, got torch.int32"),
    (lambda: int8_dynamic(DEPTHWISE), ValueError, "an int8 product needs one matrix, got a convolution of 4 groups"),
    (lambda: int8_static(DEPTHWISE, X), ValueError, "layer must have one matrix, got a convolution of 4 groups"),
    (lambda: gptq(DEPTHWISE, MOMENTS), ValueError, "layer must have one matrix, got a convolution of 4 groups"),
    (lambda: int8_dynamic(nn.Embedding(3, 4)), TypeError, "layer must be a Linear or Conv2d of lib.architectures or torch.nn, got Embedding"),
    (lambda: int8_dynamic(LAYER)(X[:, :20]), ValueError, "x must have the layer's 24 features along axis -1, got shape (10, 20)"),
    (lambda: gptq(LAYER, MOMENTS, damping=0.0), ValueError, "damping must be positive and finite, got 0.0"),
    (lambda: gptq(LAYER, -10 * torch.ones(24, 24) + 11 * MOMENTS), ValueError, "second_moments must be the mean of x xᵀ over inputs, got a matrix that is not"),
    (lambda: awq(LAYER, MOMENTS, candidates=0), ValueError, "candidates must be at least 1, got 0"),
    (lambda: smoothquant(LAYER, X, strength=-0.1), ValueError, "strength must be from 0 to 1, got -0.1"),
    (lambda: smoothing_factors(X[0], X[0, :3]), ValueError, "largest_inputs and largest_weights must agree on features, got 24 and 3"),
    (lambda: output_error(X, X[:5], MOMENTS), ValueError, "weight and approximation must agree on outputs, got 10 and 5"),
    (lambda: QuantizationAware(LAYER, 4, inputs=True), ValueError, "rounded inputs go with 8 symmetric bits per channel, as int8 products do, got 4 bits"),
    (lambda: QuantizationAware(nn.ReLU()), TypeError, "layer must be a Linear or Conv2d"),
    (lambda: QuantizationAware(LAYER, momentum=1.5), ValueError, "momentum must be from 0 to 1, got 1.5"),
    (lambda: QuantizationAware(LAYER, inputs=True).eval()(X), ValueError, "the range of the inputs is not known: the layer must first see a batch in training mode"),
    (lambda: QuantizationAware(LAYER, inputs=True).packed(), ValueError, "the range of the inputs is not known"),
    (lambda: QuantizationAware(LAYER, inputs=True)(with_one(NAN)), ValueError, "x must be finite, got nan"),
]  # fmt: skip


def tiny():
    layer = nn.Linear(2, 1)
    nn.init.constant_(layer.weight, 1e-9)
    return layer


@pytest.mark.bad_input
@pytest.mark.parametrize(("call", "error", "message"), [pytest.param(*row, id=row[2]) for row in TABLE])
def test_bad_input_is_refused_with_the_value_and_the_rule(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


@pytest.mark.bad_input
def test_a_plan_that_fails_at_its_last_layer_changes_nothing():
    model = nn.Sequential(nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 10))
    before, modes = copy.deepcopy(model.state_dict()), [module.training for module in model.modules()]
    moments = record_inputs(model, ["0", "2"], X, keep="second moments")
    for plan in (
        plan_for(model, partial(weight_only, bits=4, per=7)),
        plan_for(model, gptq, given={**moments, "2": torch.eye(3)}),
        plan_for(model, int8_static, given={"0": X, "2": with_one(NAN)}),
    ):
        with pytest.raises(ValueError, match=r"group size|features|finite"):
            replaced(model, plan)
    assert [type(module) for module in model] == [nn.Linear, nn.ReLU, nn.Linear]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"only": ["7"]}, "only must name layers"),
        ({"only": ["0", "0"]}, "only must name each layer once"),
        ({"except_": ["0", "2"]}, "the plan must name a layer"),
        ({"given": {"0": MOMENTS}}, "given must hold something for each layer, got nothing for '2'"),
    ],
)
def test_a_plan_that_names_no_layer_or_one_twice(settings, message):
    model = nn.Sequential(nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 10))
    with pytest.raises(ValueError, match=message):
        replaced(model, plan_for(model, gptq, **settings))
