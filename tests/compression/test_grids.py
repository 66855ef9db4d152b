"""Even grids: known codes, an error of half a step, zero always exact."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.compression import affine_grid, dequantize, grid_for, grouped, quantize, symmetric_grid
from lib.core import seeded


def numbers(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


@pytest.mark.equation("eq-affine-grid")
def test_an_affine_grid_by_hand():
    grid = affine_grid(torch.tensor(-1.0), torch.tensor(2.0), bits=2)
    assert (grid.scale.item(), grid.zero_point.item(), grid.low, grid.high) == (1.0, 1, 0, 3)
    codes = quantize(torch.tensor([-9.0, -1.0, -0.4, 0.6, 2.0, 9.0]), grid)
    assert codes.tolist() == [0, 0, 1, 2, 3, 3]
    assert dequantize(codes, grid).tolist() == [-1, -1, 0, 1, 2, 2]


def test_the_zero_point_is_rounded():
    grid = affine_grid(torch.tensor(-1.3), torch.tensor(2.2), bits=3)  # steps of 0.5: 0 is 2.6 of them from the low end
    assert grid.zero_point.item() == 3
    assert dequantize(torch.tensor([0, 7]), grid).tolist() == pytest.approx([-1.5, 2.0])


@pytest.mark.equation("eq-symmetric-grid")
def test_a_symmetric_grid_by_hand():
    grid = symmetric_grid(torch.tensor(14.0), bits=4)
    assert (grid.scale.item(), grid.zero_point.item(), grid.low, grid.high) == (2.0, 0, -7, 7)
    codes = quantize(torch.tensor([-20.0, -14.0, -3.1, 0.9, 13.1]), grid)
    assert codes.tolist() == [-7, -7, -2, 0, 7]
    assert dequantize(codes, grid).tolist() == [-14, -14, -4, 0, 14]


@given(bits=st.integers(2, 8), seed=st.integers(0, 1000), symmetric=st.booleans(), shift=st.floats(-5, 5))
def test_inside_the_range_the_error_is_half_a_step_and_a_rounded_zero_point_costs_half_another(
    bits, seed, symmetric, shift
):
    x = numbers(3, 40, seed=seed) + shift
    grid = grid_for(x, bits, symmetric=symmetric)
    error = (dequantize(quantize(x, grid), grid) - x).abs() / grid.scale
    # 1e-9: roundings of float64 in x/s, for codes of at most 255.
    assert (error <= (0.5 if symmetric else 1.0) + 1e-9).all()
    ends = [dequantize(torch.full((3, 1), end), grid) for end in (grid.low, grid.high)]
    inside = (ends[0] <= x) & (x <= ends[1])
    assert (error[inside] <= 0.5 + 1e-9).all()


@given(bits=st.integers(2, 8), low=st.floats(-10, 10), width=st.floats(0, 10))
def test_zero_is_on_the_grid_wherever_the_range_lies(bits, low, width):
    grid = affine_grid(torch.tensor(low), torch.tensor(low + width), bits=bits)
    assert 0 <= grid.zero_point <= 2**bits - 1
    assert dequantize(quantize(torch.zeros(1), grid), grid).item() == 0


@given(bits=st.integers(2, 8), seed=st.integers(0, 100))
def test_a_symmetric_grid_rounds_minus_x_to_minus_what_it_rounds_x_to(bits, seed):
    x = numbers(50, seed=seed)
    grid = symmetric_grid(x.abs().amax(), bits)
    assert torch.equal(quantize(-x, grid), -quantize(x, grid))


@pytest.mark.equation("eq-quantize")
def test_torch_rounds_to_the_same_numbers():
    x = numbers(5, 100, dtype=torch.float32)
    grid = affine_grid(x.amin(), x.amax(), bits=8)
    torchs = torch.fake_quantize_per_tensor_affine(x, grid.scale, grid.zero_point, 0, 255)
    assert torch.equal(dequantize(quantize(x, grid), grid), torchs)
    grid = grid_for(x, 4)
    torchs = torch.fake_quantize_per_channel_affine(x, grid.scale[:, 0], torch.zeros(5).int(), 0, -7, 7)
    assert torch.equal(dequantize(quantize(x, grid), grid), torchs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_on_a_grid_of_float32(dtype):
    x = numbers(4, 300).to(dtype)
    grid = grid_for(x, 8)
    assert grid.scale.dtype == torch.float32
    assert torch.equal(quantize(x, grid), quantize(x.float(), grid_for(x.float(), 8)))


@pytest.mark.parametrize("size", [1e-38, 1e-30, 1e30, 3e38])
@pytest.mark.parametrize("symmetric", [True, False])
def test_tiny_and_huge_numbers_keep_half_a_step(size, symmetric):
    x = size * torch.tensor([[-0.5, 0.0, 0.3, 1.0]])
    grid = grid_for(x, 4, symmetric=symmetric)
    back = dequantize(quantize(x, grid), grid)
    assert back.isfinite().all()
    # A step and a half: the zero point's rounding, and float32's at the ends of its range.
    assert ((back - x).abs() <= 1.5 * grid.scale).all()


def test_only_zeros_stay_zeros():
    x = torch.zeros(2, 5)
    for symmetric in (True, False):
        grid = grid_for(x, 4, symmetric=symmetric)
        assert torch.equal(dequantize(quantize(x, grid), grid), x)


@pytest.mark.parametrize(
    ("per", "shape"), [("tensor", (1, 1, 96)), ("channel", (4, 1, 24)), (8, (4, 3, 8)), (24, (4, 1, 24))]
)
def test_what_shares_a_step_stands_along_the_last_axis(per, shape):
    weight = torch.arange(96).reshape(4, 6, 2, 2)
    view = grouped(weight, per)
    assert view.shape == shape
    assert torch.equal(view.reshape(weight.shape), weight)
    assert view.untyped_storage().data_ptr() == weight.untyped_storage().data_ptr()
