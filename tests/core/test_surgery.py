"""A plan changes what it names, in a copy, and nothing else."""

import copy
import re

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from lib.core import replaced


class Twice(nn.Module):
    """One layer under two names, and a head whose weight is tied to it."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.again = self.first
        self.head = nn.Linear(3, 3)
        self.head.weight = self.first.weight

    def forward(self, x):
        return self.head(self.again(self.first(x)))


class Doubled(nn.Module):
    def __init__(self, old):
        super().__init__()
        self.old = old

    def forward(self, x):
        return 2 * self.old(x)


def test_what_the_plan_names_is_replaced_and_the_original_is_untouched():
    model = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 2)))
    before = copy.deepcopy(model.state_dict())
    x = torch.randn(5, 3)
    other = replaced(model, {"1.1": Doubled})
    assert_close(other(x), 2 * model(x))
    for parameter in other.parameters():
        parameter.data.fill_(0.0)  # nothing is shared
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert isinstance(model[1][1], nn.Linear)


def test_a_wrapper_and_a_shared_module_are_reached_under_every_name():
    model = nn.Sequential(Twice())
    for name in ("0.first", "0.again"):
        other = replaced(model, {name: Doubled})
        assert other[0].first is other[0].again
        assert isinstance(other[0].first, Doubled)
        # Tied parameters stay tied: the function kept the old layer.
        assert other[0].head.weight is other[0].first.old.weight
        assert other[0].head.weight is not model[0].head.weight


def test_inner_modules_come_first_whatever_the_order_of_the_plan():
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2)))
    x = torch.randn(4, 2)
    for plan in ({"0": Doubled, "0.0": Doubled}, {"0.0": Doubled, "0": Doubled}):
        other = replaced(model, plan)
        assert_close(other(x), 4 * model(x))
        assert isinstance(other[0].old[0], Doubled)


def test_a_model_of_shapes_only_is_changed_without_memory():
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(10**6, 10**6))
    assert replaced(model, {"0": lambda old: nn.Linear(old.in_features, 2, device="meta")})[0].weight.is_meta


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("plan", "error", "message"),
    [
        ({"last": Doubled}, ValueError, "the plan must name modules of the model, got ['last']; it has ['first', 'again', 'head']"),
        ({"": Doubled}, ValueError, "the plan must name modules of the model, got ['']"),
        ({}, ValueError, "the plan must name modules of the model, got no name"),
        ({"head": None}, TypeError, "the plan must give 'head' a function from the old module to the new one, got None"),
        ({"head": nn.Identity()}, TypeError, "the plan must give 'head' a function from the old module to the new one"),
        ({"head": lambda old: None}, TypeError, "the function for 'head' must return a torch.nn.Module, got NoneType"),
        ({"first": Doubled, "again": nn.Sequential}, ValueError, "got another one for 'again', which is shared"),
    ],
)  # fmt: skip
def test_a_wrong_plan_is_refused(plan, error, message):
    with pytest.raises(error, match=re.escape(message)):
        replaced(Twice(), plan)


@pytest.mark.bad_input
def test_only_a_module_has_modules_by_name():
    with pytest.raises(
        TypeError, match=re.escape("model must be a torch.nn.Module to have modules by name, got function")
    ):
        replaced(lambda x: x, {"head": Doubled})
