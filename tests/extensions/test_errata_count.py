"""Pages take the number of errata from the errata page, and no page writes one of its own."""

import re

import errata_count
import pytest
from tiny_book import REPOSITORY

ENTRY = "(erratum-{0})=\n### {0} · A slip\n\nWrong.\n\n"


def test_a_page_shows_how_many_entries_there_are(book):
    made = book("errata_count", myst_enable_extensions=["substitution"])
    made.write(
        errata_count.ERRATA, "# Errata\n\n## Part\n\n" + "".join(map(ENTRY.format, ("003-17", "000-C06", "000-4")))
    )
    made.write("page.md", "# Page\n\n[We found {{ errata_count }} slips](chapters/faq/source_errata.md), all mended.\n")
    built = made.build()
    assert built.warnings == ""
    text = re.sub(r"<[^>]+>", "", built.html("page"))
    assert "We found 3 slips, all mended." in text


def test_the_book_has_as_many_entries_as_headings():
    page = REPOSITORY / errata_count.ERRATA
    assert errata_count.count(page) == len(re.findall(r"^### ", page.read_text(encoding="utf-8"), re.MULTILINE)) > 0


@pytest.mark.parametrize("name", ["intro.md", "chapters/faq/index.md"])
def test_no_page_writes_the_number_itself(name):
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    said = re.findall(r"(\S+)\s+(?:such )?slips", text)
    assert set(said) == {"}}"}, f"{name}: write {{{{ errata_count }}}} slips, the page is rendered with the true number"
