"""Each chapter of the book has sound exercises and a sound quiz, neither too few nor too many."""

import pytest
from tiny_book import REPOSITORY

from tools.chapter import exercises, quiz
from tools.chapter.model import is_chapter, read_book

CHAPTERS = [page for page in read_book(REPOSITORY) if is_chapter(page.docname) and "kernelspec" in page.metadata]


def test_chapters_are_found():
    assert CHAPTERS, "no chapter found: the test below would pass on an empty book"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.docname)
def test_exercises_and_quiz_are_sound(chapter):
    assert [*exercises.problems(chapter), *quiz.problems(chapter)] == []
    assert 3 <= len(exercises.exercises(chapter)) <= 6
    assert 4 <= len(quiz.questions(chapter)) <= 6
