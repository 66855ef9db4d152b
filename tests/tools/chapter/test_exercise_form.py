"""Each exercise has its parts in order, and a fault of its form is named."""

import pytest
from tiny_book import code, notebook

from tools.chapter.exercises import exercises, problems
from tools.chapter.model import Chapter

GOALS = "# Chapter\n\n## What you will be able to do\n\n1. Count\n2. Derive\n\n## Exercises"
EXERCISE = "```{exercise} Output size ●●○\n:label: ex-size\n\n*5 min · objectives 1, 2.* Write it.\n```"
HINT = "```{admonition} Hint\n:class: dropdown\n\nCount.\n```"
START, END = "```{solution-start} ex-size\n:class: dropdown\n```", "```{solution-end}\n```"
STARTER = code("def size(): ...", tags=("starter",))
SOLUTION = code("def size(): return 26", tags=("solution",))
CHECK = code("assert size() == 26", tags=("check",))
CELLS = [EXERCISE, HINT, STARTER, START, SOLUTION, "Prose.", END, CHECK]


def chapter(*cells) -> Chapter:
    return Chapter.from_notebook("chapters/code/x", notebook(GOALS, *cells, "## Summary"))


def test_a_sound_exercise_passes_and_is_read():
    assert list(problems(chapter(*CELLS))) == []
    [exercise] = exercises(chapter(*CELLS))
    assert (exercise.label, exercise.title, exercise.rating) == ("ex-size", "Output size", "●●○")
    assert (exercise.minutes, exercise.objectives, exercise.cell) == (5, (1, 2), 2)
    assert exercise.parts == [("hint", 2), ("starter", 3), ("solution", 5), ("check", 8)]
    assert exercise.positions("check") == [8]


def test_cells_belong_to_the_exercise_before_them():
    second = EXERCISE.replace("ex-size", "ex-two")
    found = exercises(chapter(EXERCISE, HINT, second, STARTER))
    assert [(exercise.label, exercise.parts) for exercise in found] == [
        ("ex-size", [("hint", 2)]),
        ("ex-two", [("starter", 4)]),
    ]


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        (" ●●○", "", "the title must end with a rating, one of ●○○ ●●○ ●●●"),
        (" ●●○", " ○●●", "the title must end with a rating"),
        ("label: ex-size", "label: size", "needs a label that begins with ex-"),
        (":label: ex-size\n", "", "needs a label that begins with ex-, got ''"),
        ("*5 min · objectives 1, 2.* ", "", "must begin with its terms"),
        ("objectives 1, 2", "objective 3", "names objective 3; the chapter has 2"),
    ],
)
def test_a_fault_of_the_text_is_named(before, after, complaint):
    assert before in EXERCISE
    found = list(problems(chapter(EXERCISE.replace(before, after), *CELLS[1:])))
    assert any(complaint in fault for fault in found)


BOTH = code("x", tags=("starter", "check"))
UNHIDDEN = START.replace("\n:class: dropdown", "")


@pytest.mark.parametrize(
    ("cells", "complaint"),
    [
        ([EXERCISE, STARTER, START, SOLUTION, END, CHECK], "has starter, solution, check"),
        (
            [EXERCISE, HINT.replace("Hint", "Note"), STARTER, START, SOLUTION, END, CHECK],
            "has starter, solution, check",
        ),
        ([EXERCISE, HINT.replace("dropdown", "tip"), STARTER, START, SOLUTION, END, CHECK], "has starter, solution"),
        ([EXERCISE, HINT, START, SOLUTION, END, CHECK], "has hint, solution, check"),
        ([EXERCISE, HINT, STARTER, START, END, CHECK], "has hint, starter, check"),
        ([EXERCISE, HINT, STARTER, START, SOLUTION, END], "has hint, starter, solution"),
        ([EXERCISE, HINT, CHECK, STARTER, START, SOLUTION, END], "has hint, check, starter, solution"),
        ([EXERCISE, STARTER, HINT, START, SOLUTION, END, CHECK], "has starter, hint, solution, check"),
        ([EXERCISE, HINT, BOTH, START, SOLUTION, END, CHECK], "cell 4: one cell is tagged starter and check"),
        ([EXERCISE, HINT, STARTER, SOLUTION, CHECK], "cell 5: a cell tagged `solution` stands outside"),
        ([EXERCISE, HINT, STARTER, UNHIDDEN, SOLUTION, END, CHECK], "cell 5: solution-start needs `:class: dropdown`"),
        (
            [EXERCISE, HINT, STARTER, START, code("x"), SOLUTION, END, CHECK],
            "cell 6: a cell between solution-start and",
        ),
        (
            [*CELLS[:3], START.replace("ex-size", "ex-b"), *CELLS[4:]],
            "the solution is for 'ex-b', the exercise here is",
        ),
        ([*CELLS[:6], CHECK], "the chapter ends inside the solution of ex-size; solution-end is missing"),
        ([*CELLS[:6], EXERCISE], "cell 8: an exercise begins inside the solution of ex-size"),
        ([*CELLS[:6], START, *CELLS[6:]], "cell 8: a solution begins inside the solution of ex-size"),
        ([*CELLS, END], "cell 10: solution-end without solution-start"),
        ([STARTER, *CELLS], "cell 2: a cell before the first exercise is tagged starter"),
        ([*CELLS, *CELLS], "two exercises have the label ex-size"),
    ],
)
def test_a_missing_or_misplaced_part_is_named(cells, complaint):
    assert any(complaint in fault for fault in problems(chapter(*cells)))
