"""Words are compared exactly, numbers within what the cell declares, and a declaration that hides a conclusion is refused."""

import re

import pytest
from nbformat.v4 import new_code_cell

from tools.notebooks.pictures import allowed_share
from tools.notebooks.tolerance import EXACT, Tolerance, difference, numbers, tolerance, words

REASON = "a trained network: another processor adds up in another order"
NEAR = Tolerance(0.02)
SAME = [
    ("loss 0.125, right in 0.93", "loss 0.125, right in 0.95", NEAR),
    ("0.93", "0.94", NEAR),  # one in the last digit
    ("0.50", "0.52", NEAR),  # as far as allowed, though 0.52 − 0.5 is more than 0.02 in binary
    ("tensor([0.10, -0.20])", "tensor([ 0.11, -0.19])", NEAR),
    ("epoch  9.99 s", "epoch 10.01 s", NEAR),  # wider, so the column moved
    ("-----\n 0.1\n", "------\n 0.12\n", NEAR),
    ("0.00 and 0.01", "0.01 and 0.00", NEAR),
    ("3.1e-05", "3.2e-05", Tolerance(0.05, relative=True)),
    ("−40 and 1,000", "−42 and 1,050", Tolerance(0.05, relative=True)),
    ("<td>0.93</td>", "<td>0.92</td>", NEAR),
    ("conv2 0.93", "conv2 0.92", NEAR),
]
CHANGED = [
    ("0.93", "0.94", EXACT, "no tolerance"),
    ("same words", "other words", EXACT, "no tolerance"),
    ("right in 0.93", "wrong in 0.93", NEAR, "words"),
    ("0.93", "0.96", NEAR, r"0\.93 is stored, 0\.96 was computed, ± 0\.02 is allowed"),
    ("0.1 0.2 0.3", "0.1 0.2", NEAR, "words"),
    ("0.1", "0.1 0.2", NEAR, "words"),
    ("slope -0.01", "slope 0.01", NEAR, r"-0\.01 is stored, 0\.01"),
    ("−0.01", "0.01", NEAR, r"−0\.01 is stored"),
    ("100 steps", "106 steps", Tolerance(0.05, relative=True), "100 is stored, 106 was computed, ± 5 % is allowed"),
    ("0.01", "0.02", Tolerance(0.05, relative=True), "0.01 is stored"),
    ("0.93 %", "0.93", NEAR, "words"),
    ("True", "False", NEAR, "words"),
    ("nan", "0.1", NEAR, "words"),
    ("inf", "nan", NEAR, "words"),
    ("conv1 0.93", "conv2 0.93", NEAR, "words"),
    ("torch 2.13.0", "torch 2.14.0", NEAR, "words"),
    ("one\ntwo 0.1", "one two 0.1", NEAR, "words"),
]


@pytest.mark.parametrize(("stored", "fresh", "within"), SAME)
def test_another_processors_last_digits_change_nothing(stored, fresh, within):
    assert difference(stored, fresh, within) == ""
    assert difference(stored, fresh) != ""


@pytest.mark.parametrize(("stored", "fresh", "within", "told"), CHANGED)
def test_a_changed_conclusion_is_told(stored, fresh, within, told):
    assert re.search(told, difference(stored, fresh, within))


def test_what_is_a_number():
    assert numbers("12 of 1,024, -0.5 and −0.5, 3.1e-05, 71%, 3×4, [1., 2]; 3-4, x-5") == [
        "12", "1,024", "-0.5", "−0.5", "3.1e-05", "71", "3", "4", "1.", "2", "3", "4", "5",
    ]  # fmt: skip
    assert numbers("conv2, 2.13.0, v1.2, 0x7f, 1e, a_3") == ["0", "1"]
    assert words("conv2 took 3  s") == "conv2 took#s"


def declared(**what) -> object:
    return new_code_cell("x", metadata={"book": {"tolerance": what}})


def test_what_a_cell_declares_is_what_it_gets():
    assert tolerance(new_code_cell("x")) == EXACT
    assert tolerance(declared(absolute=0.02, concludes=0.08, reason=REASON)) == Tolerance(0.02)
    assert tolerance(declared(relative=0.05, concludes=0.5, reason=REASON)) == Tolerance(0.05, relative=True)


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ({"absolute": 0.02, "concludes": 0.1}, "needs a `reason`"),
        ({"absolute": 0.02, "concludes": 0.1, "reason": " "}, "needs a `reason`"),
        ({"absolute": 0.03, "concludes": 0.1, "reason": REASON}, "wider than a quarter of 0.1"),
        ({"relative": 0.3, "concludes": 1, "reason": REASON}, "wider than a quarter of 1"),
        ({"concludes": 0.1, "reason": REASON}, "either `absolute` or `relative`, has neither"),
        ({"absolute": 1, "relative": 1, "concludes": 9, "reason": REASON}, "has absolute and relative"),
        ({"absolute": 0.02, "reason": REASON}, "concludes: must be a number above zero, is None"),
        ({"absolute": 0, "concludes": 1, "reason": REASON}, "absolute: must be a number above zero, is 0"),
        ({"absolute": True, "concludes": 9, "reason": REASON}, "above zero, is True"),
        ({"absolute": "1", "concludes": 9, "reason": REASON}, "above zero, is '1'"),
        ({"absolute": 1, "concludes": float("inf"), "reason": REASON}, "above zero, is inf"),
        ({"absolute": 1, "concludes": 9, "reason": REASON, "because": ""}, "does not know because"),
    ],
)
def test_a_declaration_that_could_hide_a_conclusion_is_refused(what, told):
    with pytest.raises(ValueError, match=told):
        tolerance(declared(**what))


def test_a_declaration_is_a_mapping():
    with pytest.raises(ValueError, match=r"book\.tolerance: must be a mapping with absolute, .* is 0\.1"):
        tolerance(new_code_cell("x", metadata={"book": {"tolerance": 0.1}}))


def test_a_picture_may_change_by_the_usual_share_or_by_what_its_cell_declares():
    assert allowed_share(new_code_cell("x")) == 0.05
    assert allowed_share(new_code_cell("x", metadata={"book": {"picture": {"share": 0.15, "reason": REASON}}})) == 0.15


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ({"share": 0.15}, "needs a `reason`"),
        ({"share": 0.04, "reason": REASON}, "must lie above the usual 0.05"),
        ({"share": 0.31, "reason": REASON}, "be at most 0.3"),
        ({"reason": REASON}, "share: must be a number above zero, is None"),
        ({"share": 0.15, "reason": REASON, "absolute": 1}, "does not know absolute"),
    ],
)
def test_a_declared_share_that_tells_no_two_pictures_apart_is_refused(what, told):
    with pytest.raises(ValueError, match=told):
        allowed_share(new_code_cell("x", metadata={"book": {"picture": what}}))
