"""python -m tools.pdf: print the rendered book into _build/inside-large-models.pdf, with an outline, page numbers and working links.

The pages are those of _build/html in the order of the table of contents, printed one by one, since a browser with all of them in
one document takes nine gigabytes. Folds are open: hints, solutions, evidence and the answers of quizzes are printed.
"""

import re
import sys
import tempfile
from pathlib import Path

import yaml
from playwright.sync_api import Browser, Page, sync_playwright
from pypdf import PdfReader

from tools.chromium import ARGUMENTS, find, install
from tools.local_server import served
from tools.pdf.bind import ORIGIN, bound

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
FILE = ROOT / "_build" / "inside-large-models.pdf"
ASSEMBLE = Path(__file__).with_name("assemble.js").read_text(encoding="utf-8")
SHEET = {"format": "A4", "margin": dict.fromkeys(("top", "bottom", "left", "right"), "18mm")}
_FOOTER = '<div style="width: 100%; font: 8px serif; text-align: center"><span class="pageNumber"></span></div>'


def pages(root: Path = ROOT) -> list[tuple[int, str]]:
    """The pages of the book, in the order of its table of contents; each with its depth, 1 for a chapter of a part."""
    return [
        (depth, f"{name}.html") for depth, name in _files(yaml.safe_load((root / "_toc.yml").read_text("utf-8")), 0)
    ]


def _files(entry: object, depth: int) -> list[tuple[int, str]]:
    if isinstance(entry, list):
        return [found for part in entry for found in _files(part, depth)]
    if not isinstance(entry, dict):
        return []
    own = [(depth, re.sub(r"\.(md|ipynb)$", "", str(entry[key]))) for key in ("root", "file") if key in entry]
    return own + [found for key, value in entry.items() for found in _files(value, depth + (key == "sections"))]


def printed(page: Page, address: str, name: str, names: list[str], file: Path) -> None:
    """Print one page of the book, its links to the others written as ORIGIN and a name."""
    page.goto(address + name, wait_until="load")
    page.evaluate(ASSEMBLE, [[address + other for other in names], ORIGIN])
    page.pdf(path=file, outline=True, tagged=True, print_background=True, **SHEET)


def numbered(page: Page, count: int, file: Path) -> None:
    """Print that many sheets with nothing but their numbers."""
    page.set_content('<div style="break-after: page">&nbsp;</div>' * (count - 1) + "&nbsp;")
    page.pdf(
        path=file, display_header_footer=True, header_template="<span></span>", footer_template=_FOOTER, **SHEET
    )  # fmt: skip


def book(browser: Browser, site: Path, chosen: list[tuple[int, str]], file: Path) -> None:
    """Print and bind pages of the site, given with their depths."""
    names = [name for _, name in chosen]
    with served(site) as address, tempfile.TemporaryDirectory() as folder:
        parts = []
        for number, (depth, name) in enumerate(chosen):
            part = Path(folder, f"{number}.pdf")
            page = browser.new_page()  # a page's memory goes with its tab
            page.set_default_timeout(300_000)
            printed(page, address, name, names, part)
            page.close()
            parts.append((depth, part))
            print(f"  {number + 1} of {len(chosen)}: {name}", flush=True)
        footers, page = Path(folder, "footers.pdf"), browser.new_page()
        numbered(page, sum(len(PdfReader(part).pages) for _, part in parts), footers)
        page.close()
        bound(parts, file, footers)


def main() -> int:
    """Print the book."""
    if not (SITE / "index.html").is_file():
        print(f"no rendered book in {SITE}: run `make book` first", file=sys.stderr)
        return 1
    path = find() or install()
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS)) as browser,
    ):
        book(browser, SITE, pages(), FILE)
    print(f"The PDF is ready: {FILE.relative_to(ROOT)}, {FILE.stat().st_size / 2**20:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
