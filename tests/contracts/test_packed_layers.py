"""One rule for every packed form: it computes what its dequantised weight would, and travels as a module does.

A new kind of packing is one row of FAMILY.
"""

import copy
import io
import pickle
import re
from functools import partial

import pytest
import torch
from refusals import KINDS, not_refused
from torch import nn

import lib.compression
from lib import architectures
from lib.compression import (
    Float8Layer,
    LoRA,
    Masked,
    NormalFloatLayer,
    QuantizationAware,
    SparseLayer,
    awq,
    bytes_of,
    gptq,
    int8_dynamic,
    int8_static,
    low_rank,
    weight_only,
)
from lib.compression.packed import PackedLayer
from lib.core import replaced

# torch's own convolution says so once of an even window, whose padding differs from side to side.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")


def masked(layer):
    return Masked(layer, layer.weight > 0)


def pruned(layer):
    layer = copy.deepcopy(layer)
    layer.weight.data[layer.weight.data < 0] = 0
    return SparseLayer(layer)


def moments(layer):
    """Second moments of inputs that are related and of uneven size."""
    features = layer.weight[0].numel()
    return torch.diag(torch.linspace(0.5, 4, features)) + 0.3


# Kind of packing → how one layer is packed; those that multiply by something else than one matrix, by their own rounding.
FAMILY = {
    "masked": masked,
    "sparse": pruned,
    "low rank": partial(low_rank, rank=2),
    "int8": weight_only,
    "int8, affine, per tensor": partial(weight_only, per="tensor", symmetric=False),
    "int4 in groups": partial(weight_only, bits=4, per=4),
    "int3, affine, steps of 16 bits": partial(weight_only, bits=3, symmetric=False, scales=torch.float16),
    "float8": Float8Layer,
    "float8 in groups": partial(Float8Layer, kind="e5m2", per=4),
    "nf4": partial(NormalFloatLayer, per="channel"),
    "gptq": lambda layer: gptq(layer, moments(layer), group=4),
    "awq": lambda layer: awq(layer, moments(layer), per=4),
}

LAYERS = {
    "dense": (lambda: nn.Linear(8, 6), (3, 8)),
    "dense, tokens, no bias": (lambda: architectures.Linear(8, 6, bias=False), (2, 5, 8)),
    "convolution": (lambda: nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2)), (2, 4, 9, 8)),
    "wrapped": (lambda: architectures.Conv2d(4, 6, 3, padding=1, padding_mode="circular"), (2, 4, 5, 6)),
    "same": (lambda: nn.Conv2d(4, 6, (2, 3), padding="same"), (2, 4, 5, 6)),
}
CASES = [pytest.param(kind, name, id=f"{kind}: {name}") for kind in FAMILY for name in LAYERS]


@pytest.fixture
def packed(request):
    """A layer, what one kind of packing makes of it, and inputs."""
    kind, name = request.param
    make, shape = LAYERS[name]
    layer = make()
    return layer, FAMILY[kind](layer), torch.randn(shape)


all_cases = pytest.mark.parametrize(
    "packed", [case.values for case in CASES], ids=[case.id for case in CASES], indirect=True
)


@torch.no_grad()
@all_cases
def test_it_computes_what_its_dequantised_weight_would(packed):
    layer, form, x = packed
    layer.weight.copy_(form.weight)
    torch.testing.assert_close(form(x), layer(x))


@torch.no_grad()
@all_cases
def test_inputs_of_each_dtype_are_computed_in_it(packed):
    layer, form, x = packed
    layer.weight.copy_(form.weight)
    expected = layer.double()(x.double())
    # Eight significant bits in bfloat16, of the weight and of each intermediate sum.
    for dtype, tolerance in ((torch.float64, 1e-6), (torch.float32, 1e-5), (torch.bfloat16, 0.05)):
        output = form(x.to(dtype))
        assert output.dtype == dtype
        torch.testing.assert_close(output.double(), expected, atol=tolerance, rtol=tolerance)


@torch.no_grad()
@all_cases
def test_copies_pickles_and_state_dicts_are_the_same_layer(packed):
    _, form, x = packed
    for other in (copy.deepcopy(form), pickle.loads(pickle.dumps(form))):
        assert torch.equal(other(x), form(x))
        assert {p.data_ptr() for p in other.parameters()}.isdisjoint(p.data_ptr() for p in form.parameters())
    file = io.BytesIO()
    torch.save(form.state_dict(), file)
    file.seek(0)
    blank = copy.deepcopy(form)
    for tensor in blank.state_dict().values():
        tensor.zero_()
    blank.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(blank(x), form(x))


@all_cases
def test_the_layer_that_was_packed_is_as_before_and_a_plan_does_the_same(packed):
    layer, form, x = packed
    model = nn.Sequential(nn.Identity(), layer)
    before = copy.deepcopy(layer.state_dict())
    kind = next(
        kind
        for kind in FAMILY
        if type(FAMILY[kind](layer)) is type(form) and form.weight.equal(FAMILY[kind](layer).weight)
    )
    changed = replaced(model, {"1": FAMILY[kind]})
    assert torch.equal(changed(x), form(x))
    assert all(torch.equal(before[name], tensor) for name, tensor in layer.state_dict().items())
    assert bytes_of(changed) == bytes_of(form)


@all_cases
def test_the_gradient_of_the_input_is_that_of_the_dequantised_weight(packed):
    layer, form, x = packed
    layer.weight.data.copy_(form.weight)
    gradients = [torch.autograd.grad(module(x.requires_grad_()).square().sum(), x)[0] for module in (form, layer)]
    torch.testing.assert_close(*gradients)


