"""Each question has its key, each option an explanation."""

import pytest
from tiny_book import QUESTION, notebook

from tools.chapter.model import Chapter
from tools.chapter.quiz import problems, questions

GOALS = "# Chapter\n\n## What you will be able to do\n\n1. Count\n2. Derive\n\n"
TWO_KEYS = QUESTION.replace("How many?", "Which? (Choose two.)").replace("**No.**", "**Right.**")


def faults(text: str) -> list[str]:
    return list(problems(Chapter.from_notebook("chapters/code/x", notebook(GOALS, text))))


def test_the_reader_sees_question_options_and_key():
    [question] = questions(Chapter.from_notebook("chapters/code/x", notebook(GOALS, QUESTION)))
    assert (question.title, question.objectives, question.keys) == ("Question 1", [2], 1)
    assert [(option.title[:2], option.right) for option in question.options] == [("A.", True), ("B.", False)]


@pytest.mark.parametrize("text", [QUESTION, TWO_KEYS, QUESTION.replace("*Objective 2.*", "*Objectives 1 and 2.*")])
def test_a_sound_question_passes(text):
    assert faults(text) == []


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("**Right.**", "**No.**", "has 0 right options and asks for 1"),
        ("**No.**", "**Right.**", "has 2 right options and asks for 1"),
        ("How many?", "How many? (Choose two.)", "has 1 right options and asks for 2"),
        ("How many?", "How many? (Choose some.)", "has 1 right options and asks for 0"),
        ("**No.** That", "That", "option B must begin with **Right.** or **No.**"),
        (" That takes padding of one.", "", "option B does not explain itself"),
        (
            "`````\n",
            "````{dropdown} C. `x`\n**No.** Not read at all.\n````\n`````\n",
            "holds a dropdown that cannot be read",
        ),
        ("*Objective 2.* ", "", "must begin with its objective"),
        ("*Objective 2.*", "*Objective 3.*", "names objective 3; the chapter has 2"),
        ("B. 28", "C. 28", "option 2 must be titled 'B' and a dot"),
        ("````{dropdown} B. 28 × 28\n**No.** That takes padding of one.\n````\n", "", "at least two options"),
    ],
)
def test_each_fault_is_named(before, after, complaint):
    assert QUESTION.count(before) == 1
    [fault] = faults(QUESTION.replace(before, after))
    assert complaint in fault
    assert "cell 2, Question 1:" in fault
