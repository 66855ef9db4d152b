"""What a reader must fetch before a page is there: at most 1.2 MB uncompressed, nothing that only a search needs, and no jump."""

import pytest
from site_browser import PHONE, visitor

pytestmark = pytest.mark.site

MOST = 1_200_000  # bytes, as they lie on the disk; a host that compresses sends a third of it
SEARCH = ("searchindex.js", "searchtools.js", "language_data.js", "fontawesome.js", "tex-chtml.js")
# Longest shift of the layout that web.dev still calls good.
STEADY = 0.1

WATCH = """
window.shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({type: "layout-shift", buffered: true});
"""


@pytest.fixture(scope="module")
def newcomer(browser, address):
    """A phone that has seen no page before: each page in an empty context, with a note of what came."""

    def opened(name):
        fresh = visitor(browser, address, PHONE)
        sizes = {}
        fresh.page.on("response", lambda answer: sizes.update({answer.url: len(answer.body())}))
        fresh.page.add_init_script(WATCH)
        fresh.open(name)
        shift = fresh.page.evaluate("() => new Promise((done) => setTimeout(() => done(window.shift), 300))")
        fresh.page.context.close()
        return {url.removeprefix(address): size for url, size in sizes.items()}, shift

    return opened


def test_a_page_is_light_and_does_not_jump(page_name, newcomer):
    sizes, shift = newcomer(page_name)
    heaviest = sorted(sizes.items(), key=lambda item: -item[1])[:5]
    assert sum(sizes.values()) <= MOST, f"{sum(sizes.values())} bytes: {heaviest}"
    assert shift <= STEADY
    if page_name != "search.html":
        assert [url for url in sizes if any(name in url for name in SEARCH)] == []
