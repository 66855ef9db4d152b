"""Pages of the rendered book, opened one after the other and put into the form in which they can be bound."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tools.chromium import ARGUMENTS, find, install
from tools.local_server import served
from tools.pages.contents import ROOT

__all__ = ["ORIGIN", "SITE", "assembled", "make", "put_into_form"]

SITE = ROOT / "_build" / "html"
# What stands before a name in the link to another page of the book. No such host can exist (RFC 2606).
ORIGIN = "https://printed.invalid/"
ASSEMBLE = Path(__file__).with_name("assemble.js").read_text(encoding="utf-8")


def put_into_form(page: Page, address: str, name: str, names: list[str]) -> None:
    """Open a page of the site: names that are unique in the book, links to the other pages written as ORIGIN and a name."""
    page.goto(address + name, wait_until="load")
    page.evaluate(ASSEMBLE, [[address + other for other in names], ORIGIN])


def assembled(browser: Browser, site: Path, chosen: list[tuple[int, str]]) -> Iterator[tuple[int, str, Page]]:
    """For each page, given with its depth: the depth, the address of the site, and the tab that shows the page."""
    names = [name for _, name in chosen]
    with served(site) as address:
        for depth, name in chosen:
            page = browser.new_page()  # a page's memory goes with its tab
            page.set_default_timeout(300_000)
            put_into_form(page, address, name, names)
            yield depth, address, page
            page.close()


def make(book: Callable[[Browser], None], file: Path) -> int:
    """Let a browser make the file out of the rendered book, and say where it is."""
    if not (SITE / "index.html").is_file():
        print(f"no rendered book in {SITE}: run `make book` first", file=sys.stderr)
        return 1
    path = find() or install()
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS)) as browser,
    ):
        book(browser)
    print(f"{file.relative_to(ROOT)} is ready, {file.stat().st_size / 2**20:.0f} MiB")
    return 0
