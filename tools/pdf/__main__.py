"""python -m tools.pdf: print the rendered book into _build/inside-large-models.pdf, with an outline, page numbers and working links.

The pages are those of _build/html in the order of the table of contents, printed one by one, since a browser with all of them in
one document takes nine gigabytes. Folds are open: hints, solutions, evidence and the answers of quizzes are printed.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page
from pypdf import PdfReader

from tools.pages.assembled import SITE, assembled, make
from tools.pages.contents import ROOT, pages
from tools.pdf.bind import bound

FILE = ROOT / "_build" / "inside-large-models.pdf"
SHEET = {"format": "A4", "margin": dict.fromkeys(("top", "bottom", "left", "right"), "18mm")}
_FOOTER = '<div style="width: 100%; font: 8px serif; text-align: center"><span class="pageNumber"></span></div>'


def numbered(page: Page, count: int, file: Path) -> None:
    """Print that many sheets with nothing but their numbers."""
    page.set_content('<div style="break-after: page">&nbsp;</div>' * (count - 1) + "&nbsp;")
    page.pdf(
        path=file, display_header_footer=True, header_template="<span></span>", footer_template=_FOOTER, **SHEET
    )  # fmt: skip


def book(browser: Browser, site: Path, chosen: list[tuple[int, str]], file: Path) -> None:
    """Print and bind pages of the site, given with their depths."""
    with tempfile.TemporaryDirectory() as folder:
        parts = []
        for number, (depth, _, page) in enumerate(assembled(browser, site, chosen)):
            part = Path(folder, f"{number}.pdf")
            page.pdf(path=part, outline=True, tagged=True, print_background=True, **SHEET)
            parts.append((depth, part))
            print(f"  {number + 1} of {len(chosen)}: {chosen[number][1]}", flush=True)
        footers, page = Path(folder, "footers.pdf"), browser.new_page()
        numbered(page, sum(len(PdfReader(part).pages) for _, part in parts), footers)
        page.close()
        bound(parts, file, footers)


if __name__ == "__main__":
    sys.exit(make(lambda browser: book(browser, SITE, pages(), FILE), FILE))
