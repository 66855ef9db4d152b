"""What torch's own layers can be put through, ours can: per-example gradients, both modes, graphs, copies, any layout."""

import copy
import io

import pytest
import torch
from test_layers import CASES, input_for
from torch import nn
from torch.testing import assert_close

from lib.architectures import cross_entropy
from lib.core import seeded

every_layer = pytest.mark.parametrize("name", CASES)
SLOPES = {
    name: CASES[name]
    for name in CASES
    if name
    not in (
        "LeNet5",
        "digit_cnn",
        "Block",
        "Block, post-norm",
        "DecoderBlock",
        "MLP",
        "SwiGLU",
        "LlamaBlock",
        "ResNet",
        "DenseNet",
        "VGG",
    )
}  # parts, not wholes
every_part = pytest.mark.parametrize("name", SLOPES)


def built(name, dtype=torch.float64):
    layer = CASES[name].build()
    return layer.to(dtype) if isinstance(layer, nn.Module) else layer, input_for(CASES[name], dtype)


def number(layer):
    return lambda x: layer(x).sin().sum()


@every_layer
def test_gradients_per_example_are_those_of_each_example_alone(name):
    layer, x = built(name)
    per_example = torch.func.vmap(torch.func.grad(lambda one: number(layer)(one[None])))(x)
    alone = []
    for one in x:
        leaf = one[None].clone().requires_grad_()
        alone += torch.autograd.grad(number(layer)(leaf), leaf)
    assert_close(per_example, torch.cat(alone))


@pytest.mark.parametrize(
    "name",
    [name for name, case in CASES.items() if isinstance(case.build(), nn.Module) and list(case.build().parameters())],
)
def test_gradients_of_the_weights_per_example_are_those_of_each_example_alone(name):
    layer, x = built(name)
    weights = dict(layer.named_parameters())

    def loss(weights, one):
        return torch.func.functional_call(layer, weights, (one[None],)).sin().sum()

    per_example = torch.func.vmap(torch.func.grad(loss), (None, 0))(weights, x)
    for i, one in enumerate(x):
        alone = torch.autograd.grad(number(layer)(one[None]), weights.values())
        for weight, gradient in zip(weights, alone, strict=True):
            assert_close(per_example[weight][i], gradient)


@every_part
def test_forward_and_reverse_mode_agree(name):
    layer, x = built(name)
    x, tangent = x[:2], torch.randn_like(x[:2])
    gradient = torch.func.grad(number(layer))(x)
    _, slope = torch.func.jvp(number(layer), (x,), (tangent,))
    assert_close(slope, (gradient * tangent).sum())
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, tangent)
        assert_close(torch.autograd.forward_ad.unpack_dual(number(layer)(dual)).tangent, slope)
    leaf = x.clone().requires_grad_()
    assert_close(gradient, *torch.autograd.grad(number(layer)(leaf), leaf))


@every_part
def test_jacobians_and_second_derivatives_are_recorded_ones(name):
    layer, x = built(name)
    x = x[:1]
    jacobian = torch.autograd.functional.jacobian(layer, x)
    assert_close(torch.func.jacrev(layer)(x), jacobian)
    assert_close(torch.func.jacfwd(layer)(x), jacobian)
    tangent = torch.randn_like(x)
    product = torch.func.jvp(torch.func.grad(number(layer)), (x,), (tangent,))[1]
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(number(layer)(leaf), leaf, create_graph=True)
    assert_close(product, *torch.autograd.grad((gradient * tangent).sum(), leaf))


# A trace holds for the shapes that it was made with, and warns where one was looked at.
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.bad_input  # the tests' own checker cannot look at shapes while a graph is traced
@every_layer
def test_an_exported_and_a_traced_graph_give_the_same(name):
    layer, x = built(name)
    module = layer if isinstance(layer, nn.Module) else Function(layer)
    expected = module(x)
    assert_close(torch.export.export(module, (x,)).module()(x), expected)
    assert_close(torch.jit.trace(module, x, check_trace=False)(x), expected)


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@every_layer
def test_a_copy_and_a_pickle_give_the_same(name):
    layer, x = built(name)
    others = [copy.deepcopy(layer)]
    if isinstance(layer, nn.Module):
        file = io.BytesIO()
        torch.save(layer, file)
        file.seek(0)
        others.append(torch.load(file, weights_only=False))
    for other in others:
        assert torch.equal(other(x), layer(x))


@every_layer
def test_expanded_and_strided_inputs_give_the_same(name):
    layer, x = built(name)
    expanded = x[:1].expand_as(x)
    assert_close(layer(expanded), layer(expanded.clone()))
    every_other = torch.stack([x, x + 1], -1)[..., 0]
    assert not every_other.is_contiguous()
    assert_close(layer(every_other), layer(x))


@every_layer
def test_a_batch_of_nothing_gives_nothing(name):
    layer, x = built(name)
    nothing = x[:0].clone().requires_grad_()
    y = layer(nothing)
    assert len(y) == 0
    assert y.shape[1:] == layer(x).shape[1:]
    y.sum().backward()


@every_layer
def test_the_default_device_does_not_matter(name):
    layer, x = built(name)
    expected = layer(x)
    with torch.device("meta"):
        assert_close(layer(x), expected)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.bad_input
def test_the_loss_goes_through_the_same():
    logits, labels = torch.randn(4, 3, generator=seeded(0), dtype=torch.float64), torch.tensor([0, 2, 1, 1])
    per_example = torch.func.vmap(torch.func.grad(lambda x, label: cross_entropy(x[None], label[None])))(logits, labels)
    leaf = logits.clone().requires_grad_()
    assert_close(per_example, 4 * torch.autograd.grad(cross_entropy(leaf, labels), leaf)[0])

    class Loss(nn.Module):
        def forward(self, logits, labels):
            return cross_entropy(logits, labels)

    expected = cross_entropy(logits, labels)
    assert_close(torch.export.export(Loss(), (logits, labels)).module()(logits, labels), expected)
    assert_close(torch.jit.trace(Loss(), (logits, labels), check_trace=False)(logits, labels), expected)
