"""The guided rule by hand, by Captum, and in networks that make hooks stumble."""

import captum.attr
import pytest
import torch
from explained_models import sample
from torch import nn
from torch.testing import assert_close

from lib.architectures import relu as relu_of_the_book
from lib.core import fixed_seed
from lib.explanations import guided_backprop, saliency


@pytest.mark.equation("eq-guided-backprop")
def test_the_rule_by_hand():
    # Two units, both active, with weights 2 and −3 to the score: the second's signal is negative and is stopped.
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.ReLU(), nn.Linear(3, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0], [-1.0, 0.0, 0.0]]))
        model[2].weight.copy_(torch.tensor([[2.0, -3.0, 7.0]]))
    x = torch.ones(1, 3)
    assert guided_backprop(model, x, 0).tolist() == [[2, 4, 0]]  # the third unit is silent: no signal passes
    assert saliency(model, x, 0).tolist() == [[2, 1, -3]]


def deep(activation=nn.ReLU):
    with fixed_seed(3):
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), activation(), nn.Conv2d(8, 8, 3), activation(), nn.Flatten(), nn.Linear(192, 3)
        )  # fmt: skip


def test_captum_agrees():
    model, x, target = deep(), sample("images"), torch.tensor([2, 0, 1, 1])
    with pytest.warns(UserWarning, match="backward hooks on ReLU"):
        theirs = captum.attr.GuidedBackprop(model).attribute(x.requires_grad_(), target)
    assert_close(guided_backprop(model, x, target), theirs.detach())
    assert not torch.allclose(theirs, saliency(model, x, target))


def test_other_activations_are_guided_when_they_are_named():
    model, x = deep(nn.GELU), sample("images")
    guided = guided_backprop(model, x, 1, activations=(nn.GELU,))
    assert not torch.allclose(guided, saliency(model, x, 1))
    # With ReLU6 in the list from the start, a network of both is guided at both.
    capped, x = deep(nn.ReLU6), x / 10  # so small that no unit reaches 6
    assert_close(guided_backprop(capped, x, 1), guided_backprop(deep(), x, 1))


def test_where_nothing_negative_comes_back_it_is_the_gradient():
    model, x = deep(), sample("images")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    assert_close(guided_backprop(model, x, 1), saliency(model, x, 1))


class Stumbling(nn.Module):
    """One module used twice, and its output changed in place by what follows, as in residual networks.

    ReLU6, since ReLU itself needs its output for the backward pass and allows no such change.
    """

    def __init__(self):
        super().__init__()
        with fixed_seed(0):
            self.first, self.second, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.relu = nn.ReLU6()

    def forward(self, x):
        y = self.relu(self.first(x))
        y += x
        return self.head(self.relu(self.second(y)))


def test_a_shared_module_is_guided_each_time_and_may_be_followed_by_work_in_place():
    model, x = Stumbling(), sample("rows")
    y = x.clone().requires_grad_()
    first = model.first(y)
    middle = first.relu() + y
    second = model.second(middle)
    assert max(first.max(), second.max()) < 6
    # Backwards by hand, with the guided rule at both.
    signal = model.head.weight[2].clamp(min=0) * (second > 0)
    signal = signal @ model.second.weight
    guided = (signal.clamp(min=0) * (first > 0)) @ model.first.weight + signal
    assert_close(guided_backprop(model, x, 2), guided.detach())


def test_an_activation_off_the_path_is_left_alone():
    class WithGate(nn.Module):
        def __init__(self):
            super().__init__()
            with fixed_seed(1):
                self.body, self.gate = nn.Linear(6, 3), nn.Linear(6, 3)
            self.relu = nn.ReLU()

        def forward(self, x):
            return self.relu(self.body(x)) * self.relu(self.gate(x)).detach() + self.relu(
                self.gate(x.detach()).detach()
            )

    model, x = WithGate(), sample("rows")
    with torch.no_grad():
        model.body.weight.abs_()  # and the one on the path has nothing negative to stop
    expected = model.relu(model.gate(x))[:, 1:2] * model.body.weight[1] * (model.body(x)[:, 1:2] > 0)
    assert_close(guided_backprop(model, x, 1), expected.detach())


def as_function(kind):
    """The deep network with its ReLUs called as functions, in several spellings."""
    model, relu = deep(), {
        "torch.relu": torch.relu,
        "in place": lambda z: torch.relu_(z * 1),
        "clamp": lambda z: z.clamp(min=0),
        "threshold": lambda z: nn.functional.threshold(z, 0, 0),
        "relu6": nn.functional.relu6,
        "lib": relu_of_the_book,
    }[kind]  # fmt: skip
    first, _, second, _, flat, head = model
    return lambda x: head(flat(relu(second(relu(first(x))))))


@pytest.mark.parametrize("kind", ["torch.relu", "in place", "clamp", "threshold", "relu6", "lib"])
def test_a_relu_that_is_called_as_a_function_is_guided_as_well(kind):
    x = sample("images") / 10  # no unit reaches 6
    assert_close(guided_backprop(as_function(kind), x, 1), guided_backprop(deep(), x, 1))


def test_a_compiled_model_is_explained_as_what_it_was_compiled_from():
    model, x = deep(), sample("images")
    compiled = torch.compile(model, backend="aot_eager")
    compiled(x)  # what is compiled now ignores hooks that come later
    assert torch.equal(guided_backprop(compiled, x, 1), guided_backprop(model, x, 1))
    function = torch.compile(lambda z: model(z), backend="aot_eager")
    function(x)
    assert torch.equal(guided_backprop(function, x, 1), guided_backprop(model, x, 1))


@pytest.mark.bad_input
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # the compiler looks at the inputs
def test_a_compiled_part_is_refused():
    model = nn.Sequential(torch.compile(nn.Sequential(nn.Linear(6, 6), nn.ReLU()), backend="aot_eager"), nn.ReLU())
    with pytest.raises(ValueError, match=r"must not hold compiled .* got \['CompiledFunctionBackward'\]"):
        guided_backprop(model, sample("rows"), 1)
