"""Every notebook of the book is canonical, has been run to its end, and shows nothing it should not."""

import re

import nbformat
import pytest

from tools.notebooks import chapter_paths, deviations
from tools.notebooks.files import ROOT


def test_there_are_notebooks():
    assert chapter_paths()  # else the test below would have nothing to say


@pytest.mark.parametrize("path", chapter_paths(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_notebook_is_fit_to_be_published(path):
    assert deviations(path) == []


@pytest.mark.parametrize("path", chapter_paths(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_chapter_takes_from_the_library_comes_from_the_package_by_one_path(path):
    code = "".join(cell.source + "\n" for cell in nbformat.read(path, 4).cells if cell.cell_type == "code")
    deeper = re.findall(r"^\s*(?:from|import) (lib\.\w+\.[\w.]+)", code, re.MULTILINE)
    assert deeper == [], "import it from its package, e.g. `from lib.architectures import Conv2d`"
