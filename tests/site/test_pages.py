"""Every rendered page, at two widths and in two colour modes."""

from pathlib import Path

import pytest
from site_browser import ROOT
from site_checks import (
    broken_links,
    flatten_code_and_formulas,
    inaccessible_parts,
    missing_figures,
    overflow,
    undescribed_images,
    untypeset_equations,
)

pytestmark = pytest.mark.site


def needless_weight(visit):
    """1.5 MB of icons as a script, and the 1.2 MB of MathJax where there is nothing to typeset, made phones wait."""
    needed = ["tex-chtml.js"] if visit.page.locator(".math").count() else []
    return [
        name
        for name in ("fontawesome.js", "tex-chtml.js")
        if name not in needed and any(name in request for request in visit.requests)
    ]


def test_a_page_opens_cleanly_in_every_view(page_name, visit):
    visit.open(page_name)
    faults = {
        "console errors": list(visit.console_errors),
        "requests that leave the site": list(visit.external_requests),
        "failed requests": list(visit.failed_requests),
        "weight": needless_weight(visit),
        "images": undescribed_images(visit.page),
        "equations": untypeset_equations(visit.page),
        "sideways scrolling": overflow(visit.page),
    }
    visit.unfold()
    faults["sideways scrolling when unfolded"] = overflow(visit.page)
    flatten_code_and_formulas(visit.page)
    faults["accessibility"] = inaccessible_parts(visit.page)
    assert {kind: found for kind, found in faults.items() if found} == {}


def test_code_can_be_read_in_every_view(visit):
    # One chapter stands for all: its words of code wear the same few colours as everywhere.
    visit.open("chapters/code/train_a_cnn.html").unfold()
    assert inaccessible_parts(visit.page, within=".highlight") == []


def test_no_link_is_broken(page_name, site):
    assert broken_links(site, page_name) == []


def test_every_computed_figure_is_on_its_page(page_name, site):
    notebook = (ROOT / page_name).with_suffix(".ipynb")
    if notebook.is_file():
        assert missing_figures(site, page_name, notebook) == []


def test_the_front_door_leads_into_the_book(desk):
    desk.page.goto(desk.address + "index.html")
    desk.page.wait_for_url("**/intro.html")


def test_every_chapter_of_the_table_of_contents_is_rendered(site):
    notebooks = [path for path in (ROOT / "chapters").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts]
    missing = [
        str(path) for path in notebooks if not (site / Path(path).relative_to(ROOT)).with_suffix(".html").is_file()
    ]
    assert missing == []
