"""One contract over dtypes: what a layer gives in half precision is torch's own answer, rounded once; large and tiny too."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from lib.architectures import (
    BatchNorm,
    Conv2d,
    GroupNorm,
    LayerNorm,
    Linear,
    MultiHeadAttention,
    RMSNorm,
    attention,
    avg_pool2d,
    batch_norm,
    conv1d,
    conv2d,
    conv2d_formula,
    cross_entropy,
    gelu,
    global_avg_pool2d,
    group_norm,
    layer_norm,
    linear,
    log_softmax,
    max_pool2d,
    relu,
    rms_norm,
    sigmoid,
    softmax,
    tanh,
)  # fmt: skip
from lib.core import seeded
from lib.core.precision import in_float32

HALVES = [torch.float16, torch.bfloat16]
# A result that was rounded once is within half a unit in the last place; sums of products are rounded once more.
ROUNDED = {torch.float16: 2**-10, torch.bfloat16: 2**-7, torch.float32: 1e-5, torch.float64: 1e-12}
WEIGHT, LABELS = torch.randn(4, 3, 2, 2, generator=seeded(1)) / 4, torch.tensor([0, 2, 1])
SIZES = (1e-3, 1.0, 30.0)


def rows(size):
    return size * torch.randn(3, 5, 6, generator=seeded(0))


def images(size):
    return size * torch.randn(2, 3, 5, 4, generator=seeded(0))


PAIRS = {
    "relu": (rows, relu, torch.relu),
    "sigmoid": (rows, sigmoid, torch.sigmoid),
    "tanh": (rows, tanh, torch.tanh),
    "gelu": (rows, gelu, F.gelu),
    "softmax": (rows, lambda x: softmax(x, temperature=0.5), lambda x: torch.softmax(2 * x, -1)),
    "log_softmax": (rows, log_softmax, lambda x: torch.log_softmax(x, -1)),
    "layer_norm": (rows, layer_norm, lambda x: F.layer_norm(x, (6,))),
    "rms_norm": (rows, rms_norm, lambda x: F.rms_norm(x, (6,), eps=1e-5)),
    "batch_norm": (images, batch_norm, lambda x: F.batch_norm(x, None, None, training=True)),
    "group_norm": (images, lambda x: group_norm(x, 3), lambda x: F.group_norm(x, 3)),
    # Products of two larger numbers make a softmax so steep that it magnifies their last digit.
    "attention": (lambda size: rows(min(size, 3)), lambda x: attention(x, x, x), lambda x: F.scaled_dot_product_attention(x, x, x)),
    "linear": (rows, lambda x: linear(x, x[0]), lambda x: F.linear(x, x[0])),
    "conv2d": (images, lambda x: conv2d(x, WEIGHT.to(x)), lambda x: F.conv2d(x, WEIGHT.to(x))),
    "conv2d_formula": (images, lambda x: conv2d_formula(x, WEIGHT.to(x)), lambda x: F.conv2d(x, WEIGHT.to(x))),
    "conv1d": (rows, lambda x: conv1d(x, x[:, :, :2]), lambda x: F.conv1d(x, x[:, :, :2])),
    "max_pool2d": (images, lambda x: max_pool2d(x, 2), lambda x: F.max_pool2d(x, 2)),
    "avg_pool2d": (images, lambda x: avg_pool2d(x, 2), lambda x: F.avg_pool2d(x, 2)),
    "global_avg_pool2d": (images, global_avg_pool2d, lambda x: x.mean((2, 3))),
    "cross_entropy": (lambda size: rows(size)[:, 0], lambda x: cross_entropy(x, LABELS), lambda x: F.cross_entropy(x, LABELS)),
}  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", ROUNDED, ids=str)
@pytest.mark.parametrize("name", PAIRS)
def test_values_and_gradients_are_torchs_in_float32_rounded_once(name, dtype, size):
    make, ours, torchs = PAIRS[name]
    x = make(size).to(dtype)
    # The reference computes with the same rounded numbers, in a dtype that loses nothing of them.
    exact = x.double() if dtype in (torch.float32, torch.float64) else x.float()
    outputs, gradients = [], []
    for f, leaf in ((ours, x.clone().requires_grad_()), (torchs, exact.clone().requires_grad_())):
        y = f(leaf)
        outputs.append(y)
        # Weighted, since some outputs always sum to the same.
        weights = torch.randn(y.shape, generator=seeded(2)).to(dtype)
        gradients += torch.autograd.grad(y, leaf, weights.to(y.dtype))
    assert outputs[0].dtype == gradients[0].dtype == dtype
    for mine, right in (outputs, gradients):
        right = right.detach().double()
        # Relative to the largest, because sums cancel; and no number is finer than the dtype's least.
        absolute = 2 * ROUNDED[dtype] * right.abs().max().item() + torch.finfo(dtype).smallest_normal * 2**-10
        assert_close(mine.detach().double(), right, rtol=2 * ROUNDED[dtype], atol=absolute)


HALF = torch.float16
EDGES = {
    "tanh": (tanh, torch.tanh, [4.0, 5.5, 6.0, 12.0, -12.0, 1e-4]),
    "sigmoid": (sigmoid, torch.sigmoid, [-12.0, -11.0, 11.0, 60000.0, -60000.0]),
    "layer_norm": (layer_norm, lambda x: F.layer_norm(x, x.shape[-1:]), [400.0, 800.0, 1200.0, 1600.0]),
    "rms_norm": (rms_norm, lambda x: F.rms_norm(x, x.shape[-1:], eps=1e-5), [400.0, 800.0, 60000.0]),
    "group_norm": (lambda x: group_norm(x[None], 1), lambda x: F.group_norm(x[None], 1), [400.0, 800.0, 60000.0]),
    "batch_norm": (lambda x: batch_norm(x[:, None]), lambda x: F.batch_norm(x[:, None], None, None, training=True), [400.0, 800.0, 60000.0]),
    "softmax": (softmax, lambda x: torch.softmax(x, -1), [60000.0, -60000.0, 59968.0]),
    "log_softmax": (log_softmax, lambda x: torch.log_softmax(x, -1), [60000.0, 59968.0, 1.0]),
    "softmax, cold": (lambda x: softmax(x, temperature=1e-4), lambda x: torch.softmax(x / 1e-4, -1), [9.0, 8.0, -3.0]),
    "average": (
        lambda x: avg_pool2d(x.view(1, 1, 2, 2), 2), lambda x: F.avg_pool2d(x.view(1, 1, 2, 2), 2), [60000.0] * 4),
    "global average": (
        lambda x: global_avg_pool2d(x.view(1, 1, 2, 2)), lambda x: x.view(1, 1, 4).mean(-1), [60000.0] * 4),
    "attention": (lambda x: attention(*[x[None].expand(2, 4)] * 3), lambda x: x[None].expand(2, 4), [100.0, 300.0, -200.0, 100.0]),
}  # fmt: skip


@pytest.mark.parametrize("name", EDGES)
def test_float16_goes_to_the_end_of_its_range(name):
    ours, torchs, numbers = EDGES[name]
    x = torch.tensor(numbers)
    assert_close(ours(x.to(HALF)), torchs(x.to(HALF).float()).to(HALF))


def test_float32_has_no_silent_end_either():
    # Squares leave the range: torch's layer norm gives NaN, and zeros would be taken for an answer.
    far = torch.tensor([[1e20, 2e20, 3e20]])
    for result in (layer_norm(far), rms_norm(far), group_norm(far, 1), batch_norm(far.T)):
        assert result.isnan().all()
    tiny = torch.finfo(torch.float32).tiny
    # Neither what the largest score is divided by nor what is added to a variance of 0 takes it out of the range.
    assert_close(softmax(torch.tensor([9.0, 0.0]), temperature=tiny), torch.tensor([1.0, 0.0]))
    for result in (layer_norm, rms_norm, batch_norm, lambda x, eps: group_norm(x, 1, eps=eps)):
        assert_close(result(torch.zeros(2, 2), eps=tiny), torch.zeros(2, 2))
    assert_close(sigmoid(torch.tensor([-1000.0, 1000.0])), torch.tensor([0.0, 1.0]))
    assert_close(tanh(torch.tensor([-1000.0, 1e-30])), torch.tensor([-1.0, 1e-30]))


LAYERS = {
    "Linear": (lambda: Linear(6, 4), lambda: nn.Linear(6, 4), (3, 5, 6)),
    "Conv2d": (lambda: Conv2d(3, 4, 2), lambda: nn.Conv2d(3, 4, 2), (2, 3, 5, 4)),
    "LayerNorm": (lambda: LayerNorm(6), lambda: nn.LayerNorm(6), (3, 5, 6)),
    "RMSNorm": (lambda: RMSNorm(6, 1e-5), lambda: nn.RMSNorm(6, 1e-5), (3, 5, 6)),
    "BatchNorm": (lambda: BatchNorm(3), lambda: nn.BatchNorm2d(3), (4, 3, 5, 4)),
    "GroupNorm": (lambda: GroupNorm(3, 6), lambda: nn.GroupNorm(3, 6), (4, 6, 5)),
}


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_under_autocast_values_and_dtypes_are_torchs(name, dtype):
    build, torchs, shape = LAYERS[name]
    ours, theirs = build(), torchs()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(shape, generator=seeded(0))
    with torch.autocast("cpu", dtype):
        mine, other = ours(x), theirs(x)
    assert mine.dtype == other.dtype
    # Sums of products may be rounded twice.
    assert_close(mine.float(), other.float(), rtol=4 * ROUNDED[dtype], atol=4 * ROUNDED[dtype])
    mine.sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in ours.parameters())


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_what_is_to_be_computed_in_float32_is_not_rounded_by_autocast_on_the_way(dtype):
    x = rows(1.0)[0]
    with torch.autocast("cpu", dtype):
        y = in_float32(torch.matmul)(x, x.T)
    assert torch.equal(y, x @ x.T)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_attention_runs_under_autocast(dtype):
    layer, x = MultiHeadAttention(8, 2), torch.randn(2, 5, 8, generator=seeded(0))
    whole = layer(x, causal=True)
    with torch.autocast("cpu", dtype):
        y = layer(x, causal=True)
        q = x.unflatten(-1, (2, 4)).transpose(1, 2)
        assert attention(q, q, q).dtype == F.scaled_dot_product_attention(q, q, q).dtype == dtype
    assert_close(y.float(), whole, rtol=16 * ROUNDED[dtype], atol=16 * ROUNDED[dtype])  # four products, each rounded
