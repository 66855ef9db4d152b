"""Each chapter of the book has sound exercises and a sound quiz, neither too few nor too many, and nothing of the skeleton."""

import re
from collections import Counter

import pytest
from tiny_book import REPOSITORY

from tools.chapter import exercises, quiz
from tools.chapter.model import is_chapter, read_book
from tools.chapter.skeleton import left_over

CHAPTERS = [page for page in read_book(REPOSITORY) if is_chapter(page.docname) and "kernelspec" in page.metadata]
LONG_NAME = re.compile(r"\{(?:func|class|meth|data)\}`(lib\.[\w.]+)`")
ANSWERS = "chapters/faq/questions_and_answers"  # a list to look things up in, with no objectives to practise


def test_chapters_are_found():
    assert CHAPTERS, "no chapter found: the test below would pass on an empty book"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.docname)
def test_the_skeleton_has_been_written_over(chapter):
    left = left_over(chapter)
    assert not left, f"{chapter.docname} still has lines of the skeleton:\n" + "\n".join(left)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.docname)
def test_names_of_the_library_are_shown_as_they_are_called(chapter):
    long = [name for cell in chapter.cells if not cell.is_code for name in LONG_NAME.findall(cell.source)]
    assert long == [], (
        f"{chapter.docname}: write {{func}}`~lib.…`, which shows the last part of the name and links the whole"
    )


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.docname)
def test_exercises_and_quiz_are_sound(chapter):
    assert [*exercises.problems(chapter), *quiz.problems(chapter)] == []
    counted = len(exercises.exercises(chapter)), len(quiz.questions(chapter))
    if chapter.docname == ANSWERS:
        assert counted == (0, 0), f"{chapter.docname} answers questions and asks none, got {counted}"
        return
    assert 3 <= counted[0] <= 6, f"{chapter.docname} has {counted[0]} exercises; a chapter has three to six"
    assert 4 <= counted[1] <= 6, f"{chapter.docname} has {counted[1]} questions; a chapter has four to six"


def test_neither_place_nor_length_gives_the_right_answer_away():
    asked = [question for chapter in CHAPTERS for question in quiz.questions(chapter) if question.keys == 1]
    places = Counter("ABCDEF"[[option.right for option in question.options].index(True)] for question in asked)
    longest = sum(max(question.options, key=lambda option: len(option.title)).right for question in asked)
    letter, times = places.most_common(1)[0]
    assert times < 0.45 * len(asked), f"{letter} is right in {times} of {len(asked)} questions; exchange options"
    assert longest < 0.45 * len(asked), (
        f"in {longest} of {len(asked)} questions the longest option is right; shorten it"
    )
