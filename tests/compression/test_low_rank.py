"""Low rank: the error is what the theory says it is, and LoRA merged is LoRA unmerged."""

import copy
import re

import pytest
import torch
from torch import nn

from lib import architectures
from lib.compression import (
    LoRA,
    LowRank,
    SparseLayer,
    adapters,
    bytes_of,
    low_rank,
    merge_lora,
    plan_for,
    rank_for,
    record_inputs,
    truncated_svd,
    with_lora,
)
from lib.core import replaced, train

WEIGHT = torch.randn(6, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("rank", [1, 4, 6])
def test_the_error_is_the_discarded_singular_values(rank):
    up, down = truncated_svd(WEIGHT, rank)
    assert (up.shape, down.shape) == ((6, rank), (rank, 9))
    torch.testing.assert_close((WEIGHT - up @ down).square().sum(), torch.linalg.svdvals(WEIGHT)[rank:].square().sum())


@pytest.mark.equation("eq-low-rank")
@pytest.mark.parametrize("rank", [1, 3])
def test_whitening_gives_the_smallest_output_error_and_a_larger_weight_error(rank):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(400, 9, dtype=torch.float64, generator=generator) @ torch.diag(torch.logspace(-2, 1, 9).double())
    moments = x.T @ x / len(x)

    def output_error(up, down):
        return ((WEIGHT - up @ down) @ x.T).square().sum() / len(x)

    plain, white = truncated_svd(WEIGHT, rank), truncated_svd(WEIGHT, rank, moments, damping=1e-12)
    # The best map of this rank from x to W x: the discarded singular values of the outputs themselves.
    best = torch.linalg.svdvals(WEIGHT @ x.T / len(x) ** 0.5)[rank:].square().sum()
    torch.testing.assert_close(output_error(*white), best)
    assert output_error(*plain) > 1.05 * best
    assert (WEIGHT - white[0] @ white[1]).norm() > (WEIGHT - plain[0] @ plain[1]).norm()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("damping", "size"), [(1e-3, 1e-30), (1e-3, 1e30), (3e38, 1.0), (3e38, 1e30)])
def test_the_factors_are_of_one_size_whatever_the_size_of_moments_and_damping(damping, size, dtype):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(400, 9, dtype=torch.float64, generator=generator)
    moments = (x.T @ x / len(x) * (1.0 if dtype == torch.float16 else size)).to(dtype)
    up, down = truncated_svd(WEIGHT.to(dtype), 3, moments, damping=damping)
    assert 0.5 < up.abs().max() / down.abs().max() < 2
    best = torch.linalg.svdvals(WEIGHT)[3:].norm()
    # Inputs as good as white, and then rounding to eight bits at the coarsest.
    assert (up.double() @ down.double() - WEIGHT).norm() < 1.05 * best


def test_directions_that_calibration_never_showed_are_no_reason_to_fail():
    moments = torch.zeros(9, 9, dtype=torch.float64)
    moments[0, 0] = 1
    up, down = truncated_svd(WEIGHT, 6, moments)
    torch.testing.assert_close(up @ down, WEIGHT)


@torch.no_grad()
@pytest.mark.parametrize("library", [nn, architectures], ids=["torch", "lib"])
def test_full_rank_is_the_layer_and_factors_are_what_is_stored(library):
    model = nn.Sequential(library.Conv2d(3, 8, 3, stride=2, padding=1), nn.Flatten(), library.Linear(8 * 9, 10))
    x = torch.randn(2, 3, 6, 6)
    full = replaced(model, {"0": lambda layer: low_rank(layer, 8), "2": lambda layer: low_rank(layer, 10)})
    torch.testing.assert_close(full(x), model(x), atol=1e-5, rtol=1e-5)
    small = replaced(model, plan_for(model, lambda layer: low_rank(layer, rank_for(layer, 0.5))))
    assert bytes_of(small) == 4 * (3 * (8 + 27) + 8 + 4 * (10 + 72) + 10)
    moments = record_inputs(model, ["0", "2"], x, keep="second moments")
    whitened = replaced(model, plan_for(model, lambda layer, h: low_rank(layer, 2, h), given=moments))
    assert whitened(x).shape == (2, 10)


def test_factors_can_be_trained():
    model = nn.Sequential(low_rank(nn.Linear(4, 3), 2))
    before = copy.deepcopy(model.state_dict())
    train(
        model,
        torch.randn(8, 4),
        torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]),
        epochs=1,
        generator=torch.Generator(),
        progress=False,
    )
    assert all(not torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def trained_with_lora(library, *, rank=2, alpha=8.0):
    torch.manual_seed(0)
    model = nn.Sequential(
        library.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), library.Linear(4 * 16, 5)
    )
    adapted = with_lora(model, rank=rank, alpha=alpha)
    x, y = torch.randn(40, 1, 4, 4), torch.randint(0, 5, (40,))
    train(adapted, x, y, epochs=2, generator=torch.Generator().manual_seed(0), learning_rate=0.01, progress=False)
    return model, adapted.eval(), x


@torch.no_grad()
@pytest.mark.parametrize("library", [nn, architectures], ids=["torch", "lib"])
def test_merged_computes_as_unmerged_and_is_the_model_that_it_was(library):
    model, adapted, x = trained_with_lora(library)
    merged = merge_lora(adapted)
    torch.testing.assert_close(merged(x), adapted(x), atol=1e-5, rtol=1e-5)
    assert [type(module) for module in merged.modules()] == [type(module) for module in model.modules()]
    assert bytes_of(merged) == bytes_of(model)
    assert not torch.allclose(merged(x), model.eval()(x), atol=1e-2)  # it has learned something
    layer = adapted[4]
    torch.testing.assert_close(merged[4].weight, model[4].weight + 8 / 2 * layer.up @ layer.down)  # alpha/rank


