"""What a reader can do on a page: download the notebook, answer a question by keyboard, launch it where that is set up."""

import re

import nbformat
import pytest
import yaml
from site_browser import ROOT, page_names, site_folder

from tools.chapter.markup import directives
from tools.notebooks import read

pytestmark = pytest.mark.site

LAUNCHERS = re.compile(r"mybinder\.org|colab\.research|deepnote\.com|dropdown-(launch|source)-buttons")


def test_the_notebook_can_be_downloaded(chapter_name, site):
    page = (site / chapter_name).read_text(encoding="utf-8")
    (link,) = set(re.findall(r'href="([^"]*_sources[^"]*\.ipynb)"', page))
    answer = ((site / chapter_name).parent / link).read_text(encoding="utf-8")
    given, stored = nbformat.reads(answer, as_version=4), read((ROOT / chapter_name).with_suffix(".ipynb"))
    first, *code = [cell.source for cell in given.cells if cell.cell_type == "code"]
    assert "installs it" in first
    assert code == [cell.source for cell in stored.cells if cell.cell_type == "code"]
    prose = "\n".join(cell.source for cell in given.cells if cell.cell_type == "markdown")
    assert [directive.name for directive in directives(prose)] == []


def test_each_option_of_a_quiz_opens_by_keyboard_and_says_first_whether_it_is_right(desk):
    """On the chapter with the most options; the others are made of the same parts by the same extension."""
    chapters = [name for name in page_names(site_folder()) if (ROOT / name).with_suffix(".ipynb").is_file()]
    desk.open(
        max(chapters, key=lambda name: (site_folder() / name).read_text(encoding="utf-8").count("quiz-explanation"))
    )
    options = desk.page.locator(".quiz details > summary").all()
    assert len(options) > 10
    for option in options:
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
