"""A fault of an exercise is a warning; its rating can be heard."""

from bs4 import BeautifulSoup
from tiny_book import code, notebook

GOALS = "# Chapter\n\n## What you will be able to do\n\n1. Count\n2. Derive\n\n## Exercises"
EXERCISE = "```{exercise} Output size ●●○\n:label: ex-size\n\n*5 min · objective 2.* Write it.\n```"
HINT = "```{admonition} Hint\n:class: dropdown\n\nCount.\n```"
START, END = "```{solution-start} ex-size\n:class: dropdown\n```", "```{solution-end}\n```"
STARTER = code("def size(): ...", tags=("starter",))
SOLUTION = code("def size(): return 26", tags=("solution",))


def test_a_fault_is_a_warning_and_the_rating_is_read_out(book):
    made = book("sphinx_exercise", "exercises", numfig=True)
    second = EXERCISE.replace("ex-size", "ex-two").replace("●●○", "●○○")
    made.write("chapters/code/x.ipynb", notebook(GOALS, EXERCISE, HINT, STARTER, START, SOLUTION, END, second))
    built = made.build()
    assert "needs a hidden hint, one starter, its solution, one check; has hint, starter, solution" in built.warnings
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
