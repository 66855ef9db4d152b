"""Only works that are cited, and every work that is cited."""

import json
import re

from pybtex.database import parse_file
from tiny_book import REPOSITORY as ROOT

CITATION = re.compile(r"\{cite(?::\w+)?\}`([\w:,\s-]+)`")


def cited(texts):
    return {key.strip() for text in texts for keys in CITATION.findall(text) for key in keys.split(",")}


def book_texts():
    """The source of each page of the book."""
    pages = [ROOT / "intro.md", *(ROOT / "chapters").rglob("*.md"), *(ROOT / "reference").rglob("*.md")]
    yield from (path.read_text(encoding="utf-8") for path in pages)
    for path in (ROOT / "chapters").rglob("*.ipynb"):
        if ".ipynb_checkpoints" not in path.parts:
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            yield "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def test_the_references_are_the_cited_works_and_no_others():
    listed = set(parse_file(str(ROOT / "references.bib")).entries)
    found = cited(book_texts())
    assert listed - found == set(), "listed and never cited"
    assert found - listed == set(), "cited and not listed"


def test_citations_are_seen_in_every_form():
    texts = ["{cite:t}`a2000b` and {cite:p}`c2001d, e2002f`", "{cite}`g2003h`, not `{cite}` or {term}`i2004j`"]
    assert cited(texts) == {"a2000b", "c2001d", "e2002f", "g2003h"}


def test_the_number_of_terms_is_counted():
    glossary = (ROOT / "reference/glossary.md").read_text(encoding="utf-8")
    assert f"{len(re.findall('^  .* → ', glossary, re.M))} terms" in glossary
