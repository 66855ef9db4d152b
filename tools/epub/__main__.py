"""python -m tools.epub: pack the rendered book into _build/inside-large-models.epub, with formulas that a reading device typesets."""

import sys
from pathlib import Path

from playwright.sync_api import Browser

from tools.epub.pack import Chapter, packed
from tools.pages.assembled import SITE, assembled, make
from tools.pages.contents import ROOT, pages

FILE = ROOT / "_build" / "inside-large-models.epub"
AS_CHAPTER = Path(__file__).with_name("chapter.js").read_text(encoding="utf-8")


def book(browser: Browser, site: Path, chosen: list[tuple[int, str]], file: Path) -> None:
    """Read pages of the site, given with their depths, and pack them."""
    chapters = []
    for depth, address, page in assembled(browser, site, chosen):
        read = page.evaluate(AS_CHAPTER)
        pictures = tuple(site / picture.removeprefix(address) for picture in read.pop("pictures"))
        chapters.append(Chapter(depth=depth, pictures=pictures, **read))
    packed(chapters, file)


if __name__ == "__main__":
    sys.exit(make(lambda browser: book(browser, SITE, pages(), FILE), FILE))
