"""Pooling is its definition and torch's, also where values tie, are missing or infinite."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional as F
from torch.testing import assert_close

from lib.architectures import (
    AvgPool2d,
    GlobalAvgPool2d,
    MaxPool2d,
    avg_pool2d,
    conv_output_size,
    global_avg_pool2d,
    max_pool2d,
)
from lib.core import seeded

TWINS = pytest.mark.parametrize(("pool", "torchs"), [(max_pool2d, F.max_pool2d), (avg_pool2d, F.avg_pool2d)])
# The same examples in every run, and no deadline: a busy machine is no bug.
reproducible = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=seeded(seed))


def by_definition(reduce, x, rows, columns, down, right):
    """Cut out each window and reduce it."""
    tops, lefts = range(0, x.shape[2] - rows + 1, down), range(0, x.shape[3] - columns + 1, right)
    y = x.new_empty(*x.shape[:2], len(tops), len(lefts))
    for (i, top), (j, left) in itertools.product(enumerate(tops), enumerate(lefts)):
        y[:, :, i, j] = reduce(x[:, :, top : top + rows, left : left + columns].flatten(2))
    return y


@st.composite
def geometries(draw):
    """A window with stride and padding, and a size of image that it fits into."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = draw(st.none() | st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    size = tuple(max(1, k - 2 * p) + draw(st.integers(0, 5)) for k, p in zip(kernel, padding, strict=True))
    return size, kernel, stride, padding


@pytest.mark.equation("eq-max-pool")
def test_max_pooling_takes_the_largest_of_each_window():
    x = random(2, 3, 7, 8)
    assert torch.equal(max_pool2d(x, (3, 2), stride=(2, 3)), by_definition(lambda w: w.amax(2), x, 3, 2, 2, 3))
    board = torch.arange(16.0).view(1, 1, 4, 4)
    assert max_pool2d(board, 2).tolist() == [[[[5.0, 7.0], [13.0, 15.0]]]]


@pytest.mark.equation("eq-average-pool")
def test_average_pooling_takes_the_mean_of_each_window():
    x = random(2, 3, 7, 8)
    assert_close(avg_pool2d(x, (3, 2), stride=(2, 3)), by_definition(lambda w: w.mean(2), x, 3, 2, 2, 3))
    board = torch.arange(16.0).view(1, 1, 4, 4)
    assert avg_pool2d(board, 2).tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]]
    # A padded zero counts: a corner window holds one pixel and three zeros.
    assert avg_pool2d(torch.ones(1, 1, 2, 2), 2, padding=1).tolist() == [[[[0.25, 0.25], [0.25, 0.25]]]]


@pytest.mark.equation("eq-global-average-pool")
def test_global_pooling_takes_the_mean_of_each_channel():
    x = random(2, 3, 4, 6)
    assert_close(global_avg_pool2d(x), F.adaptive_avg_pool2d(x, 1).flatten(1))
    assert global_avg_pool2d(torch.arange(6.0).view(1, 2, 1, 3)).tolist() == [[1.0, 4.0]]


def test_the_mean_of_touching_windows_means_is_the_global_mean():
    x = random(2, 3, 6, 4)
    assert_close(global_avg_pool2d(avg_pool2d(x, (3, 2))), global_avg_pool2d(x))


@TWINS
@reproducible
@given(geometry=geometries(), seed=st.integers(0, 99), levels=st.sampled_from([1, 2, 100]))
def test_values_gradients_and_sizes_are_torchs_for_any_geometry(pool, torchs, geometry, seed, levels):
    size, kernel, stride, padding = geometry
    # Few levels make many ties; the winner among them must be torch's, the first in reading order.
    x = (levels * random(2, 2, *size, seed=seed)).round().requires_grad_()
    ours, reference = pool(x, kernel, stride=stride, padding=padding), torchs(x, kernel, stride, padding)
    assert_close(ours, reference)
    assert ours.shape[2:] == tuple(
        conv_output_size(n, k, stride=s, padding=p)
        for n, k, s, p in zip(size, kernel, stride or kernel, padding, strict=True)
    )
    grad = torch.randn_like(reference)
    assert_close(*(torch.autograd.grad(y, x, grad)[0] for y in (ours, reference)))


