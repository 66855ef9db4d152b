"""Every notebook of the book is canonical, has been run to its end, and shows nothing it should not."""

import pytest

from tools.notebooks import chapter_paths, deviations
from tools.notebooks.files import ROOT


def test_there_are_notebooks():
    assert chapter_paths()  # else the test below would have nothing to say


@pytest.mark.parametrize("path", chapter_paths(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_notebook_is_fit_to_be_published(path):
    assert deviations(path) == []
