"""A chapter on a phone: what is wide says so, nothing covers the code, and a picture opens large."""

import re

import pytest
from site_browser import PHONE, View

pytestmark = pytest.mark.site

CHAPTER = "chapters/formulas/convolution.html"
PICTURES = "chapters/code/explain_an_image_classifier.html"


@pytest.fixture
def phone(tab):
    return tab.show(PHONE)


def test_the_button_for_copying_covers_no_letter(phone):
    page = phone.open(CHAPTER).page
    covered = page.evaluate(
        """() => [...document.querySelectorAll('div.highlight:has(> button.copybtn)')].filter((block) => {
          const code = block.querySelector('pre'), button = block.querySelector('button.copybtn');
          if (!code.checkVisibility()) return false;
          const first = code.getBoundingClientRect().top + parseFloat(getComputedStyle(code).paddingTop);
          return button.getBoundingClientRect().bottom > first;
        }).length"""
    )
    assert page.locator("button.copybtn").count() > 5
    assert covered == 0


def test_nothing_is_laid_out_before_the_reader_comes_near(desk):
    """What scrolls is reached by keyboard as soon as it is near, and is not measured before: that took a phone a second."""
    page = desk.page
    page.set_viewport_size({"width": PHONE.width, "height": 900})
    desk.open(CHAPTER)
    code = page.locator(".bd-article > section > section > div.cell > div.cell_input pre").last
    laid_out = "code => code.checkVisibility({contentVisibilityAuto: true})"
    assert not code.evaluate(laid_out)
    code.evaluate("code => code.scrollIntoView()")
    page.wait_for_function(laid_out, arg=code.element_handle(), timeout=5000)
    code.evaluate("code => { code.style.width = '100px'; }")
    page.wait_for_function("code => code.tabIndex === 0", arg=code.element_handle(), timeout=5000)


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_a_picture_opens_large_and_gives_the_focus_back(phone, key):
    page = phone.open(PICTURES).page
    button = page.locator("button.enlarge").first
    small = button.locator("img").bounding_box()["width"]
    button.focus()
    page.keyboard.press(key)
    large = page.locator("dialog.enlarged[open] img")
    assert large.bounding_box()["width"] > 1.3 * small
    assert large.get_attribute("alt") == button.locator("img").get_attribute("alt")
    page.keyboard.press("Escape")
    assert page.locator("dialog.enlarged[open]").count() == 0
    assert button.evaluate("button => button === document.activeElement")


def test_a_tap_closes_it_again(phone):
    page = phone.open(PICTURES).page
    page.locator("button.enlarge").first.click()
    page.locator("dialog.enlarged img").click(position={"x": 20, "y": 200})
    assert page.locator("dialog.enlarged[open]").count() == 0


def test_on_a_dark_page_a_picture_is_dimmed_evenly(tab):
    page = tab.show(View(1280, "dark")).open(PICTURES).page
    filters = set(
        page.eval_on_selector_all("main figure img", "all => all.map((image) => getComputedStyle(image).filter)")
    )
    # Brightness alone: hues, and the order of light and dark, stay.
    assert len(filters) == 1
    assert 0.7 < float(re.fullmatch(r"brightness\(([\d.]+)\)", filters.pop())[1]) < 0.95


def test_a_figure_follows_its_code_closely(desk):
    gaps = desk.open(PICTURES).page.evaluate(
        """() => [...document.querySelectorAll('div.cell:has(> details.hide) figure img')].map((image) =>
          image.getBoundingClientRect().top - image.closest('div.cell').querySelector('summary').getBoundingClientRect().bottom)"""
    )
    assert gaps
    assert max(gaps) <= 40  # pixels; there were 80


def test_a_fold_is_one_quiet_line(desk):
    page = desk.open(CHAPTER).page
    for summary in page.locator("div.cell details.hide > summary").all():
        assert summary.bounding_box()["height"] < 40
    looks = page.locator("div.cell details.hide").first.evaluate(
        "fold => [getComputedStyle(fold).boxShadow, getComputedStyle(fold).borderTopWidth, getComputedStyle(fold).backgroundColor]"
    )
    assert looks == ["none", "0px", "rgba(0, 0, 0, 0)"]


def test_on_paper_no_frame_is_empty(desk):
    page = desk.open(CHAPTER).page
    page.emulate_media(media="print")
    empty = page.evaluate(
        """() => [...document.querySelectorAll('main div.cell, main div.cell_input, main details.hide')]
          .filter((box) => box.checkVisibility() && !box.querySelector('img') && !box.innerText.trim())
          .map((box) => box.outerHTML.slice(0, 100))"""
    )
    folds = page.locator("main details.hide:visible").count()
    page.emulate_media(media="screen")
    assert empty == []
    assert folds == 0
