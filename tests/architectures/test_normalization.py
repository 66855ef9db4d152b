"""Each normalization is its formula, is torch's, and does not see what it should not."""

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional as F
from torch.testing import assert_close

from lib.architectures import (
    BatchNorm,
    GroupNorm,
    LayerNorm,
    RMSNorm,
    batch_norm,
    group_norm,
    layer_norm,
    rms_norm,
)
from lib.core import seeded


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=seeded(seed))


@pytest.mark.equation("eq-layer-norm")
def test_a_row_with_known_mean_and_variance():
    # Mean 3, biased variance ((−2)² + 0 + 2²)/3 = 8/3; the unbiased one would be 4.
    x = torch.tensor([[1.0, 3.0, 5.0]], dtype=torch.float64)
    eps = 1 / 3  # so that the root is √(8/3 + 1/3) = √3; an eps outside the root would give √(8/3) + 1/3
    expected = torch.tensor([[-2.0, 0.0, 2.0]], dtype=torch.float64) / 3**0.5
    assert_close(layer_norm(x, eps=eps), expected)
    weight, bias = torch.tensor([1.0, 10.0, -1.0]).double(), torch.tensor([0.0, 7.0, 1.0]).double()
    assert_close(layer_norm(x, weight, bias, eps=eps), expected * weight + bias)


def test_a_constant_row_becomes_the_bias():
    bias = torch.tensor([1.0, -2.0])
    assert layer_norm(torch.full((3, 2), 7.0), torch.tensor([5.0, 5.0]), bias).tolist() == [[1.0, -2.0]] * 3


@pytest.mark.parametrize("leading", [(), (4,), (2, 3)], ids=str)
@pytest.mark.parametrize("given", ["nothing", "weight", "bias", "weight and bias"])
def test_values_and_gradients_are_torchs(leading, given):
    tensors = {"x": random(*leading, 5)}
    if "weight" in given:
        tensors["weight"] = random(5, seed=1)
    if "bias" in given:
        tensors["bias"] = random(5, seed=2)
    for tensor in tensors.values():
        tensor.requires_grad_()
    x, weight, bias = (tensors.get(name) for name in ("x", "weight", "bias"))
    outputs = [layer_norm(x, weight, bias, eps=0.25), F.layer_norm(x, (5,), weight, bias, eps=0.25)]
    assert_close(*outputs)
    for pair in zip(*(torch.autograd.grad(y.sin().sum(), list(tensors.values())) for y in outputs), strict=True):
        assert_close(*pair)


def test_gradients_pass_a_numerical_check():
    tensors = [random(3, 4).requires_grad_(), random(4, seed=1).requires_grad_(), random(4, seed=2).requires_grad_()]
    assert gradcheck(lambda x, w, b: layer_norm(x, w, b, eps=0.1), tensors)


def test_scaling_and_shifting_a_row_changes_nothing_but_what_eps_adds():
    x = random(4, 6)
    y = layer_norm(x, eps=1e-12)
    assert_close(layer_norm(3 * x + 100, eps=1e-12), y)
    assert_close(layer_norm(-x, eps=1e-12), -y)


def test_each_position_is_normalized_by_itself():
    x = random(2, 3, 6)
    other = x.clone()
    other[1, 2] *= 50
    changed = (layer_norm(x) != layer_norm(other)).any(-1)
    assert changed.tolist() == [[False] * 3, [False, False, True]]


def test_large_numbers_with_a_small_spread_keep_their_digits():
    # E[x²] − E[x]² would lose all of them in float32, where neighbours of 4096 are 2⁻¹¹ apart.
    x = 4096 + torch.tensor([[-1.0, 0.0, 1.0, 0.0]])
    assert_close(layer_norm(x), F.layer_norm(x.double(), (4,)).float())


@pytest.mark.parametrize("affine", [True, False])
def test_a_layer_is_torchs_with_another_eps(affine):
    ours, torchs = LayerNorm(6, 0.5, affine=affine), nn.LayerNorm(6, 0.5, elementwise_affine=affine)
    for mine, other in zip(ours.parameters(), torchs.parameters(), strict=True):
        assert torch.equal(mine, other)  # ones and zeros
        with torch.no_grad():
            mine.copy_(torch.rand(6))
            other.copy_(mine)
    x = random(2, 3, 6).float()
    assert_close(ours(x), torchs(x))


def test_the_layer_prints_what_it_is():
    assert repr(LayerNorm(6, affine=False)) == "LayerNorm(6, eps=1e-05, affine=False)"