def test_a_tie_goes_to_the_first_cell_in_reading_order():
    x = torch.tensor([[[[0.0, 7.0], [7.0, 7.0]]]], requires_grad=True)
    max_pool2d(x, 2).sum().backward()
    assert x.grad.tolist() == [[[[0.0, 1.0], [0.0, 0.0]]]]


@TWINS
def test_nan_spoils_the_windows_that_see_it_and_no_other(pool, torchs):
    x = random(1, 2, 6, 6)
    x[0, 0, 2, 3] = torch.nan
    ours, reference = pool(x, 3, stride=2, padding=1), torchs(x, 3, stride=2, padding=1)
    assert 0 < ours.isnan().sum() < ours.numel()
    assert_close(ours, reference, equal_nan=True)


def test_a_gradient_reaches_the_image_even_from_a_window_of_nan_or_minus_infinity():
    for value in (torch.nan, -torch.inf, torch.inf):
        x = torch.full((1, 1, 3, 3), value, dtype=torch.float64, requires_grad=True)
        gradient, reference = (
            torch.autograd.grad(pool(x, 2, stride=2, padding=1), x, torch.ones(1, 1, 2, 2).double())[0]
            for pool in (max_pool2d, F.max_pool2d)
        )
        assert gradient.sum() == reference.sum() == 4
        if value != value:
            continue  # which of several NaN is to blame is anybody's choice
        assert torch.equal(gradient, reference)


def test_the_gradient_of_a_spoilt_window_goes_to_the_nan():
    x = torch.tensor([[[[0.0, 1.0], [torch.nan, -1.0]]]], requires_grad=True)
    max_pool2d(x, 2).sum().backward()
    assert x.grad.tolist() == [[[[0.0, 0.0], [1.0, 0.0]]]]


def test_gradients_and_second_derivatives_pass_a_numerical_check():
    # Distinct whole numbers: no ties within reach of the numerical step.
    distinct = torch.randperm(2 * 4 * 3, generator=seeded(0)).double().view(1, 2, 4, 3).requires_grad_()
    for pool in (max_pool2d, avg_pool2d):
        options = {"kernel_size": (3, 2), "stride": (2, 1), "padding": 1}
        assert gradcheck(lambda x, pool=pool, options=options: pool(x, **options), distinct)
        assert gradgradcheck(lambda x, pool=pool, options=options: pool(x, **options), distinct)


@reproducible
@given(seed=st.integers(0, 99), shift=st.floats(-5, 5), scale=st.floats(0.1, 5))
def test_pooling_commutes_with_rescaling_and_max_pooling_with_any_rising_map(seed, shift, scale):
    x = random(1, 2, 6, 5, seed=seed)
    for pool in (max_pool2d, avg_pool2d):
        assert_close(pool(scale * x + shift, 3, stride=2), scale * pool(x, 3, stride=2) + shift)
    assert torch.equal(max_pool2d(x.exp(), 3, stride=2), max_pool2d(x, 3, stride=2).exp())


def test_channels_do_not_see_one_another():
    x = random(2, 3, 6, 6)
    for pool in (max_pool2d, avg_pool2d):
        assert torch.equal(pool(x, 2)[:, 1:2], pool(x[:, 1:2], 2))


def test_layers_are_their_functions():
    x = random(2, 3, 7, 7)
    assert torch.equal(MaxPool2d(3, stride=2, padding=1)(x), max_pool2d(x, 3, stride=2, padding=1))
    assert torch.equal(AvgPool2d(3, stride=2, padding=1)(x), avg_pool2d(x, 3, stride=2, padding=1))
    assert torch.equal(GlobalAvgPool2d()(x), global_avg_pool2d(x))
