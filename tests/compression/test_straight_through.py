"""Forward a rounding, backward the identity inside the range."""

import pytest
import torch

from lib.compression import affine_grid, dequantize, fake_quantize, grid_for, quantize, symmetric_grid
from lib.core import seeded

X = torch.randn(4, 50, generator=seeded(0))


@pytest.mark.parametrize("symmetric", [True, False])
def test_forward_is_the_way_there_and_back(symmetric):
    grid = grid_for(X / 2, 4, symmetric=symmetric)  # half of the range: some are clipped
    assert torch.equal(fake_quantize(X, grid), dequantize(quantize(X, grid), grid))


@pytest.mark.equation("eq-straight-through")
def test_backward_is_one_inside_and_zero_where_it_was_clipped():
    grid = affine_grid(torch.tensor(-1.0), torch.tensor(2.0), bits=2)
    x = torch.tensor([-1.6, -1.4, -1.0, 0.2, 2.0, 2.4, 2.6], requires_grad=True)
    fake_quantize(x, grid).backward(torch.arange(1.0, 8.0))
    assert x.grad.tolist() == [0, 2, 3, 4, 5, 6, 0]


def test_torchs_fake_quantization_has_the_same_gradient():
    x, y = X.clone().requires_grad_(), X.clone().requires_grad_()
    grid = symmetric_grid(torch.tensor(1.5), bits=4)
    fake_quantize(x, grid).square().sum().backward()
    torch.fake_quantize_per_tensor_affine(y, grid.scale.item(), 0, -7, 7).square().sum().backward()
    assert torch.equal(x.grad, y.grad)


def test_it_can_be_batched_and_differentiated_forward():
    grid = symmetric_grid(torch.tensor(1.5), bits=4)
    each = torch.func.vmap(torch.func.grad(lambda x: fake_quantize(x, grid).square().sum()))(X)
    x = X.clone().requires_grad_()
    fake_quantize(x, grid).square().sum().backward()
    assert torch.equal(each, x.grad)
    _, tangent = torch.func.jvp(lambda x: fake_quantize(x, grid), (X,), (torch.ones_like(X),))
    assert torch.equal(
        tangent, (fake_quantize(X, grid).abs() < 1.5).float() + ((X.abs() / grid.scale).round() == 7).float()
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_dtype_stays(dtype):
    x = X.to(dtype).requires_grad_()
    y = fake_quantize(x, grid_for(x.detach(), 8))
    y.sum().backward()
    assert y.dtype == x.grad.dtype == dtype
