"""A question becomes a quiz on the page and answers on paper; a fault of it is a warning."""

import pytest
from bs4 import BeautifulSoup
from tiny_book import QUESTION, notebook

GOALS = "# Chapter\n\n## What you will be able to do\n\n1. Count\n2. Derive\n\n"


def test_a_fault_is_a_warning_of_the_build(book):
    made = book("quiz")
    made.write("chapters/code/x.ipynb", notebook(GOALS, QUESTION.replace("**Right.**", "**No.**")))
    assert "has 0 right options" in made.build().warnings


@pytest.fixture
def page(book):
    made = book("quiz")
    # A label inside an explanation: its id must not stand twice when the explanation is printed again.
    labelled = QUESTION.replace("26 places.", "26 places.\n\n(why)=\nCount them.")
    again = QUESTION.replace("Question 1", "Question 2")
    made.write("chapters/code/x.ipynb", notebook(GOALS, "## Check yourself", labelled, again))
    built = made.build()
    assert built.warnings == ""
    return BeautifulSoup(built.html("chapters/code/x"), "html.parser")


def test_an_option_is_a_native_disclosure_that_says_its_verdict(page):
    group = page.select_one(".quiz[role=group]")
    assert page.find(id=group["aria-labelledby"]).get_text() == "Question 1"
    right, wrong = group.select("details.quiz-option")
    assert right["data-verdict"] == "right"
    assert wrong["data-verdict"] == "wrong"
    assert right.summary.get_text().startswith("A. ")
    assert right.select_one(".quiz-explanation .quiz-verdict").get_text() == "Right."
    assert wrong.select_one(".quiz-explanation .quiz-verdict").get_text() == "No."
    # Nothing that takes the focus stands inside the line that opens.
    assert not page.select("summary a, summary button, summary input")


def test_paper_gets_every_explanation_at_the_end(page):
    printed = page.select_one("section > .quiz-answers:last-child")
    assert [answer.get_text().strip()[:2] for answer in printed.select(".quiz-answer")] == ["A.", "B."] * 2
    assert "That takes padding of one." in printed.get_text()
    ids = [element["id"] for element in page.select("[id]")]
    assert len(ids) == len(set(ids))
