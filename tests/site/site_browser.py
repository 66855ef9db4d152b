"""The rendered book in a real browser: a local server, one Chromium, and a visit that notes what goes wrong."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import TimeoutError, sync_playwright

from tools.chromium import ARGUMENTS, find, install

ROOT = Path(__file__).parents[2]
# Depth in the table of contents and address: a part, two of its chapters and a page of another, enough of the book to bind.
SOME_PAGES = [
    (0, "chapters/formulas/index.html"),
    (1, "chapters/formulas/convolution.html"),
    (1, "chapters/formulas/pooling.html"),
    (0, "reference/glossary.html"),
]


def site_folder() -> Path:
    """Where the rendered book lies: the variable BOOK_HTML, else _build/html."""
    return Path(os.environ.get("BOOK_HTML", ROOT / "_build" / "html")).resolve()


def page_names(site: Path) -> list[str]:
    """Every page, as a path below the site. What themes leave under _static is none, nor is a forwarding address."""
    found = (path for path in site.rglob("*.html") if not path.relative_to(site).parts[0].startswith("_"))
    return sorted(path.relative_to(site).as_posix() for path in found if not forwards(path))


def forwards(path: Path) -> bool:
    """Does the page only send its reader on?"""
    return 'http-equiv="refresh"' in path.read_text(encoding="utf-8").lower()


@dataclass(frozen=True)
class View:
    """How wide the window is, and whether the reader prefers a light or a dark page."""

    width: int
    mode: str

    def __str__(self) -> str:
        return f"{self.width}-{self.mode}"


DESK, PHONE = View(1280, "light"), View(390, "light")


@dataclass
class Visitor:
    """One tab that opens page after page and keeps a note of every fault of the present one."""

    page: object
    address: str
    console_errors: list[str] = field(default_factory=list)
    external_requests: list[str] = field(default_factory=list)
    failed_requests: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)  # bytes that came, by address below the site

    def __post_init__(self) -> None:
        self.page.route("**/*", self._pass_or_stop)
        self.page.on("console", lambda message: message.type == "error" and self.console_errors.append(message.text))
        self.page.on("pageerror", lambda error: self.console_errors.append(str(error)))
        self.page.on("response", self._note_answer)

    def open(self, name: str) -> Visitor:
        """Open a page and wait until it stands still: scripts run, formulas typeset, fonts loaded."""
        for notes in (self.console_errors, self.external_requests, self.failed_requests, self.requests, self.sizes):
            notes.clear()
        self.page.goto(self.address + name, wait_until="load")
        self.page.evaluate("async () => { await document.fonts.ready; }")
        return self

    def show(self, view: View) -> Visitor:
        """Give the window this width and the reader this preference, and wait until the page has followed."""
        self.page.set_viewport_size({"width": view.width, "height": 900})
        self.page.emulate_media(color_scheme=view.mode, reduced_motion="reduce")
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        self._await_measuring()
        return self

    def unfold(self) -> Visitor:
        """Open everything that a reader may open: answers, hints, solutions, folded code."""
        unfolded = self.page.evaluate(
            """() => {
              const boxes = document.querySelectorAll('main details:not([open])');
              const buttons = document.querySelectorAll('button.toggle-button-hidden');
              boxes.forEach((box) => { box.open = true; });
              buttons.forEach((button) => button.click());
              return boxes.length + buttons.length;
            }"""
        )
        if unfolded:
            # What has just been opened may fade in, and grey on its way to black is not what a reader gets.
            self.page.evaluate("() => Promise.allSettled(document.getAnimations().map((motion) => motion.finished))")
            self._await_measuring()
        return self

    def _await_measuring(self) -> bool:
        """Wait until code that is seen and scrolls can be reached by keyboard; what stays out, axe reports.

        What is far from a phone's screen is laid out when the reader comes near: here at once, as if all had been read.
        False if something has not been measured in five seconds.
        """
        self.page.add_style_tag(content=".bd-article section { content-visibility: visible !important; }")
        try:
            self.page.wait_for_function(
                """() => [...document.querySelectorAll('main pre')].every((code) =>
                  !code.checkVisibility() || code.scrollWidth <= code.clientWidth || code.tabIndex >= 0)""",
                timeout=5000,
            )
        except TimeoutError:
            return False
        return True

    def _pass_or_stop(self, route) -> None:
        url = route.request.url
        if url.startswith(self.address):
            self.requests.append(url.removeprefix(self.address))
            route.continue_()
        else:
            self.external_requests.append(url)
            route.abort()

    def _note_answer(self, response) -> None:
        self.sizes[response.url.removeprefix(self.address)] = int(response.headers.get("content-length", 0))
        if response.status >= 400:
            self.failed_requests.append(f"{response.status} {urlsplit(response.url).path}")


@contextlib.contextmanager
def chromium() -> Iterator:
    """A fresh headless browser, with nothing of its own to say to the network; installed first where there is none."""
    path = find() or install()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(path), args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def visitor(browser, address: str, view: View, **settings) -> Visitor:
    """A new tab of that width and mode."""
    size = {"width": view.width, "height": 900}
    context = browser.new_context(viewport=size, color_scheme=view.mode, reduced_motion="reduce", **settings)
    return Visitor(context.new_page(), address)