def test_only_the_adapters_learn_and_they_alone_need_to_be_saved():
    model, adapted, _ = trained_with_lora(nn)
    saved = adapters(adapted)
    assert {name for name, p in adapted.named_parameters() if p.requires_grad} == set(saved)
    for name, parameter in model.named_parameters():
        place = {"0": "0.layer", "4": "4.layer"}.get(name[0], name[0])
        assert torch.equal(parameter, adapted.get_parameter(f"{place}{name[1:]}"))
    assert sum(p.nbytes for p in saved.values()) == 4 * 2 * ((4 + 9) + (5 + 64))
    fresh = with_lora(model, rank=2, alpha=8.0)
    fresh.load_state_dict(saved, strict=False)
    assert torch.equal(fresh[4].up, adapted[4].up)


def test_a_new_adapter_changes_nothing_and_a_seed_gives_its_start():
    model, x = nn.Sequential(nn.Linear(6, 4)), torch.randn(3, 6)
    torch.manual_seed(3)
    first = with_lora(model, rank=2)
    torch.manual_seed(3)
    second = with_lora(model, rank=2)
    assert torch.equal(first(x), model(x))
    assert torch.equal(first[0].down, second[0].down)
    assert first[0].down.abs().max() <= 6**-0.5
    assert all(parameter.requires_grad for parameter in model.parameters())  # the model itself is not frozen


def test_an_adapter_may_stand_beside_a_packed_layer():
    layer, x = SparseLayer(nn.Linear(6, 4)), torch.randn(3, 6)
    adapted = LoRA(layer, rank=1)
    assert torch.equal(adapted(x), layer(x))
    with pytest.raises(TypeError, match="only a dense weight can hold the sum, got a SparseLayer"):
        adapted.merged()


LAYER, MODEL = nn.Linear(6, 4), nn.Sequential(nn.Linear(6, 4))
GROUPED = nn.Conv2d(4, 4, 3, groups=2)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: truncated_svd(WEIGHT, 7), ValueError, "rank must be at most 6, the smaller side of (6, 9), got 7"),
        (lambda: truncated_svd(WEIGHT, 0), ValueError, "rank must be at least 1, got 0"),
        (lambda: truncated_svd(WEIGHT, 2.0), TypeError, "rank must be an int, got float 2.0"),
        (lambda: truncated_svd(WEIGHT * float("inf"), 1), ValueError, "weight must be finite, got "),
        (lambda: truncated_svd(WEIGHT, 1, torch.eye(8).double()), ValueError, "weight and second_moments must agree on features, got 9 and 8"),
        (lambda: truncated_svd(WEIGHT, 1, torch.zeros(9, 9).double()), ValueError, "second_moments must have a positive number on the diagonal, got none"),
        (lambda: truncated_svd(WEIGHT, 1, torch.full((9, 9), float("nan")).double()), ValueError, "second_moments must be finite, got nan"),
        (lambda: truncated_svd(WEIGHT, 1, torch.eye(9).double() - 0.5), ValueError, "second_moments must be the mean of x xᵀ over inputs, got a matrix that is not"),
        (lambda: rank_for(LAYER, 0.1), ValueError, "share must be at least 0.417 to allow rank 1, got 0.1"),
        (lambda: rank_for(LAYER, 1.5), ValueError, "share must be from 0 to 1, got 1.5"),
        (lambda: rank_for(nn.ReLU(), 0.5), TypeError, "layer must be a Linear or Conv2d of lib.architectures or torch.nn, got ReLU"),
        (lambda: low_rank(LAYER, 5), ValueError, "rank must be at most 4, the smaller side of (4, 6), got 5"),
        (lambda: low_rank(GROUPED, 1), ValueError, "a layer must be one matrix to be factorised, got a convolution of 2 groups"),
        (lambda: LowRank(LAYER, torch.ones(4, 2), torch.ones(2, 5)), ValueError, "the factors must give a matrix of (4, 6), got (4, 5)"),
        (lambda: LowRank(LAYER, torch.ones(4, 2), torch.ones(3, 6)), ValueError, "up and down must agree on rank, got 2 and 3"),
        (lambda: LoRA(LAYER, rank=5), ValueError, "rank must be at most 4, the smaller side of (4, 6), got 5"),
        (lambda: LoRA(LAYER, rank=0), ValueError, "rank must be at least 1, got 0"),
        (lambda: LoRA(LAYER, rank=1, alpha=0.0), ValueError, "alpha must be positive and finite, got 0.0"),
        (lambda: LoRA(GROUPED, rank=1), ValueError, "a layer must be one matrix to be factorised, got a convolution of 2 groups"),
        (lambda: with_lora(MODEL, rank=9), ValueError, "rank must be at most 4, the smaller side of (4, 6), got 9"),
        (lambda: with_lora(MODEL, rank=1, only=["1"]), ValueError, "only must name layers of the kinds Conv2d or Linear, got ['1']"),
        (lambda: merge_lora(MODEL), ValueError, "the model must have a layer with LoRA, got none"),
        (lambda: adapters(MODEL), ValueError, "the model must have a layer with LoRA, got none"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_and_nothing_is_changed(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
    assert all(parameter.requires_grad for layer in (LAYER, MODEL, GROUPED) for parameter in layer.parameters())
