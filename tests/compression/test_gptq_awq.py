"""GPTQ and AWQ: known answers, and outputs nearer than plain rounding where inputs are uneven or related."""

import copy
from importlib import import_module

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from lib.compression import awq, gptq, output_error, record_inputs, weight_only
from lib.core import seeded


def layer(outputs=8, inputs=96, seed=1):
    made = nn.Linear(inputs, outputs, bias=False)
    with torch.no_grad():
        made.weight.copy_(torch.randn(outputs, inputs, generator=seeded(seed)))
    return made


def related_inputs(samples=400, inputs=96, seed=2):
    mixing = torch.randn(inputs // 4, inputs, generator=seeded(seed))
    x = torch.randn(samples, inputs // 4, generator=seeded(seed + 1)) @ mixing
    return x + 0.3 * torch.randn(samples, inputs, generator=seeded(seed + 2))


X = related_inputs()
MOMENTS = X.T @ X / len(X)


def error(dense, packed):
    return output_error(dense.weight.detach(), packed.weight, MOMENTS)


@pytest.mark.equation("eq-output-error")
def test_the_output_error_is_the_mean_square_of_the_outputs_differences():
    dense = layer()
    packed = weight_only(dense, 4)
    expected = (X @ (dense.weight - packed.weight).T).square().sum(1).mean().item()
    assert error(dense, packed) == pytest.approx(expected, rel=1e-4)  # sums of 400 squares in float32


def test_of_two_columns_the_second_takes_over_what_the_first_lost():
    dense = layer(1, 2)
    with torch.no_grad():
        dense.weight.copy_(torch.tensor([[0.4, 3.0]]))
    moments = torch.tensor([[1.0, 0.8], [0.8, 1.0]])
    # Steps of 1: 0.4 goes to 0, and the best second number is then 3 + 0.8 · 0.4 = 3.32, less a little by damping.
    grid_of_one = lambda x: (torch.full_like(x[:, 0], -7), torch.full_like(x[:, 0], 7))  # noqa: E731
    assert gptq(dense, moments, 4, limits=grid_of_one, damping=1e-6).weight.tolist() == [[0, 3]]
    with torch.no_grad():
        dense.weight.copy_(torch.tensor([[0.4, 3.2]]))
    # 3.2 + 0.32 = 3.52: another code than plain rounding gives.
    assert gptq(dense, moments, 4, limits=grid_of_one, damping=1e-6).weight.tolist() == [[0, 4]]
    assert weight_only(dense, 4, limits=lambda x: grid_of_one(x[:, 0])).weight.tolist() == [[0, 3]]


@pytest.mark.parametrize("group", [None, 32])
@pytest.mark.parametrize("symmetric", [True, False])
def test_inputs_that_are_not_related_leave_plain_rounding(group, symmetric):
    dense = layer()
    diagonal = torch.diag(torch.linspace(0.1, 5, 96))
    plain = weight_only(dense, 4, per=group or "channel", symmetric=symmetric)
    packed = gptq(dense, diagonal, 4, group=group, symmetric=symmetric)
    assert torch.equal(packed.codes, plain.codes)
    assert torch.equal(packed.weight, plain.weight)


def test_one_column_at_a_time_is_the_same_as_blocks_of_them(monkeypatch):
    module = import_module("lib.compression.gptq")
    dense, blocks = layer(), []
    for size in (1, 7, 128):
        monkeypatch.setattr(module, "_BLOCK", size)
        blocks.append(gptq(dense, MOMENTS, 3).weight)
    # Errors carried in another order move a code now and then; the same code nearly everywhere.
    for other in blocks[1:]:
        assert (other != blocks[0]).float().mean() < 0.01


@pytest.mark.equation("eq-gptq-update")
def test_each_column_is_followed_by_the_best_that_real_numbers_could_do():
    # The published update, by its definition: after each column the rest solve the least squares that are left.
    dense = layer(3, 12)
    x = related_inputs(inputs=12)
    moments = (x.T @ x / len(x)).double()
    damped = moments + 0.01 * moments.diagonal().mean() * torch.eye(12, dtype=torch.float64)
    weight, rounded = dense.weight.detach().double().clone(), torch.zeros(3, 12, dtype=torch.float64)
    step = weight.abs().amax(1, keepdim=True) / 7
    for column in range(12):
        rounded[:, column] = ((weight[:, column : column + 1] / step).round().clamp(-7, 7) * step)[:, 0]
        lost = (weight[:, column] - rounded[:, column])[:, None]
        rest = slice(column + 1, None)
        if column < 11:
            weight[:, rest] += lost * torch.linalg.solve(damped[rest, rest], damped[rest, column])
    assert_close(gptq(copy.deepcopy(dense).double(), moments, 4).weight, rounded)


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("group", [None, 32])
def test_with_related_inputs_outputs_are_nearer_and_weights_further(bits, group):
    dense = layer()
    plain, packed = weight_only(dense, bits, per=group or "channel"), gptq(dense, MOMENTS, bits, group=group)
    assert error(dense, packed) < 0.7 * error(dense, plain)
    assert (packed.weight - dense.weight).norm() > (plain.weight - dense.weight).norm()


def test_awq_with_a_large_input_keeps_its_column_nearer():
    scales = torch.ones(96)
    scales[5] = 40
    moments = MOMENTS * scales * scales[:, None]
    dense = layer()
    plain, packed = weight_only(dense, 4, per=32), awq(dense, moments, 4, per=32)
    assert packed.input_factor.argmax() == 5
    lost = [(other.weight - dense.weight)[:, 5].norm() for other in (plain, packed)]
    assert lost[1] < 0.5 * lost[0]
    weight = dense.weight.detach()
    assert output_error(weight, packed.weight, moments) < 0.5 * output_error(weight, plain.weight, moments)


@pytest.mark.parametrize("candidates", [1, 8])
def test_awq_is_never_further_than_plain_rounding(candidates):
    for seed in range(5):
        dense = layer(seed=seed)
        packed = awq(dense, MOMENTS, 3, candidates=candidates)
        # Equal where a = 0 wins; the error is then that of the same numbers, added up in float32.
        assert error(dense, packed) <= error(dense, weight_only(dense, 3)) * (1 + 1e-4)


def test_an_input_that_never_came_is_borne():
    moments = MOMENTS.clone()
    moments[7], moments[:, 7] = 0, 0
    for packed in (gptq(layer(), moments, 4), awq(layer(), moments, 4)):
        assert packed.weight.isfinite().all()


def test_what_is_recorded_of_a_convolution_fits():
    convolution = nn.Conv2d(3, 4, 3, padding=1)
    images = torch.randn(5, 3, 8, 8, generator=seeded(4)).cumsum(-1)
    moments = record_inputs(nn.Sequential(convolution), ["0"], images, keep="second moments")["0"]
    exact, plain = convolution(images), weight_only(convolution, 3)(images)
    for method in (gptq, awq):
        assert (method(convolution, moments, 3)(images) - exact).norm() < 0.9 * (plain - exact).norm()
