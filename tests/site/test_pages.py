"""Every rendered page, at two widths and in two colour modes."""

import pytest
from site_browser import DESK, PHONE, ROOT, View, visitor
from site_checks import (
    WATCH_SHIFTS,
    broken_links,
    cut_without_an_edge,
    equations_that_scroll,
    flatten_code_and_formulas,
    inaccessible_parts,
    jumps,
    keep_three_of_a_kind,
    keep_two_texts_of_a_kind,
    missing_figures,
    overflow,
    too_heavy,
    too_high,
    undescribed_images,
    untypeset_equations,
)

from tools.notebooks import chapter_paths

pytestmark = pytest.mark.site

NIGHT_DESK, NIGHT_PHONE = View(DESK.width, "dark"), View(PHONE.width, "dark")


@pytest.fixture
def newcomer(browser, address):
    """A phone that has seen no page before: nothing is in its cache."""
    tab = visitor(browser, address, PHONE)
    tab.page.add_init_script(WATCH_SHIFTS)
    yield tab
    tab.page.context.close()


@pytest.fixture(scope="session")
def judged():
    """The kinds of text whose colours were judged on an earlier page: they are the same on every page."""
    return set()


def test_a_page_is_sound_in_every_view(page_name, newcomer, judged):
    """Fetched once by a phone, then unfolded, made wide and darkened: opening is what takes the time.

    axe judges all of the page once and each kind of part a second time; widths, and the colours of each kind that no page
    has had before, are judged in all four views.
    """
    tab = newcomer.open(page_name)
    faults = {
        "jumps": jumps(tab.page),
        "weight": too_heavy(tab, search=page_name == "search.html"),
        "requests that leave the site": tab.external_requests,
        "failed requests": tab.failed_requests,
        "images": undescribed_images(tab.page),
        "equations": untypeset_equations(tab.page),
        "sideways scrolling": overflow(tab.page),
        "sideways scrolling when wide": overflow(tab.show(DESK).page),
    }
    if (ROOT / page_name).with_suffix(".ipynb").is_file():
        faults["height"] = too_high(tab.page, page_name.replace(".html", ".ipynb"))
    faults["sideways scrolling when wide and unfolded"] = overflow(tab.unfold().page)
    faults["sideways scrolling when unfolded"] = overflow(tab.show(PHONE).page)
    faults["equations wider than a phone"] = equations_that_scroll(tab.page)
    faults["no edge where there is more"] = cut_without_an_edge(tab.page)
    flatten_code_and_formulas(tab.page)
    faults["accessibility"] = inaccessible_parts(tab.page, but="color-contrast")
    keep_three_of_a_kind(tab.page)
    faults["accessibility when wide and dark"] = inaccessible_parts(tab.show(NIGHT_DESK).page, but="color-contrast")
    faults["console errors"] = [*tab.console_errors]  # before the page's own scripts look for boxes that are taken away
    judged |= keep_two_texts_of_a_kind(tab.page, judged)
    for view in (NIGHT_DESK, DESK, PHONE, NIGHT_PHONE):
        faults[f"contrast at {view}"] = inaccessible_parts(tab.show(view).page, only="color-contrast")
    assert {kind: found for kind, found in faults.items() if found} == {}


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
