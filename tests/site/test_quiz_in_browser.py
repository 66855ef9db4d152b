"""The quiz in a real browser: by keyboard, without JavaScript, on paper, and in both colour modes."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from tiny_book import QUESTION, REPOSITORY, Book, notebook

pytestmark = pytest.mark.site

ONE = QUESTION.replace("Objective 2", "Objective 1")
TWO = """`````{admonition} Question 2
:class: quiz

*Objective 1.* Which share weights? (Choose two.)

````{dropdown} A. Convolution in one dimension
**Right.** One filter serves every place.
````
````{dropdown} B. A dense layer
**No.** Each pair has a weight of its own.
````
````{dropdown} C. Convolution in two dimensions
**Right.** In both directions.
````
`````
"""
GOALS = "# Chapter\n\n## What you will be able to do\n\n1. Count\n"


@pytest.fixture(scope="module")
def quiz_address(tmp_path_factory):
    """A chapter with two questions, rendered with the book's theme, style and script."""
    static = {"html_static_path": [str(REPOSITORY / "_static")], "html_css_files": ["custom.css", "chapter.css"]}
    made = Book(tmp_path_factory.mktemp("quiz"), ("quiz",), static)
    made.write("chapters/code/x.ipynb", notebook(GOALS, "## Check yourself", ONE, TWO))
    built = made.build(html_theme="sphinx_book_theme", html_js_files=["quiz.js"], mathjax_path="absent.js")
    assert built.warnings == ""
    return (built.folder / "chapters/code/x.html").as_uri()


@pytest.fixture
def opened(browser, quiz_address):
    """A maker of pages: ``opened(java_script_enabled=False)``."""
    contexts = []

    def page(**settings) -> Page:
        contexts.append(browser.new_context(**settings))
        shown = contexts[-1].new_page()
        shown.goto(quiz_address)
        return shown

    yield page
    for context in contexts:
        context.close()


def test_an_option_opens_by_keyboard_and_the_first_try_is_counted(opened):
    page = opened()
    explanations = page.locator(".quiz-explanation")
    assert not explanations.first.is_visible()
    page.locator("#quiz-1 summary").first.focus()
    page.keyboard.press("Space")
    assert explanations.first.is_visible()
    score = page.locator(".quiz-score[role=status]")
    expect(score).to_have_text("1 of 2 right at first try so far (1 answered)")
    # Looking at the other answers afterwards changes nothing.
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert explanations.nth(1).is_visible()
    page.locator("#quiz-2 summary").nth(1).click()
    expect(score).to_have_text("1 of 2 right at first try")


@pytest.mark.parametrize(
    ("question", "tries", "right"),
    [("#quiz-1", [1, 0], 0), ("#quiz-2", [0, 2], 1), ("#quiz-2", [0, 1, 2], 0), ("#quiz-2", [1, 0, 2], 0)],
)
def test_first_tries_count_and_where_two_are_right_both_are_needed(opened, question, tries, right):
    page = opened()
    for place in tries:
        page.locator(f"{question} summary").nth(place).click()
    expect(page.locator(".quiz-score")).to_have_text(f"{right} of 2 right at first try so far (1 answered)")


def test_right_and_wrong_are_told_by_word_and_sign(opened):
    page = opened()
    for place, (word, sign) in enumerate([("Right.", "✓"), ("No.", "✗")]):
        summary = page.locator("#quiz-1 summary").nth(place)
        before = "element => getComputedStyle(element, '::before').content"
        assert "○" in summary.evaluate(before)  # nothing is given away
        summary.click()
        assert sign in summary.evaluate(before)
        assert page.locator("#quiz-1 .quiz-explanation").nth(place).inner_text().startswith(word)


def test_it_works_without_javascript(opened):
    page = opened(java_script_enabled=False)
    page.locator("#quiz-1 summary").first.click()
    assert page.locator("#quiz-1 .quiz-explanation").first.is_visible()
    assert page.locator(".quiz-score").count() == 0


def test_on_paper_all_explanations_stand_at_the_end(opened):
    page = opened()
    page.locator("#quiz-1 summary").first.click()
    assert not page.locator(".quiz-answers").is_visible()
    page.emulate_media(media="print")
    assert not page.locator(".quiz-explanation").first.is_visible()
    assert page.locator(".quiz-answers .quiz-answer").count() == 5
    assert all(answer.is_visible() for answer in page.locator(".quiz-answer").all())
    assert all(option.is_visible() for option in page.locator(".quiz summary").all())


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_fault(opened, colours, width):
    page = opened(color_scheme=colours, viewport={"width": width, "height": 900})
    for summary in page.locator(".quiz summary").all():
        summary.click()
    found = Axe().run(page, context=".quiz").response["violations"]
    assert [(fault["id"], fault["nodes"][0]["html"]) for fault in found] == []
