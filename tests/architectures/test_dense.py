"""The dense layer is x Wᵀ + b on the last axis."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from lib.architectures import Linear, linear
from lib.core import fixed_seed


@pytest.mark.equation("eq-affine")
def test_each_output_is_a_weighted_sum_of_all_inputs():
    x = torch.tensor([[1.0, 2.0, 3.0]])
    weight, bias = torch.tensor([[1.0, 0.0, -1.0], [0.5, 0.5, 0.5]]), torch.tensor([10.0, 20.0])
    assert linear(x, weight, bias).tolist() == [[8.0, 23.0]]
    assert linear(x, weight).tolist() == [[-2.0, 3.0]]


@pytest.mark.parametrize("leading", [(), (4,), (2, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_torchs_over_any_leading_axes(leading, bias):
    x = torch.randn(*leading, 5, dtype=torch.float64, requires_grad=True)
    tensors = [x, torch.randn(7, 5, dtype=torch.float64, requires_grad=True)]
    if bias:
        tensors.append(torch.randn(7, dtype=torch.float64, requires_grad=True))
    outputs = [linear(*tensors), F.linear(*tensors)]
    assert_close(*outputs)
    for pair in zip(*(torch.autograd.grad(y.sin().sum(), tensors) for y in outputs), strict=True):
        assert_close(*pair)


def test_one_seed_gives_torchs_layer():
    layers = []
    for layer in (Linear, nn.Linear):
        with fixed_seed(5):
            layers.append(layer(6, 4))
    for mine, other in zip(*(layer.parameters() for layer in layers), strict=True):
        assert torch.equal(mine, other)


def test_a_dense_layer_is_a_convolution_whose_window_is_the_whole_image():
    image, weight = torch.randn(2, 3, 4, 5), torch.randn(6, 60)
    # 60 products of standard normals summed in another order: a few float32 roundings of numbers near 10.
    assert_close(linear(image.flatten(1), weight), F.conv2d(image, weight.view(6, 3, 4, 5)).flatten(1))
