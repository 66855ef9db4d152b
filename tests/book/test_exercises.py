"""Each exercise has its parts in order; its rating can be heard."""

import pytest
from bs4 import BeautifulSoup
from chapter_source import Chapter, is_chapter, read_book
from exercises import exercises, problems
from tiny_book import REPOSITORY, code, notebook

GOALS = "# Chapter\n\n## What you will be able to do\n\n1. Count\n2. Derive\n\n## Exercises"
EXERCISE = "```{exercise} Output size ●●○\n:label: ex-size\n\n*5 min · objective 2.* Write it.\n```"
HINT = "```{admonition} Hint\n:class: dropdown\n\nCount.\n```"
START, END = "```{solution-start} ex-size\n:class: dropdown\n```", "```{solution-end}\n```"
STARTER = code("def size(): ...", tags=("starter",))
SOLUTION = code("def size(): return 26", tags=("solution",))
CHECK = code("assert size() == 26", tags=("check",))
CELLS = [EXERCISE, HINT, STARTER, START, SOLUTION, "Prose.", END, CHECK]


def faults(*cells) -> list[str]:
    return list(problems(Chapter.from_notebook("chapters/code/x", notebook(GOALS, *cells, "## Summary"))))


def test_a_sound_exercise_passes():
    assert faults(*CELLS) == []


def test_cells_belong_to_the_exercise_before_them():
    second = EXERCISE.replace("ex-size", "ex-two")
    found = exercises(
        Chapter.from_notebook("chapters/code/x", notebook(GOALS, EXERCISE, HINT, second, STARTER, "## Quiz", CHECK))
    )
    assert [(exercise.label, exercise.parts()) for exercise in found] == [
        ("ex-size", ["hint"]),
        ("ex-two", ["starter"]),
    ]


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        (" ●●○", "", "the title must end with a rating"),
        (" ●●○", " ○●●", "the title must end with a rating"),
        ("ex-size", "size", "needs a label that begins with ex-"),
        ("*5 min · objective 2.* ", "", "must begin with its terms"),
        ("objective 2", "objective 3", "names objective 3; the chapter has 2"),
    ],
)
def test_a_fault_of_the_text_is_named(before, after, complaint):
    found = faults(EXERCISE.replace(before, after), *CELLS[1:])
    assert any(complaint in fault for fault in found)


@pytest.mark.parametrize(
    ("cells", "complaint"),
    [
        ([EXERCISE, STARTER, START, SOLUTION, END, CHECK], "lacks its hint"),
        ([EXERCISE, HINT, START, SOLUTION, END, CHECK], "lacks its starter"),
        ([EXERCISE, HINT, STARTER, START, END, CHECK], "lacks its solution"),
        ([EXERCISE, HINT, STARTER, SOLUTION, CHECK], "lacks its solution"),  # a solution that nothing hides
        (
            [EXERCISE, HINT, STARTER, START.replace("\n:class: dropdown", ""), SOLUTION, END, CHECK],
            "lacks its solution",
        ),
        ([EXERCISE, HINT, STARTER, START, SOLUTION, END], "lacks its check"),
        ([EXERCISE, HINT, CHECK, STARTER, START, SOLUTION, END], "must run hint, starter, solution, check"),
    ],
)
def test_a_missing_or_misplaced_part_is_named(cells, complaint):
    [fault] = faults(*cells)
    assert complaint in fault


def test_a_fault_is_a_warning_and_the_rating_is_read_out(book):
    made = book("sphinx_exercise", "exercises", numfig=True)
    second = EXERCISE.replace("ex-size", "ex-two").replace("●●○", "●○○")
    made.write("chapters/code/x.ipynb", notebook(GOALS, EXERCISE, HINT, STARTER, START, SOLUTION, END, second))
    built = made.build()
    assert "lacks its check" in built.warnings
    page = BeautifulSoup(built.html("chapters/code/x"), "html.parser")
    named = page.select(".admonition-title [role=img]")
    # In the exercise's title, in its solution's, and in the second exercise's.
    assert [(rating.get_text(), rating["aria-label"]) for rating in named] == [
        ("●●○", "difficulty 2 of 3"),
        ("●●○", "difficulty 2 of 3"),
        ("●○○", "difficulty 1 of 3"),
    ]
    ids = [element["id"] for element in page.select("[id]")]
    assert len(ids) == len(set(ids))


def test_each_exercise_of_the_book_is_sound():
    chapters = [c for c in read_book(REPOSITORY) if is_chapter(c.docname) and "kernelspec" in c.metadata]
    assert chapters, "no chapter found: the test would pass on an empty book"
    assert [f"{chapter.docname}: {fault}" for chapter in chapters for fault in problems(chapter)] == []
    assert {c.docname: len(exercises(c)) for c in chapters if not 3 <= len(exercises(c)) <= 6} == {}
