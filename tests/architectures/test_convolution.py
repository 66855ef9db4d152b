"""Convolution is its definition, is torch's, is linear and equivariant, and has the right gradients."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional as F
from torch.testing import assert_close

from lib.architectures import Conv1d, Conv2d, conv1d, conv2d, conv2d_formula, conv_output_size, im2col
from lib.architectures.windows import Window
from lib.core import fixed_seed, seeded

TWINS = pytest.mark.parametrize("convolve", [conv2d_formula, conv2d])
# The same examples in every run, and no deadline: a busy machine is no bug.
reproducible = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def by_definition(x, weight, bias, *, stride, padding, dilation, groups):
    """Six nested sums, an output at a time."""
    (down, right), (top, left), (row_step, column_step) = stride, padding, dilation
    padded = F.pad(x, (left, left, top, top))
    out_channels, in_per_group, rows, columns = weight.shape
    height = (padded.shape[2] - row_step * (rows - 1) - 1) // down + 1
    width = (padded.shape[3] - column_step * (columns - 1) - 1) // right + 1
    y = x.new_empty(len(x), out_channels, height, width)
    for n, o, i, j in itertools.product(range(len(x)), range(out_channels), range(height), range(width)):
        first = o // (out_channels // groups) * in_per_group
        y[n, o, i, j] = bias[o] + sum(
            weight[o, c, u, v] * padded[n, first + c, i * down + u * row_step, j * right + v * column_step]
            for c, u, v in itertools.product(range(in_per_group), range(rows), range(columns))
        )
    return y


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=seeded(seed))


@st.composite
def geometries(draw):
    """A window of any kernel, stride, padding, dilation and groups, and a size of image that it fits into."""
    pair = st.tuples
    kernel = draw(pair(st.integers(1, 4), st.integers(1, 4)))
    dilation = draw(pair(st.integers(1, 3), st.integers(1, 3)))
    padding = draw(pair(st.integers(0, 3), st.integers(0, 3)))
    stride = draw(pair(st.integers(1, 3), st.integers(1, 3)))
    spare = draw(pair(st.integers(0, 5), st.integers(0, 5)))
    size = tuple(
        max(1, d * (k - 1) + 1 - 2 * p) + s for k, d, p, s in zip(kernel, dilation, padding, spare, strict=True)
    )
    groups = draw(st.integers(1, 3))
    return size, kernel, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


@pytest.mark.equation("eq-conv2d")
@TWINS
def test_convolution_is_the_sum_over_each_window(convolve):
    geometry = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 3}
    x, weight, bias = random(2, 6, 5, 6), random(9, 2, 3, 2), random(9)
    assert_close(convolve(x, weight, bias, **geometry), by_definition(x, weight, bias, **geometry))


@TWINS
def test_a_difference_filter_finds_the_slope_of_a_ramp(convolve):
    ramp = 10.0 * torch.arange(4)[:, None] + torch.arange(5)  # +10 a row, +1 a column
    filters = torch.tensor([[[[-1.0, 1.0]]], [[[0.0, 2.0]]]])
    y = convolve(ramp[None, None], filters)
    # Whole numbers: equality is exact. A flipped filter would find the slope −1.
    assert torch.equal(y[0, 0], torch.ones(4, 4))
    assert torch.equal(y[0, 1], 2 * ramp[:, 1:])


@TWINS
@reproducible
@given(geometry=geometries(), seed=st.integers(0, 99))
def test_values_gradients_and_sizes_are_torchs_for_any_geometry(convolve, geometry, seed):
    size, kernel, options = geometry
    groups = options["groups"]
    x = random(2, 2 * groups, *size, seed=seed).requires_grad_()
    weight = random(3 * groups, 2, *kernel, seed=seed + 1).requires_grad_()
    bias = random(3 * groups, seed=seed + 2).requires_grad_()
    ours, reference = convolve(x, weight, bias, **options), F.conv2d(x, weight, bias, **options)
    assert_close(ours, reference)
    pairs = zip(kernel, options["stride"], options["padding"], options["dilation"], strict=True)
    assert ours.shape[2:] == tuple(
        conv_output_size(n, k, stride=s, padding=p, dilation=d) for n, (k, s, p, d) in zip(size, pairs, strict=True)
    )
    grad = torch.randn_like(reference)
    for mine, torchs in zip(*(torch.autograd.grad(y, (x, weight, bias), grad) for y in (ours, reference)), strict=True):
        assert_close(mine, torchs)


@pytest.mark.parametrize("block_bytes", [1, 3000, 2**30], ids=["image by image", "uneven blocks", "all at once"])
def test_the_result_does_not_depend_on_how_the_batch_is_cut(monkeypatch, block_bytes):
    monkeypatch.setattr(im2col, "BLOCK_BYTES", block_bytes)
    x, weight = random(7, 4, 6, 5).requires_grad_(), random(6, 2, 3, 3).requires_grad_()
    outputs = [f(x, weight, stride=2, padding=1, groups=2) for f in (conv2d, F.conv2d)]
    assert_close(*outputs)
    for pair in zip(*(torch.autograd.grad(y.sin().sum(), (x, weight)) for y in outputs), strict=True):
        assert_close(*pair)


def test_a_window_moves_by_one_and_has_no_gaps_unless_told_otherwise():
    assert Window((3, 2)) == Window.of((3, 2)) == Window((3, 2), (1, 1), (0, 0), (1, 1))


def test_the_patches_of_a_block_take_a_mebibyte_at_most_unless_one_image_takes_more():
    # 9 · 3 cells at 32² positions, 4 bytes each: 110,592 bytes an image, so 9 images fit into 1,048,576.
    window = Window.of(3, padding=1)
    assert im2col._blocks(torch.zeros(20, 3, 34, 34), window) == [slice(0, 9), slice(9, 18), slice(18, 27)]
    assert im2col._blocks(torch.zeros(2, 3, 514, 514), window) == [slice(0, 1), slice(1, 2)]


@pytest.mark.parametrize("block_bytes", [1, 2**30], ids=["image by image", "all at once"])
def test_gradients_and_second_derivatives_pass_a_numerical_check(monkeypatch, block_bytes):
    monkeypatch.setattr(im2col, "BLOCK_BYTES", block_bytes)

    def convolve(x, weight):
        return conv2d(x, weight, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2)

    x, weight = random(2, 4, 3, 2).requires_grad_(), random(4, 2, 3, 2).requires_grad_()
    assert gradcheck(convolve, (x, weight))
    assert gradgradcheck(convolve, (x, weight))


@pytest.mark.parametrize("wanted", ["x", "weight"])
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_gradient_wanted_for_one_argument_only_is_the_same(wanted, create_graph):
    tensors = {"x": random(2, 3, 5, 5), "weight": random(4, 3, 3, 3)}
    tensors[wanted].requires_grad_()
    gradients = [
        torch.autograd.grad(f(**tensors).square().sum(), tensors[wanted], create_graph=create_graph)[0]
        for f in (conv2d, lambda x, weight: F.conv2d(x, weight))
    ]
    assert_close(*gradients)


@TWINS
@reproducible
@given(scale=st.floats(-4, 4), seed=st.integers(0, 99))
def test_convolution_is_linear_in_the_image_and_in_the_filter(convolve, scale, seed):
    x, other = random(2, 1, 2, 6, 5, seed=seed)
    weight, another = random(2, 3, 2, 3, 2, seed=seed + 1)
    y = convolve(x, weight, padding=1)
    assert_close(convolve(scale * x + other, weight, padding=1), scale * y + convolve(other, weight, padding=1))
    assert_close(convolve(x, scale * weight + another, padding=1), scale * y + convolve(x, another, padding=1))


@reproducible
@given(down=st.integers(-9, 9), right=st.integers(-9, 9))
def test_a_circular_layer_commutes_with_rolling_the_image(down, right):
    layer = Conv2d(2, 3, (3, 5), padding=(1, 2), padding_mode="circular").double()
    x = random(2, 2, 7, 6)
    assert_close(layer(x.roll((down, right), (2, 3))), layer(x).roll((down, right), (2, 3)))


def test_zero_padding_and_stride_break_what_circular_padding_keeps():
    x = random(1, 1, 8, 8, dtype=torch.float32)
    for layer in (Conv2d(1, 1, 3, padding=1), Conv2d(1, 1, 3, padding=1, stride=2, padding_mode="circular")):
        rolled = layer(x.roll(1, -1))
        assert (rolled - layer(x).roll(1, -1)).abs().max() > 0.1


@pytest.mark.equation("eq-conv1d")
def test_convolution_of_signals_is_the_sum_over_each_window():
    x, weight, bias = random(2, 4, 11), random(6, 2, 3), random(6)
    options = {"stride": 2, "padding": 3, "dilation": 2, "groups": 2}
    padded = F.pad(x, (3, 3))
    expected = torch.empty(2, 6, 7, dtype=torch.float64)
    for n, o, t in itertools.product(range(2), range(6), range(7)):
        seen = padded[n, 2 * (o // 3) : 2 * (o // 3) + 2, 2 * t : 2 * t + 5 : 2]
        expected[n, o, t] = bias[o] + (weight[o] * seen).sum()
    assert_close(conv1d(x, weight, bias, **options), expected)
    assert_close(conv1d(x, weight, bias, **options), F.conv1d(x, weight, bias, **options))


@pytest.mark.equation("eq-conv-output-size")
@reproducible
@given(
    size=st.integers(1, 30),
    kernel=st.integers(1, 6),
    stride=st.integers(1, 5),
    padding=st.integers(0, 6),
    dilation=st.integers(1, 4),
)
def test_output_size_counts_the_positions_of_the_window(size, kernel, stride, padding, dilation):
    starts = range(-padding, size + padding, stride)
    positions = [start for start in starts if start + dilation * (kernel - 1) < size + padding]
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    if positions:
        assert conv_output_size(size, kernel, **options) == len(positions)
    else:
        with pytest.raises(ValueError, match="must fit at least once"):
            conv_output_size(size, kernel, **options)


@pytest.mark.parametrize(
    ("ours", "torchs", "shape"), [(Conv2d, nn.Conv2d, (2, 4, 7, 6)), (Conv1d, nn.Conv1d, (2, 4, 9))]
)
@pytest.mark.parametrize("mode", ["zeros", "circular"])
def test_one_seed_gives_torchs_layer(ours, torchs, shape, mode):
    layers = []
    for layer in (ours, torchs):
        with fixed_seed(5):
            layers.append(layer(4, 6, 3, stride=2, padding=3, dilation=2, groups=2, padding_mode=mode))
    for mine, other in zip(*(layer.parameters() for layer in layers), strict=True):
        assert torch.equal(mine, other)
    x = random(*shape, dtype=torch.float32)
    # Padding 3 reaches around an axis of 6 by half; the sums of 6 products differ in order, no more.
    assert_close(*(layer(x) for layer in layers))


def test_a_layer_prints_what_it_is():
    assert repr(Conv1d(4, 6, 3, groups=2)) == (
        "Conv1d(4, 6, kernel_size=3, stride=1, padding=0, dilation=1, groups=2, padding_mode='zeros')"
    )
