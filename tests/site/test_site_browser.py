"""The browser of the site checks is found at any moment, and no other tests need one."""

import pytest
from site_browser import PHONE, ROOT, visitor

from tools import chromium

pytestmark = pytest.mark.site


def test_a_browser_is_looked_for_while_another_runs(browser, monkeypatch, tmp_path):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))  # nothing there: playwright itself must be asked
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    assert browser.is_connected()
    assert chromium.find() is None


def test_browsers_are_opened_only_here():
    # Unit tests run with the network off, and before a browser may have been installed.
    tests = ROOT / "tests"
    elsewhere = [path for path in tests.rglob("*.py") if tests / "site" not in path.parents]
    opening = [str(path) for path in elsewhere if "sync_playwright" in path.read_text(encoding="utf-8")]
    assert len(elsewhere) > 50
    assert opening == []


WIDE = '<pre style="overflow: auto">' + 200 * "x" + "</pre>"


@pytest.mark.parametrize(
    ("body", "measured"),
    [(f"<details><summary>Code</summary>{WIDE}</details>", True), (f"<details open>{WIDE}</details>", False)],
    ids=["a fold that is shut", "a fold that is open"],
)
def test_only_code_that_is_seen_is_waited_for(browser, address, body, measured):
    tab = visitor(browser, address, PHONE)
    tab.page.set_content(f"<main>{body}</main>")
    assert tab._await_measuring() is measured
    tab.page.context.close()