@pytest.mark.equation("eq-rms-norm")
def test_a_row_with_a_known_root_mean_square():
    x = torch.tensor([[1.0, 3.0, 5.0]], dtype=torch.float64)  # mean square 35/3
    expected = x / 12**0.5
    assert_close(rms_norm(x, eps=1 / 3), expected)
    weight = torch.tensor([1.0, 10.0, -1.0]).double()
    assert_close(rms_norm(x, weight, eps=1 / 3), expected * weight)


@pytest.mark.equation("eq-batch-norm")
def test_of_two_channels_each_is_normalized_over_batch_and_space():
    # Channel 0 holds 1, 3, 5, 7 (mean 4, biased variance 5), channel 1 a constant.
    x = torch.tensor([[[1.0, 3.0], [9.0, 9.0]], [[5.0, 7.0], [9.0, 9.0]]], dtype=torch.float64)
    y = batch_norm(x, eps=4.0)
    assert_close(y[:, 0], torch.tensor([[-1.0, -1 / 3], [1 / 3, 1.0]]).double())
    assert not y[:, 1].any()
    weight, bias = torch.tensor([2.0, 5.0]).double(), torch.tensor([0.5, -1.0]).double()
    assert_close(batch_norm(x, weight, bias, eps=4.0), y * weight[:, None] + bias[:, None])


def test_given_statistics_each_example_is_by_itself():
    x, mean, variance = random(3, 2, 4), torch.tensor([1.0, -2.0]).double(), torch.tensor([3.0, 0.5]).double()
    y = batch_norm(x, mean=mean, variance=variance, eps=1.0)
    assert_close(y, (x - mean[:, None]) / (variance[:, None] + 1).sqrt())
    assert torch.equal(batch_norm(x[:1], mean=mean, variance=variance, eps=1.0), y[:1])


KINDS = {
    "layer": (lambda x, w, b: layer_norm(x, w, b, eps=0.25), lambda x, w, b: F.layer_norm(x, (6,), w, b, 0.25), (3, 4, 6)),
    "rms": (lambda x, w, b: rms_norm(x, w, eps=0.25) + b, lambda x, w, b: F.rms_norm(x, (6,), w, 0.25) + b, (3, 4, 6)),
    "batch, rows": (
        lambda x, w, b: batch_norm(x, w, b, eps=0.25),
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True, eps=0.25),
        (5, 6),
    ),
    "batch, images": (
        lambda x, w, b: batch_norm(x, w, b, eps=0.25),
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True, eps=0.25),
        (3, 6, 4, 2),
    ),
    "batch, given": (
        lambda x, w, b: batch_norm(x, w, b, mean=w.cos(), variance=b.exp(), eps=0.25),
        lambda x, w, b: (x - w.cos()[:, None]) / (b.exp()[:, None] + 0.25).sqrt() * w[:, None] + b[:, None],
        (3, 6, 4),
    ),
    "group": (lambda x, w, b: group_norm(x, 3, w, b, eps=0.25), lambda x, w, b: F.group_norm(x, 3, w, b, 0.25), (3, 6, 4, 2)),
    "group of rows": (lambda x, w, b: group_norm(x, 2, w, b, eps=0.25), lambda x, w, b: F.group_norm(x, 2, w, b, 0.25), (3, 6)),
}  # fmt: skip
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_values_gradients_and_second_gradients_are_torchs(kind):
    ours, torchs, shape = KINDS[kind]
    leaves = [random(*shape).requires_grad_(), random(6, seed=1).requires_grad_(), random(6, seed=2).requires_grad_()]
    results = []
    for function in (ours, torchs):
        y = function(*leaves)
        first = torch.autograd.grad(y.sin().sum(), leaves, create_graph=True)
        second = torch.autograd.grad(sum(g.cos().sum() for g in first), leaves)
        results.append([y, *first, *second])
    for mine, other in zip(*results, strict=True):
        assert_close(mine, other)


@every_kind
def test_first_and_second_gradients_pass_a_numerical_check(kind):
    ours, _, shape = KINDS[kind]
    leaves = [random(*shape).requires_grad_(), random(6, seed=1).requires_grad_(), random(6, seed=2).requires_grad_()]
    assert gradcheck(ours, leaves, check_forward_ad=True)
    assert gradgradcheck(ours, leaves)


@every_kind
def test_several_batches_at_once_are_each_by_itself(kind):
    ours, _, shape = KINDS[kind]
    xs, weight, bias = random(2, *shape), random(6, seed=1), random(6, seed=2)
    together = torch.func.vmap(ours, (0, None, None))(xs, weight, bias)
    assert_close(together, torch.stack([ours(x, weight, bias) for x in xs]))
    gradients = torch.func.vmap(torch.func.grad(lambda x: ours(x, weight, bias).sin().sum()))(xs)
    for x, gradient in zip(xs, gradients, strict=True):
        leaf = x.clone().requires_grad_()
        assert_close(gradient, *torch.autograd.grad(ours(leaf, weight, bias).sin().sum(), leaf))