@torch.no_grad()
@all_cases
def test_a_model_that_changes_its_dtype_keeps_whole_numbers(packed):
    _, form, x = packed
    whole = {name: tensor.clone() for name, tensor in form.named_buffers() if not tensor.is_floating_point()}
    form.bfloat16()
    assert all(torch.equal(dict(form.named_buffers())[name], tensor) for name, tensor in whole.items())
    assert form(x.bfloat16()).dtype == torch.bfloat16


# What stands in a layer's place in a model that is to be made smaller; as a model does, it refuses what is no input of its layer's.
IN_PLACE = FAMILY | {
    "LoRA": partial(LoRA, rank=2),
    "LoRA on int8": lambda layer: LoRA(weight_only(layer), rank=2),
    "quantization-aware": QuantizationAware,
    "quantization-aware, inputs too": partial(QuantizationAware, inputs=True),
    "int8, dynamic": int8_dynamic,
    "int8, static": lambda layer: int8_static(layer, torch.randn(3, layer.weight[0].numel())),
}
OTHER_SIZES = {
    "one number": lambda x: x.flatten()[0],
    "features too many": lambda x: torch.cat([x, x[:, :1]], 1) if x.ndim == 4 else torch.cat([x, x[..., :1]], -1),
    "features too few": lambda x: x[:, 1:] if x.ndim == 4 else x[..., 1:],
    "an image alone": lambda x: x[0] if x.ndim == 4 else x[..., :3],
    "an image smaller than the window": lambda x: x[:, :, :0] if x.ndim == 4 else x[..., :0],
}


@pytest.mark.bad_input
@pytest.mark.parametrize("kind", IN_PLACE)
@pytest.mark.parametrize("name", LAYERS)
def test_what_is_no_input_of_the_layer_is_refused(name, kind):
    make, shape = LAYERS[name]
    form, x = IN_PLACE[kind](make()), torch.randn(shape)
    assert not_refused(form, x, KINDS | OTHER_SIZES) == {}


@pytest.mark.bad_input
@pytest.mark.parametrize("kind", IN_PLACE)
@pytest.mark.parametrize(
    ("layer", "x", "message"),
    [
        (nn.Linear(8, 6), (3, 9), "x must have the layer's 8 features along axis -1, got shape (3, 9)"),
        (nn.Conv2d(4, 6, 3), (2, 5, 6, 6), "x must have the layer's 4 channels along axis 1, got shape (2, 5, 6, 6)"),
        (nn.Conv2d(4, 6, 3), (4, 6, 6), "x must have 4 axes (batch, channels, height, width), got 3"),
        (nn.Conv2d(4, 6, 3, padding=(1, 0), dilation=(1, 2)), (2, 4, 1, 4), "the window spans 5 but the padded width is only 4"),
        (nn.Conv2d(4, 6, 3, padding=(0, 2), dilation=(2, 1)), (2, 4, 4, 1), "the window spans 5 but the padded height is only 4"),
        (nn.Conv2d(4, 6, 2, padding=(2, 1), padding_mode="circular"), (2, 4, 1, 3), "circular padding 2 must not exceed the height 1"),
    ],
)  # fmt: skip
def test_the_size_received_and_the_rule_are_named(kind, layer, x, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        IN_PLACE[kind](copy.deepcopy(layer))(torch.randn(x))


def test_the_smallest_image_that_fits_is_computed():
    layer = nn.Conv2d(4, 6, 2, padding=(2, 1), padding_mode="circular")
    x = torch.randn(2, 4, 2, 1)
    torch.testing.assert_close(weight_only(layer)(x), layer(x), atol=0.05, rtol=0.05)
    layer = nn.Conv2d(4, 6, 3, dilation=(2, 1))
    x = torch.randn(2, 4, 5, 3)
    torch.testing.assert_close(weight_only(layer)(x), layer(x), atol=0.05, rtol=0.05)


@pytest.mark.bad_input
def test_a_range_of_inputs_needs_an_input():
    layer = QuantizationAware(nn.Linear(8, 6), inputs=True)
    with pytest.raises(ValueError, match=re.escape("x must hold at least one element, got shape (0, 8)")):
        layer(torch.zeros(0, 8))


@pytest.mark.bad_input
@pytest.mark.parametrize("kind", FAMILY)
@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        (nn.Embedding(3, 4), TypeError, "layer must be a Linear or Conv2d of lib.architectures or torch.nn, got Embedding"),
        (nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), ValueError, "padding_mode must be 'zeros' or 'circular', got 'reflect'"),
    ],
)  # fmt: skip
def test_other_layers_are_refused(kind, layer, error, message):
    with pytest.raises(error, match=re.escape(message)):
        FAMILY[kind](layer)


@pytest.mark.bad_input
@pytest.mark.parametrize("kind", FAMILY)
def test_a_weight_that_is_not_finite_is_refused(kind):
    layer = nn.Linear(8, 6)
    layer.weight.data[2, 3] = float("nan")
    with pytest.raises(ValueError, match=re.escape("weight must be finite, got nan at (2, 3) (1 such values)")):
        FAMILY[kind](layer)


def test_no_packed_kind_is_missing():
    offered = {getattr(lib.compression, name) for name in lib.compression.__all__}
    kinds = {kind for kind in offered if isinstance(kind, type) and issubclass(kind, PackedLayer)}
    assert kinds <= {type(pack(nn.Linear(8, 6))) for pack in FAMILY.values()}
