"""Plans: which layers they name, what each change receives, and what is refused."""

import re

import pytest
import torch
from torch import nn

from lib import architectures
from lib.compression import plan_for
from lib.core import replaced


class Twice(nn.Module):
    """One layer under two names, and a layer that is no dense layer or convolution."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 4)
        self.first = nn.Sequential(nn.Linear(4, 4), architectures.Linear(4, 4))
        self.again = self.first[0]
        self.images = nn.Sequential(nn.Conv2d(1, 2, 3), architectures.Conv2d(2, 2, 3), nn.Conv1d(2, 2, 3))


def same(layer):
    return layer


def test_a_plan_names_each_dense_layer_and_convolution_of_both_libraries_once():
    assert list(plan_for(Twice(), same)) == ["first.0", "first.1", "images.0", "images.1"]
    assert list(plan_for(Twice(), same, kinds=nn.Conv2d)) == ["images.0"]
    assert list(plan_for(Twice(), same, kinds=(nn.Linear, nn.Embedding))) == ["table", "first.0"]


def test_a_plan_holds_only_what_was_asked_for_and_nothing_that_was_excepted():
    assert list(plan_for(Twice(), same, only=["images.1", "again"])) == ["images.1", "again"]
    # The other name of a layer is the layer.
    assert list(plan_for(Twice(), same, except_=["again", "images.0"])) == ["first.1", "images.1"]


def test_each_change_receives_its_layer_and_what_is_given_for_it():
    def scaled(layer, factor):
        layer.weight.data *= factor
        return layer

    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    changed = replaced(model, plan_for(model, scaled, given={"0": 2.0, "2": 3.0, "nine": 1.0}))
    assert torch.equal(changed[0].weight, 2 * model[0].weight)
    assert torch.equal(changed[2].weight, 3 * model[2].weight)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: plan_for(m.table, same), ValueError, "the plan must name a layer of the kinds Conv2d or Linear, got none; the model has []"),
        (lambda m: plan_for(m, same, only=[]), ValueError, "the plan must name a layer of the kinds Conv2d or Linear, got none"),
        (lambda m: plan_for(m, same, only=["head"]), ValueError, "only must name layers of the kinds Conv2d or Linear, got ['head']; there are ['first.0'"),
        (lambda m: plan_for(m, same, only=["table"]), ValueError, "only must name layers of the kinds Conv2d or Linear, got ['table']"),
        (lambda m: plan_for(m, same, except_=["hed"]), ValueError, "except_ must name layers of the kinds Conv2d or Linear, got ['hed']"),
        (lambda m: plan_for(m, same, only=["first.0", "again"]), ValueError, "only must name each layer once, got ['first.0', 'again']"),
        (lambda m: plan_for(m, same, except_=["again", "again"]), ValueError, "except_ must name each layer once, got ['again', 'again']"),
        (lambda m: plan_for(m, same, kinds=(nn.Sequential, nn.Linear)), ValueError, "the plan must not name a layer within another, got 'first' and 'first.0'"),
        (lambda m: plan_for(m, same, given={"first.0": 1}), ValueError, "given must hold something for each layer, got nothing for 'first.1'; it has ['first.0']"),
        (lambda m: plan_for(m, nn.ReLU()), TypeError, "change must be a function from the old layer to the new one, got ReLU"),
        (lambda m: plan_for(m, "prune"), TypeError, "change must be callable, got str 'prune'"),
        (lambda m: plan_for(m.forward, same), TypeError, "model must be a Module, got method"),
        (lambda m: plan_for(m, same, only="first.0"), TypeError, "only must be a list or tuple or None, got str 'first.0'"),
    ],
)  # fmt: skip
def test_what_is_no_plan_is_refused(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call(Twice())
