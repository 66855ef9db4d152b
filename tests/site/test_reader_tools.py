"""What a reader can do on a page: download the notebook, answer a question by keyboard, launch it where that is set up."""

import re

import nbformat
import pytest
import yaml
from site_browser import ROOT

from tools.chapter.markup import directives
from tools.notebooks import read

pytestmark = pytest.mark.site

LAUNCHERS = re.compile(r"mybinder\.org|colab\.research|deepnote\.com|dropdown-(launch|source)-buttons")


def test_the_notebook_can_be_downloaded(chapter_name, desk):
    link = desk.open(chapter_name).page.locator("a[href$='.ipynb'][href*='_sources']")
    assert link.count() == 1
    answer = desk.page.request.get(link.evaluate("link => link.href"))
    assert answer.ok
    given, stored = nbformat.reads(answer.text(), as_version=4), read((ROOT / chapter_name).with_suffix(".ipynb"))
    first, *code = [cell.source for cell in given.cells if cell.cell_type == "code"]
    assert "installs it" in first
    assert code == [cell.source for cell in stored.cells if cell.cell_type == "code"]
    prose = "\n".join(cell.source for cell in given.cells if cell.cell_type == "markdown")
    assert [directive.name for directive in directives(prose)] == []
    each_option_opens_by_keyboard(desk)  # while the page is open: opening is what takes the time


def each_option_opens_by_keyboard(desk):
    """Every option of the quiz on this page, if it has one, opens on Enter and says first whether it is right."""
    options = desk.page.locator(".quiz details > summary")
    for option in options.all():
        box = option.locator("xpath=..")
        assert not box.evaluate("box => box.open")
        option.focus()
        desk.page.keyboard.press("Enter")
        explanation = box.locator(".quiz-explanation")
        assert explanation.is_visible()
        assert re.match(r"\s*(Right|No)\.", explanation.inner_text())


def test_no_launch_button_before_a_repository_is_named(page_name, site):
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    published = bool(config["repository"]["url"])
    chapter = (ROOT / page_name).with_suffix(".ipynb").is_file()
    shown = LAUNCHERS.search((site / page_name).read_text(encoding="utf-8")) is not None
    assert shown in ({published} if chapter or not published else {True, False})


def test_the_colour_mode_can_be_changed_and_is_kept(desk):
    page = desk.open("intro.html").page
    seen = set()
    for _ in range(3):
        page.locator(".theme-switch-button").first.click()
        seen.add(page.evaluate("document.documentElement.dataset.mode"))
    assert seen == {"light", "dark", "auto"}
