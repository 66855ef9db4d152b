"""What was read and answered is kept in the browser, shown on the page of the course, saved and deleted there."""

import json
from urllib.parse import unquote

import pytest

pytestmark = pytest.mark.site

COURSE, CHAPTER = "chapters/course.html", "chapters/formulas/pooling.html"


@pytest.fixture
def reader(browser, address):
    """A browser of a reader's own, and how it opens a page of the book."""
    context = browser.new_context()
    page = context.new_page()
    yield page, lambda name: page.goto(f"{address}/{name}")
    context.close()


def test_reading_and_answering_are_marked_and_can_be_saved_and_deleted(reader):
    page, show = reader
    show(COURSE)
    assert page.locator(".progress-mark").count() == 0
    show(CHAPTER)
    page.locator(".quiz-option[data-verdict=wrong] summary").first.click()
    sections = page.locator(".section-end")
    for place in range(sections.count()):
        sections.nth(place).scroll_into_view_if_needed()
    page.wait_for_function(
        "JSON.parse(localStorage['inside-large-models'])['chapters/formulas/pooling'].read.length == "
        + str(sections.count())
    )
    show(COURSE)
    marks = page.locator(".progress-mark")
    assert marks.count() == 1
    assert marks.inner_text().strip().startswith("(read, quiz ")
    saved = json.loads(unquote(page.get_by_role("link", name="Save the marks").get_attribute("href").partition(",")[2]))
    assert saved["chapters/formulas/pooling"]["answered"] == 1
    page.get_by_role("button", name="Delete them").click()
    assert page.locator(".progress-mark").count() == 0
    assert page.evaluate("localStorage.getItem('inside-large-models')") is None


def test_what_another_program_left_in_the_storage_stops_nothing(reader):
    page, show = reader
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    show(COURSE)
    page.evaluate("localStorage.setItem('inside-large-models', '{broken')")
    show(COURSE)
    assert page.locator(".course-progress p").inner_text().startswith("What you read")
    assert errors == []


def test_without_javascript_the_page_says_nothing_of_marks(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/{COURSE}")
    assert page.locator(".course-progress").inner_text() == ""
    assert page.locator(".learning-path li").count() > 10
    context.close()
