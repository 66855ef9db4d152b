"""The Rescale rule by hand, by Captum, in every spelling of an activation; and that its sum is conserved or refused."""

import captum.attr
import pytest
import torch
from explained_models import build, sample
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from lib.architectures import relu as relu_of_the_book
from lib.core import fixed_seed, seeded
from lib.explanations import completeness_gap, deep_lift, input_x_gradient, integrated_gradients


@pytest.mark.equation("eq-deep-lift")
def test_the_rule_by_hand():
    # Two units: z = (2a − b, a + b), y = ReLU(z), f = 3 y₁ − y₂, from (0, 2) to (3, 1).
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[2.0, -1.0], [1.0, 1.0]]))
        model[2].weight.copy_(torch.tensor([[3.0, -1.0]]))
    # z runs from (−2, 2) to (5, 4), y from (0, 2) to (5, 4): multipliers 5/7 and 1.
    found = deep_lift(model, torch.tensor([[3.0, 1.0]]), 0, baseline=torch.tensor([0.0, 2.0]))
    expected = [3 * (3 * 5 / 7 * 2 - 1), -1 * (3 * 5 / 7 * -1 - 1)]
    assert_close(found, torch.tensor([expected]))
    assert_close(found.sum(), torch.tensor(13.0))  # f from −2 to 11


def deep(activation=nn.ReLU):
    with fixed_seed(3):
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), activation(), nn.Conv2d(8, 8, 3), activation(), nn.Flatten(), nn.Linear(192, 3)
        )  # fmt: skip


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Sigmoid, nn.Tanh, nn.ELU, nn.LeakyReLU, nn.Softplus])
@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")  # Captum's, of its own hooks
def test_captum_agrees(activation):
    model, x, target = deep(activation), sample("images"), torch.tensor([2, 0, 1, 1])
    baseline = (0.3 * torch.randn(1, 3, 6, 8, generator=seeded(2))).requires_grad_()
    theirs = captum.attr.DeepLift(model).attribute(x.clone().requires_grad_(), baseline, target)
    ours = deep_lift(model, x, target, baseline=baseline)
    # Quotients of differences in float32; the two draw the line to the derivative at different places.
    assert_close(ours, theirs.detach(), rtol=1e-3, atol=1e-5)
    assert not torch.allclose(ours, input_x_gradient(model, x, target), atol=1e-3)


ACTIVATIONS = {
    "torch.relu": torch.relu,
    "Tensor.relu": torch.Tensor.relu,
    "in place": lambda z: torch.relu_(z),
    "method in place": lambda z: z.relu_(),
    "function in place": lambda z: F.relu(z, inplace=True),
    "what is returned is not used": lambda z: (F.relu(z, inplace=True), z)[1],
    "module in place": nn.ReLU(inplace=True),
    "clamp": lambda z: z.clamp(min=0),
    "clamp_min": lambda z: torch.clamp_min(z, 0),
    "threshold": lambda z: F.threshold(z, 0, 0),
    "named": lambda z: torch.relu(input=z),
}


