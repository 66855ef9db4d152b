"""Which number is explained, and what is refused."""

import re

import numpy as np
import pytest
import torch

from lib.core import target_score
from lib.core.targets import target_classes

OUTPUTS = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
RULE = "target must be a class index, or integers that give one for each example, got"
CPU = torch.device("cpu")


def test_each_example_has_its_class_or_all_share_one():
    assert target_score(OUTPUTS, torch.tensor([2, 0])).tolist() == [3, 4]
    assert target_score(OUTPUTS, 1).tolist() == [2, 5]
    assert target_classes(2, 4, CPU).tolist() == [2, 2, 2, 2]
    assert target_classes(torch.tensor([1, 0]), 2, CPU).tolist() == [1, 0]


@pytest.mark.parametrize(
    "form", [list, tuple, np.array, lambda c: np.array(c, "uint8"), lambda c: torch.tensor(c).int()]
)
def test_a_class_for_each_example_may_come_in_any_form_that_holds_integers(form):
    assert target_score(OUTPUTS, form([2, 0])).tolist() == [3, 4]


@pytest.mark.parametrize("form", [int, torch.tensor, np.int64, np.array, lambda c: torch.tensor(c).byte()])
def test_one_class_for_all_may_be_any_integer(form):
    assert target_score(OUTPUTS, form(1)).tolist() == [2, 5]


def test_the_score_is_part_of_the_graph():
    outputs = OUTPUTS.clone().requires_grad_()
    target_score(outputs, torch.tensor([2, 0])).sum().backward()
    assert outputs.grad.tolist() == [[0, 0, 1], [1, 0, 0]]


def test_classes_that_are_not_explained_may_be_ruled_out():
    masked = torch.tensor([[1.0, -torch.inf]])
    assert target_score(masked, 0).item() == 1


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("outputs", "target", "error", "message"),
    [
        (OUTPUTS, 3, ValueError, "target must lie in 0 … 2, the 3 classes, got 3"),
        (OUTPUTS, -1, ValueError, "target must lie in 0 … 2, the 3 classes, got -1"),
        (OUTPUTS, torch.tensor([0, 7]), ValueError, "target must lie in 0 … 2, the 3 classes, got 7"),
        (OUTPUTS, True, TypeError, "target must be a class index, or integers that give one for each example, got bool True"),
        (OUTPUTS, 1.0, TypeError, "target must be a class index, or integers that give one for each example, got float 1.0"),
        (OUTPUTS, None, TypeError, "target must be a class index, or integers that give one for each example, got NoneType None"),
        (OUTPUTS, torch.tensor([0.0, 1.0]), TypeError, "target must be a class index, or integers that give one for each example, got torch.float32"),
        (OUTPUTS, torch.tensor([True, False]), TypeError, "target must be a class index, or integers that give one for each example, got torch.bool"),
        (OUTPUTS, torch.tensor([0]), ValueError, "target must give one class for each of the 2 examples, got shape (1,)"),
        (OUTPUTS, [0, 1, 2], ValueError, "target must give one class for each of the 2 examples, got shape (3,)"),
        (OUTPUTS, [[0], [1]], ValueError, "target must give one class for each of the 2 examples, got shape (2, 1)"),
        (OUTPUTS, "cat", TypeError, f"{RULE} str 'cat'"),
        (OUTPUTS, ["cat", "dog"], TypeError, f"{RULE} list ['cat', 'dog']"),
        (OUTPUTS, [0, [1, 2]], TypeError, f"{RULE} list [0, [1, 2]]"),
        (OUTPUTS, [0.0, 1.0], TypeError, f"{RULE} torch.float32"),
        (OUTPUTS, np.array([0.0, 1.0]), TypeError, f"{RULE} torch.float64"),
        (OUTPUTS, np.bool_(True), TypeError, f"{RULE} bool"),
        (OUTPUTS, np.array([0, 5]), ValueError, "target must lie in 0 … 2, the 3 classes, got 5"),
        (OUTPUTS[0], 0, ValueError, "the model's output must have 2 axes (batch, classes), got 1 with shape (3,)"),
        (OUTPUTS[None], 0, ValueError, "the model's output must have 2 axes (batch, classes), got 3"),
        (OUTPUTS.tolist(), 0, TypeError, "the model's output must be a torch.Tensor, got list"),
        (OUTPUTS.long(), 0, TypeError, "the model's output must be floating point, got torch.int64"),
        (OUTPUTS * torch.nan, 0, ValueError, "the explained score must be finite, got nan at (0,) (2 such values)"),
    ],
)  # fmt: skip
def test_what_is_no_score_is_refused(outputs, target, error, message):
    with pytest.raises(error, match=re.escape(message)):
        target_score(outputs, target)
