"""python -m tools.pdf: print the rendered book into _build/inside-large-models.pdf, with an outline and working links.

The pages are those of _build/html in the order of the table of contents. Folded code stays folded, as on a printed page; hints,
solutions and the answers of quizzes are printed.
"""

import re
import sys
from pathlib import Path

import yaml
from playwright.sync_api import Page, sync_playwright

from tools.chromium import ARGUMENTS, find, install
from tools.local_server import served

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
FILE = ROOT / "_build" / "inside-large-models.pdf"
ASSEMBLE = Path(__file__).with_name("assemble.js").read_text(encoding="utf-8")
_FOOTER = '<div style="width: 100%; font: 8px serif; text-align: center"><span class="pageNumber"></span></div>'


def pages(root: Path = ROOT) -> list[str]:
    """The pages of the book, in the order of its table of contents."""
    return [f"{name}.html" for name in _files(yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8")))]


def _files(entry: object) -> list[str]:
    if isinstance(entry, list):
        return [name for part in entry for name in _files(part)]
    if not isinstance(entry, dict):
        return []
    own = [re.sub(r"\.(md|ipynb)$", "", str(entry[key])) for key in ("root", "file") if key in entry]
    return own + [name for value in entry.values() if isinstance(value, list) for name in _files(value)]


def assembled(page: Page, address: str, names: list[str]) -> None:
    """Put all pages into one document, in the tab that is given."""
    page.goto(address + names[0])
    page.evaluate(ASSEMBLE, [address + name for name in names])


def printed(page: Page, file: Path) -> None:
    """Print the tab's document, complete or not at all."""
    part = file.with_suffix(".part")
    margins = {"top": "18mm", "bottom": "18mm", "left": "18mm", "right": "18mm"}
    try:
        page.pdf(
            path=part, format="A4", margin=margins, outline=True, tagged=True, print_background=True,
            display_header_footer=True, header_template="<span></span>", footer_template=_FOOTER,
        )  # fmt: skip
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def main() -> int:
    """Print the book."""
    if not (SITE / "index.html").is_file():
        print(f"no rendered book in {SITE}: run `make book` first", file=sys.stderr)
        return 1
    browser = find() or install()
    with served(SITE) as address, sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser, args=list(ARGUMENTS))
        page = started.new_page()
        page.set_default_timeout(600_000)
        assembled(page, address, pages())
        printed(page, FILE)
        started.close()
    print(f"The PDF is ready: {FILE.relative_to(ROOT)}, {FILE.stat().st_size / 2**20:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
