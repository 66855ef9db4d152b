"""Ways from page to page: along the table of contents, along the track, and what a preview says."""

import json
import re

import pytest
from site_browser import ROOT

pytestmark = pytest.mark.site

ACROSS = "chapters/code/train_a_cnn.html"


def test_the_track_in_the_header_leads_to_its_list(desk):
    page = desk.open(ACROSS).page
    page.locator("dl.chapter-header").get_by_role("link", name="convolution", exact=True).click()
    page.wait_for_url("**/how_to_use_this_book.html#track-convolution")
    assert page.locator(".tracks a", has_text="Train a convolutional network").is_visible()


def test_the_next_chapter_of_the_track_is_offered_beside_the_next_page(desk):
    page = desk.open("chapters/formulas/softmax_and_cross_entropy.html").page
    assert page.locator("a.track-next").get_attribute("href") == "../code/train_a_cnn.html"
    assert page.locator("a.right-next").get_attribute("href") == "recurrence_and_gates.html"
    page.locator("a.track-next").click()
    page.wait_for_url(f"**/{ACROSS}")
    assert page.locator("a.track-previous").get_attribute("href") == "../formulas/softmax_and_cross_entropy.html"


def test_a_chapter_is_described_by_its_own_first_words(chapter_name, site):
    page = (site / chapter_name).read_text(encoding="utf-8")
    description = re.search(r'<meta name="description" content="([^"]*)"', page)[1]
    assert "Track" not in description
    assert re.search(r"[.!?”…]$", description)
    notebook = json.loads((ROOT / chapter_name).with_suffix(".ipynb").read_text(encoding="utf-8"))
    opening = re.sub(r"\W+", "", "".join(notebook["cells"][0]["source"]))
    assert re.sub(r"\W+", "", description)[:20] in opening
