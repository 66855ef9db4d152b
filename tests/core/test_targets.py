"""Which number is explained, and what is refused."""

import re

import pytest
import torch

from lib.core import target_score
from lib.core.targets import target_classes

OUTPUTS = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
CPU = torch.device("cpu")


def test_each_example_has_its_class_or_all_share_one():
    assert target_score(OUTPUTS, torch.tensor([2, 0])).tolist() == [3, 4]
    assert target_score(OUTPUTS, 1).tolist() == [2, 5]
    assert target_classes(2, 4, CPU).tolist() == [2, 2, 2, 2]
    assert target_classes(torch.tensor([1, 0]), 2, CPU).tolist() == [1, 0]


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
        (OUTPUTS, True, TypeError, "target must be an int or a tensor of class indices, got bool True"),
        (OUTPUTS, 1.0, TypeError, "target must be an int or a tensor of class indices, got float 1.0"),
        (OUTPUTS, None, TypeError, "target must be an int or a tensor of class indices, got NoneType None"),
        (OUTPUTS, torch.tensor([0.0, 1.0]), TypeError, "target must hold class indices as int64, got torch.float32"),
        (OUTPUTS, torch.tensor([True, False]), TypeError, "target must hold class indices as int64, got torch.bool"),
        (OUTPUTS, torch.tensor([0]), ValueError, "target must give one class for each of the 2 examples, got shape (1,)"),
        (OUTPUTS, torch.tensor(0), ValueError, "target must give one class for each of the 2 examples, got shape ()"),
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
