"""Each question has its key, each option an explanation; the page works by keyboard and without a kernel."""

import pytest
from bs4 import BeautifulSoup
from chapter_source import Chapter, is_chapter
from quiz import problems, questions, read_questions
from tiny_book import QUESTION, REPOSITORY, notebook

GOALS = "# Chapter\n\n## What you will be able to do\n\n1. Count\n2. Derive\n\n"
TWO_KEYS = QUESTION.replace("How many?", "Which? (Choose two.)").replace("**No.**", "**Right.**")
NOTEBOOKS = sorted(path for path in (REPOSITORY / "chapters").glob("*/*.ipynb"))


def faults(text: str) -> list[str]:
    return list(problems(Chapter.from_notebook("chapters/code/x", notebook(GOALS, text))))


def test_the_reader_sees_question_options_and_key(tmp_path):
    path = tmp_path / "chapters" / "code" / "x.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text(notebook(GOALS, QUESTION))
    [question] = read_questions(path, tmp_path)
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


def test_chapters_are_found():
    assert NOTEBOOKS, "no chapter found: the next test would pass on an empty book"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_quiz_of_the_book_is_sound(path):
    chapter = Chapter.read(path, REPOSITORY)
    assert is_chapter(chapter.docname)
    asked = questions(chapter)
    assert list(problems(chapter)) == []
    assert 4 <= len(asked) <= 6
