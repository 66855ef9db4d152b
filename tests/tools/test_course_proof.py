"""The proof tells a check that can fail from one that cannot, and from one that fails for a wrong reason."""

import pytest
from small_course import chapter

from tools.course import Verdict, try_starters
from tools.notebooks import NotebookError, write

CHECK = 'assert double(21) == 42, "twice 21 is 42"'


def verdicts(tmp_path, *changes):
    path = tmp_path / "chapter.ipynb"
    write(path, chapter(*changes))
    return try_starters(path)


def test_good_checks_fail_on_their_starters(tmp_path):
    assert verdicts(tmp_path) == [
        Verdict("ex-double", "AssertionError: twice 21 is 42", ""),
        Verdict("ex-quadruple", "TypeError: 'ellipsis' object is not callable", ""),
    ]


@pytest.mark.parametrize(
    ("changes", "flaw"),
    [
        ([(CHECK, "assert callable(double)")], "the check passes on the starter"),
        ([(CHECK, "assert secret == 42"), ("return x + x", "return x + x\n\nsecret = 42")], "for a reason that is not the student's"),
        ([("...  # your code", "return undefined"), ("quadruple = ...", "quadruple = ...")], "for a reason that is not the student's"),
        ([("...  # your code", "...\n\n1 / 0"), ("{solution-start} ex-double", "{solution-start} ex-double")], "fails with the solutions in place"),
    ],
    ids=["cannot fail", "needs the solution", "starter uses an undefined name", "starter raises"],
)  # fmt: skip
def test_a_useless_check_is_found(tmp_path, changes, flaw):
    try:
        found = verdicts(tmp_path, *changes)[0].flaw
    except NotebookError as error:
        found = str(error)
    assert flaw in found


def test_a_check_that_rejects_the_solution_is_found(tmp_path):
    with pytest.raises(NotebookError, match=r"fails with the solutions in place: AssertionError: twice 21 is 43"):
        verdicts(tmp_path, (CHECK, 'assert double(21) == 43, "twice 21 is 43"'))


def test_a_starter_that_never_ends_is_stopped(tmp_path):
    path = tmp_path / "chapter.ipynb"
    write(path, chapter((CHECK, "while double(21) is None:\n    pass\nassert double(21) == 42")))
    with pytest.raises(NotebookError, match="at most 1 seconds are allowed"):
        try_starters(path, patience=1)


def test_a_network_can_be_trained_on_both_sides_of_the_fork(tmp_path):
    """Autograd and the thread pools of torch must survive in the copy."""
    train = (
        "import torch\n"
        "layer = torch.nn.Linear(200, 200)\n"
        "def step():\n"
        "    layer(torch.randn(2000, 200)).square().mean().backward()\n"
        "    return float(layer.weight.grad.abs().sum())\n"
        "assert step() > 0"
    )
    check = "assert step() > 0\n" + CHECK
    [double, _] = verdicts(tmp_path, ("calls = []", f"calls = []\n{train}"), (CHECK, check))
    assert double == Verdict("ex-double", "AssertionError: twice 21 is 42", "")
