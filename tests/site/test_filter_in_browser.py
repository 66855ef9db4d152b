"""The field above the errata: it shows the entries that hold all words, and takes nothing away without JavaScript."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.site

ERRATA = "chapters/faq/source_errata.html"


@pytest.fixture
def errata(browser, address):
    page = browser.new_context().new_page()
    page.goto(f"{address}/{ERRATA}")
    yield page
    page.context.close()


def test_only_entries_with_all_words_stay_and_groups_without_any_go(errata):
    entries = errata.locator("section:has(> h3)")
    total = entries.count()
    errata.get_by_role("searchbox", name="Show entries with").fill("SINH sine hyperbolic 003")
    expect(errata.locator(".filter-entries [role=status]")).to_have_text(f"0 of {total}")
    errata.get_by_role("searchbox", name="Show entries with").fill("hyperbolic SINE")
    expect(errata.locator(".filter-entries [role=status]")).to_have_text(f"1 of {total}")
    assert [heading.split(" ")[0] for heading in entries.locator("visible=true").locator("h3").all_inner_texts()] == [
        "003-22"
    ]
    assert errata.locator("section:has(> h2):has(section > h3)").locator("visible=true").count() == 1
    errata.get_by_role("searchbox", name="Show entries with").fill("")
    expect(errata.locator(".filter-entries [role=status]")).to_have_text("")
    assert entries.locator("visible=true").count() == total


def test_without_javascript_the_page_is_whole(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/{ERRATA}")
    entries = page.locator("section:has(> h3)")
    assert entries.locator("visible=true").count() == entries.count() > 100
    context.close()
