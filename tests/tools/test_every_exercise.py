"""Every exercise of the book: its check fails on the starter and passes on the solution.

Runs each chapter once, solutions in place, so it takes as long as the chapters do.
"""

import pytest

from tools.course import find_exercises, try_starters
from tools.notebooks import chapter_paths, read
from tools.notebooks.files import ROOT

chapters_with_exercises = [path for path in chapter_paths() if "{exercise}" in path.read_text(encoding="utf-8")]
each_chapter = pytest.mark.parametrize(
    "path", chapters_with_exercises, ids=lambda path: path.relative_to(ROOT).as_posix()
)


@each_chapter
def test_a_chapter_has_three_to_six_exercises(path):
    assert 3 <= len(find_exercises(read(path))) <= 6


@pytest.mark.executes_chapters
@each_chapter
def test_checks_fail_on_starters_and_pass_on_solutions(path):
    verdicts = try_starters(path)
    assert [verdict.label for verdict in verdicts] == [exercise.label for exercise in find_exercises(read(path))]
    assert [f"{verdict.label}: {verdict.flaw} ({verdict.error})" for verdict in verdicts if verdict.flaw] == []
