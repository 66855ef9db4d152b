"""Every rendered page, at two widths and in two colour modes."""

import pytest
from site_browser import DESK, PHONE, ROOT, View
from site_checks import (
    broken_links,
    flatten_code_and_formulas,
    height,
    inaccessible_parts,
    missing_figures,
    overflow,
    undescribed_images,
    untypeset_equations,
)

from tools.notebooks import chapter_paths, debts

pytestmark = pytest.mark.site


def test_a_page_is_sound_in_every_view(page_name, tab):
    """Opened once, then made wide, unfolded and darkened: axe in full twice, and whatever colour or width can change four times."""
    tab.show(PHONE).open(page_name)
    faults = {
        "requests that leave the site": tab.external_requests,
        "failed requests": tab.failed_requests,
        "images": undescribed_images(tab.page),
        "equations": untypeset_equations(tab.page),
        "sideways scrolling": overflow(tab.page),
        "sideways scrolling when wide": overflow(tab.show(DESK).page),
        "sideways scrolling when wide and unfolded": overflow(tab.unfold().page),
    }
    flatten_code_and_formulas(tab.page)
    faults["accessibility"] = inaccessible_parts(tab.page)
    faults["contrast when wide and dark"] = inaccessible_parts(tab.show(View(1280, "dark")).page, only="color-contrast")
    faults["accessibility when narrow and dark"] = inaccessible_parts(tab.show(View(390, "dark")).page)
    faults["sideways scrolling when unfolded"] = overflow(tab.page)
    faults["contrast when narrow"] = inaccessible_parts(tab.show(PHONE).page, only="color-contrast")
    faults["console errors"] = tab.console_errors
    assert {kind: found for kind, found in faults.items() if found} == {}


def test_a_chapter_is_one_sitting_high(chapter_name, desk):
    """20,000 pixels with everything folded, or what the list of debts allows."""
    name = chapter_name.replace(".html", ".ipynb")
    measured = {"height": height(desk.open(chapter_name).page)}
    known = debts.read_debts()
    assert debts.findings(name, measured, known) == []
    listed = known.get(name, {}).get("height", 0)
    assert listed < measured["height"] + 2_000, f"it has shrunk: lower its height in {debts.DEBTS.name}"


def test_no_link_is_broken(page_name, site):
    assert broken_links(site, page_name) == []


def test_every_computed_figure_is_on_its_page(chapter_name, site):
    assert missing_figures(site, chapter_name, (ROOT / chapter_name).with_suffix(".ipynb")) == []


def test_the_front_door_leads_into_the_book(desk):
    desk.page.goto(desk.address + "index.html")
    desk.page.wait_for_url("**/intro.html")


def test_every_chapter_of_the_table_of_contents_is_rendered(site):
    pages = [path.relative_to(ROOT).with_suffix(".html") for path in chapter_paths()]
    assert [str(page) for page in pages if not (site / page).is_file()] == []
