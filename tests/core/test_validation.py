"""Every check refuses what its rule forbids, and says what it received."""

import pytest
import torch

from lib.core import validation

GOOD = torch.zeros(2, 3)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("check", "arguments", "error", "message"),
    [
        (
            validation.check_rank,
            ("x", GOOD, "batch channels time"),
            ValueError,
            r"x must have 3 axes \(batch, channels, time\), got 2 with shape \(2, 3\)",
        ),
        (validation.check_rank, ("x", [1.0], "batch"), TypeError, "x must be a torch.Tensor, got list"),
        (validation.check_floating, ("x", GOOD.long()), TypeError, r"x must be floating point, got torch.int64"),
        (
            validation.check_not_empty,
            ("x", GOOD[:0]),
            ValueError,
            r"x must hold at least one element, got shape \(0, 3\)",
        ),
        (
            validation.check_indices,
            ("labels", GOOD, 3, "the classes"),
            TypeError,
            r"labels must be a tensor of indices of dtype torch.int64, got torch.float32",
        ),
        (
            validation.check_indices,
            ("labels", [0], 3, "the classes"),
            TypeError,
            "labels must be a tensor of indices of dtype torch.int64, got list",
        ),
        (
            validation.check_indices,
            ("labels", torch.tensor([0, 3, -1]), 3, "the classes"),
            ValueError,
            "labels must lie in 0 … 2, the classes, got 3",
        ),
        (
            validation.check_indices,
            ("labels", torch.tensor([[0], [-1]]), 3, "the classes"),
            ValueError,
            "labels must lie in 0 … 2, the classes, got -1",
        ),
        (
            validation.check_finite,
            ("x", torch.tensor([[1.0, -torch.inf], [torch.nan, torch.inf]])),
            ValueError,
            r"x must be finite, got -inf at \(0, 1\) \(3 such values\)",
        ),
        (validation.check_positive_int, ("k", 0), ValueError, "k must be at least 1, got 0"),
        (validation.check_positive_int, ("k", True), TypeError, "k must be an int, got bool True"),
        (validation.check_positive_int, ("k", 2.0), TypeError, "k must be an int, got float 2.0"),
        (validation.check_non_negative_int, ("k", -1), ValueError, "k must be at least 0, got -1"),
        (validation.check_divisible, ("width", 130, "heads", 4), ValueError, "width 130 must be divisible by heads 4"),
    ],
)
def test_what_a_rule_forbids_is_refused(check, arguments, error, message):
    with pytest.raises(error, match=message):
        check(*arguments)


def test_lengths_that_differ_are_named():
    with pytest.raises(ValueError, match="x and y must have the same length, got x 2, y 3"):
        validation.check_same_length(x=GOOD, y=[1, 2, 3])


def test_what_a_rule_allows_passes():
    validation.check_rank("x", GOOD, "rows columns")
    validation.check_floating("x", GOOD)
    validation.check_not_empty("x", GOOD)
    validation.check_finite("x", torch.full((4,), 3e38))  # finite, though their sum is not
    validation.check_positive_int("k", 1)
    validation.check_non_negative_int("k", 0)
    validation.check_divisible("width", 128, "heads", 4)
    validation.check_same_length(x=GOOD, y=[1, 2])


def test_numbers_of_two_precisions_are_named():
    with pytest.raises(TypeError, match=r"^x and y must have the same dtype, got x torch\.float32, y torch\.float64$"):
        validation.check_same_dtype(x=GOOD, y=GOOD.double())
    validation.check_same_dtype(x=GOOD, y=GOOD + 1)


def test_an_ignored_index_passes_and_only_that_one():
    validation.check_indices("labels", torch.tensor([0, 2, -100]), 3, "the classes", ignored=-100)
    with pytest.raises(ValueError, match="labels must lie in 0 … 2, the classes, got -99"):
        validation.check_indices("labels", torch.tensor([-100, -99]), 3, "the classes", ignored=-100)


def test_numbers_that_cannot_be_read_are_not_asked_for():
    def of_one(label):
        validation.check_indices("labels", label, 3, "the classes")
        return label + 1

    labels = torch.tensor([0, 7])
    assert torch.equal(torch.func.vmap(of_one)(labels), labels + 1)
    validation.check_indices("labels", labels.to("meta"), 3, "the classes")
