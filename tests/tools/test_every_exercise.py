"""Every chapter has its exercises. That each check fails on its starter, the run of the notebooks shows."""

import pytest

from tools.course import find_exercises
from tools.notebooks import chapter_paths, read
from tools.notebooks.files import ROOT

chapters_with_exercises = [path for path in chapter_paths() if "{exercise}" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", chapters_with_exercises, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_chapter_has_three_to_six_exercises(path):
    assert 3 <= len(find_exercises(read(path))) <= 6
