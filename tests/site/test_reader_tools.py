"""What a reader can do on a page: download the notebook, answer a question by keyboard, launch it where that is set up."""

import json
import re

import pytest
import yaml
from site_browser import ROOT

pytestmark = pytest.mark.site

LAUNCHERS = re.compile(r"mybinder\.org|colab\.research|deepnote\.com|dropdown-(launch|source)-buttons")


def test_the_notebook_can_be_downloaded(page_name, desk):
    notebook = (ROOT / page_name).with_suffix(".ipynb")
    if not notebook.is_file():
        return
    link = desk.open(page_name).page.locator("a[href$='.ipynb'][href*='_sources']")
    assert link.count() == 1
    answer = desk.page.request.get(link.evaluate("link => link.href"))
    assert answer.ok
    cells, stored = json.loads(answer.body())["cells"], json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    assert [cell["source"] for cell in cells] == [cell["source"] for cell in stored]


def test_a_quiz_is_answered_by_keyboard_alone(page_name, site, desk):
    if 'class="quiz-option"' not in (site / page_name).read_text(encoding="utf-8"):
        return
    options = desk.open(page_name).page.locator(".quiz details > summary")
    for number in range(options.count()):
        option = options.nth(number)
        box = option.locator("xpath=..")
        assert not box.evaluate("box => box.open")
        option.focus()
        desk.page.keyboard.press("Enter")
        assert box.evaluate("box => box.open")
        assert box.locator(".quiz-explanation").is_visible()
        assert re.match(r"\s*(Right|No)\.", box.locator(".quiz-explanation").inner_text())


def test_no_launch_button_before_a_repository_is_named(page_name, site):
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    published = bool(config["repository"]["url"])
    chapter = (ROOT / page_name).with_suffix(".ipynb").is_file()
    shown = LAUNCHERS.search((site / page_name).read_text(encoding="utf-8")) is not None
    assert shown == published or (published and not chapter)


def test_the_colour_mode_can_be_changed_and_is_kept(desk):
    page = desk.open("intro.html").page
    seen = set()
    for _ in range(3):
        page.locator(".theme-switch-button").first.click()
        seen.add(page.evaluate("document.documentElement.dataset.mode"))
    assert seen == {"light", "dark", "auto"}