@pytest.mark.equation("eq-group-norm")
def test_one_group_is_a_whole_example_and_as_many_as_channels_are_single_channels():
    x = random(2, 6, 3, 4)
    assert_close(group_norm(x, 1), layer_norm(x.flatten(1)).view_as(x))
    assert_close(group_norm(x, 6), F.instance_norm(x))
    one = x[:1]
    assert_close(group_norm(one, 6), batch_norm(one))  # a batch of one


def test_layer_norm_is_rms_norm_of_what_was_centred():
    x = random(3, 6)
    assert_close(layer_norm(x), rms_norm(x - x.mean(-1, keepdim=True)))


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5), (2, 3, 4, 2)], ids=str)
@pytest.mark.parametrize("affine", [True, False])
def test_running_statistics_and_both_modes_are_torchs(shape, affine):
    ours = BatchNorm(3, 0.5, momentum=0.3, affine=affine).double()
    torchs = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}[len(shape)](3, 0.5, 0.3, affine=affine).double()
    for seed in range(3):
        x = 2 * random(*shape, seed=seed) + 1
        assert_close(ours(x), torchs(x))
    for name, value in torchs.state_dict().items():
        assert_close(ours.state_dict()[name], value)
    ours.eval()
    torchs.eval()
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    assert_close(ours(x), torchs(x))
    assert all(torch.equal(value, before[name]) for name, value in ours.state_dict().items())


def test_the_running_variance_is_the_unbiased_one():
    # Four numbers: the batch is normalized by 5, the running variance moves towards 5 · 4/3 (pytorch issue 19902).
    layer = BatchNorm(1, momentum=1.0)
    layer(torch.tensor([[1.0], [3.0], [5.0], [7.0]]))
    assert_close(layer.running_mean, torch.tensor([4.0]))
    assert_close(layer.running_var, torch.tensor([20 / 3]))
    assert layer.num_batches_tracked == 1


def test_a_batch_that_is_refused_moves_no_running_statistics():
    layer = BatchNorm(2)
    for wrong in (torch.ones(1, 2), torch.ones(4, 3)):
        with pytest.raises(ValueError, match="channel"):
            layer(wrong)
    assert layer.num_batches_tracked == 0
    assert layer.running_mean.tolist() == [0.0, 0.0]


def test_no_gradient_runs_through_the_running_statistics():
    layer = BatchNorm(2)
    x = torch.randn(4, 2, requires_grad=True)
    layer(x)
    layer(x).sum().backward()
    assert not layer.running_mean.requires_grad
    assert not layer.running_var.requires_grad


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_running_statistics_keep_float32s_digits_under_autocast(dtype):
    ours, torchs = BatchNorm(3), nn.BatchNorm2d(3)
    x = (300 * torch.randn(4, 3, 5, 5) + 1000).to(dtype)
    with torch.autocast("cpu", dtype):
        y = ours(x)
    torchs(x.float())
    assert y.dtype == dtype
    assert_close(ours.running_mean, torchs.running_mean)
    assert_close(ours.running_var, torchs.running_var)


def test_a_batch_norm_exports_in_training_mode_with_its_running_statistics():
    layer, x = BatchNorm(3), torch.randn(4, 3, 5)
    graph = torch.export.export(layer, (x,)).module()
    graph(x)
    expected = BatchNorm(3)
    assert_close(graph(x), expected(x))
    expected(x)
    assert_close(graph.state_dict()["running_var"], expected.running_var)


def test_examples_of_a_batch_see_one_another_in_training_mode_only():
    layer, x = BatchNorm(2), random(4, 2).float()
    other = x.clone()
    other[3] += 5
    assert not torch.equal(layer(x)[0], layer(other)[0])
    layer.eval()
    assert torch.equal(layer(x)[:3], layer(other)[:3])


def test_groups_do_not_see_one_another():
    x = random(2, 6, 3)
    other = x.clone()
    other[1, 5, 2] += 9
    changed = (group_norm(x, 3) != group_norm(other, 3)).any(-1)
    assert changed.tolist() == [[False] * 6, [False] * 4 + [True] * 2]


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (RMSNorm(6), "RMSNorm(6, eps=1e-05, affine=True)"),
        (BatchNorm(3, momentum=0.2), "BatchNorm(3, eps=1e-05, momentum=0.2, affine=True)"),
        (GroupNorm(2, 6), "GroupNorm(2, 6, eps=1e-05, affine=True)"),
    ],
)
def test_the_other_layers_print_what_they_are(layer, text):
    assert repr(layer) == text