@pytest.mark.parametrize("relu", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_a_relu_is_found_however_it_is_called(relu):
    x, expected = sample("images"), deep_lift(deep(), sample("images"), 1, baseline=0.3)
    first, _, second, _, flat, head = deep()
    assert_close(deep_lift(lambda z: head(flat(relu(second(relu(first(z)))))), x, 1, baseline=0.3), expected)


BENT = [
    "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "softplus", "softsign", "tanh", "sigmoid",
    "logsigmoid", "hardtanh", "hardswish", "hardsigmoid",
]  # fmt: skip


@pytest.mark.parametrize("name", BENT)
def test_every_activation_passes_on_the_quotient_of_differences(name):
    bend = getattr(F, name)
    x, start = torch.linspace(-4, 4, 9).double()[None], torch.tensor([[0.7]]).double()
    found = deep_lift(lambda z: bend(2 * z).cumsum(1)[:, -1:], x, 0, baseline=start)
    assert_close(found, bend(2 * x) - bend(2 * start))


def test_a_prelu_with_learned_slopes_is_one_as_well():
    with fixed_seed(0):
        model = nn.Sequential(nn.Linear(6, 4), nn.PReLU(4), nn.Linear(4, 3))
    x = sample("rows")
    assert completeness_gap(model, x, 1, deep_lift(model, x, 1)).abs().max() < 1e-5


@given(seed=st.integers(0, 2**31), depth=st.integers(1, 4))
def test_the_sum_is_conserved_in_any_network_of_affine_layers_and_activations(seed, depth):
    with fixed_seed(seed):
        layers = [part for _ in range(depth) for part in (nn.Linear(5, 5), [nn.ReLU(), nn.Tanh(), nn.GELU()][seed % 3])]
        model = nn.Sequential(*layers, nn.Linear(5, 2)).double()
    x, start = torch.randn(2, 3, 5, generator=seeded(seed)).double()
    attributions = deep_lift(model, x, 1, baseline=start)
    assert completeness_gap(model, x, 1, attributions, baseline=start).abs().max() < 1e-9


def test_max_pooling_by_hand():
    # max(z) goes from 3, at the first place, to 5, at the second: 2 up at the second, and nothing is left for the first.
    def model(x):
        return F.max_pool1d(x[:, None], 3)[:, 0]

    start = torch.tensor([3.0, 1.0, 0.0])
    assert deep_lift(model, torch.tensor([[2.0, 5.0, 1.0]]), 0, baseline=start).tolist() == [[0, 2, 0]]
    # And from 3 down to 2, at the third: the first place has lost it.
    assert deep_lift(model, torch.tensor([[0.0, 1.0, 2.0]]), 0, baseline=start).tolist() == [[-1, 0, 0]]


class LargestOfColumn(nn.Module):
    def forward(self, maps):
        return maps.amax(3, keepdim=True)


class LargestOfAll(nn.Module):
    def forward(self, maps):
        return F.adaptive_max_pool1d(maps.flatten(2), 1)[..., None]


class LargestOfVolume(nn.Module):
    def forward(self, maps):
        return F.adaptive_max_pool3d(maps[:, None], 2).flatten(2)[..., None].transpose(1, 2)[:, :4]


@pytest.mark.parametrize(
    "pool",
    [nn.MaxPool2d(2), nn.MaxPool2d(3, 1, padding=1), nn.AdaptiveMaxPool2d(2), LargestOfColumn(), LargestOfAll(), LargestOfVolume()],
)  # fmt: skip
def test_the_sum_is_conserved_with_max_pooling(pool):
    with fixed_seed(0):
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), pool, nn.Conv2d(4, 4, 1), nn.Tanh(), nn.Flatten())
        model.append(nn.LazyLinear(3))
        model(sample("images"))
    model, x = model.double(), sample("images").double()
    start = torch.randn(3, 6, 8, generator=seeded(4)).double()
    attributions = deep_lift(model, x, 1, baseline=start)
    assert completeness_gap(model, x, 1, attributions, baseline=start).abs().max() < 1e-9
    assert torch.equal(deep_lift(model, x, 1, baseline=x.clone()), torch.zeros_like(x))


def test_an_input_at_its_baseline_gets_nothing_and_no_nan():
    model = deep()
    x = sample("images")
    start = x.clone()
    start[:, :, :3] = 0.0  # below, nothing changes, and many units see no difference at all
    found = deep_lift(model, x, 1, baseline=start)
    assert torch.equal(found[:, :, 3:], torch.zeros_like(found[:, :, 3:]))
    assert found[:, :, :3].abs().max() > 0.01
    assert torch.equal(deep_lift(model, x, 1, baseline=x.clone()), torch.zeros_like(x))


def test_close_to_the_baseline_it_is_the_gradient_times_the_difference():
    model = deep(nn.Tanh).double()
    x = sample("images").double()
    near = deep_lift(model, x, 1, baseline=x - 1e-14)
    shifted = input_x_gradient(lambda z: model(z), x, 1) / x * (x - (x - 1e-14))
    assert_close(near, shifted, rtol=1e-3, atol=1e-20)


def test_where_a_kink_is_crossed_it_differs_from_integrated_gradients_though_both_sums_are_right():
    # f = ReLU(a − ReLU(b − 1)) from 0 to (2, 2): the two share the gain 1 differently.
    def model(x):
        return (x[:, :1] - (x[:, 1:] - 1).relu()).relu()

    x = torch.tensor([[2.0, 2.0]]).double()
    lift, path = deep_lift(model, x, 0), integrated_gradients(model, x, 0, steps=1000)
    assert_close(lift, torch.tensor([[2.0, -1.0]]).double())
    assert_close(path, lift, rtol=0, atol=0.01)
    bent = torch.tensor([[1.0, 3.0]]).double()  # now the outer ReLU closes on the way
    assert deep_lift(model, bent, 0).sum().abs() < 1e-9
    assert (deep_lift(model, bent, 0) - integrated_gradients(model, bent, 0, steps=1000)).abs().max() > 0.2


class Custom(nn.Module):
    """Its activation is an autograd function of its own, whose inside torch does not show."""

    def forward(self, x):
        return relu_of_the_book(x)


class Squared(nn.Module):
    def forward(self, x):
        return x * x


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6)),
        nn.Sequential(nn.Linear(6, 6), nn.Softmax(1)),
        nn.Sequential(nn.Linear(6, 6), Squared()),
        nn.Sequential(nn.Linear(6, 6), Custom()),
    ],
    ids=["layer norm", "softmax", "products", "a custom autograd function"],
)
def test_what_would_not_be_conserved_is_refused(model):
    with fixed_seed(0):
        model[0].reset_parameters()
    with pytest.raises(ValueError, match="the attributions must add up to f"):
        deep_lift(model, sample("rows"), 1)
    build_tokens, tokens, target = build("tokens")
    with pytest.raises(ValueError, match="use integrated_gradients"):
        deep_lift(build_tokens, tokens, target)
