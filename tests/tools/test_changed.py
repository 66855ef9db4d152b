"""A pull request runs the chapters that it may have changed."""

import pytest

from tools.changed import chapters_to_run, main

CHAPTERS = ["chapters/code/a.ipynb", "chapters/formulas/b.ipynb"]


@pytest.mark.parametrize(
    ("changed", "run"),
    [
        ([], []),
        (["chapters/code/a.ipynb", "README.md", "_static/custom.css", "tests/core/test_hooks.py"], CHAPTERS[:1]),
        (["lib/core/hooks.py"], CHAPTERS),
        (["requirements.txt", "chapters/code/a.ipynb"], CHAPTERS),
        (["tools/notebooks/validation.py"], CHAPTERS),
        (["chapters/checkpoints/digits.pt"], CHAPTERS),
        (["chapters/code/gone.ipynb"], []),
    ],
)
def test_what_a_change_can_change(changed, run):
    assert chapters_to_run(changed, CHAPTERS) == run


def test_an_unknown_revision_is_told(capsys):
    assert main(["no-such-revision"]) == 1
    assert "what has changed cannot be told" in capsys.readouterr().err
