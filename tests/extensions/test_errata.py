"""Pages take the number of errata from the errata page; there, what is printed is told apart from what is right."""

import re

import errata
import pytest
from tiny_book import REPOSITORY

ENTRY = "(erratum-{0})=\n### {0} · A slip\n\nWrong.\n\n"


def test_a_page_shows_how_many_entries_there_are(book):
    made = book("errata", myst_enable_extensions=["substitution"])
    made.write(errata.ERRATA, "# Errata\n\n## Part\n\n" + "".join(map(ENTRY.format, ("003-17", "000-C06", "000-4"))))
    made.write("page.md", "# Page\n\n[We found {{ errata_count }} slips](chapters/faq/source_errata.md), all mended.\n")
    built = made.build()
    assert built.warnings == ""
    text = re.sub(r"<[^>]+>", "", built.html("page"))
    assert "We found 3 slips, all mended." in text


def test_the_book_has_as_many_entries_as_headings():
    page = REPOSITORY / errata.ERRATA
    assert errata.count(page) == len(re.findall(r"^### ", page.read_text(encoding="utf-8"), re.MULTILINE)) > 0


@pytest.mark.parametrize("name", ["intro.md", "chapters/faq/index.md"])
def test_no_page_writes_the_number_itself(name):
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    said = re.findall(r"(\S+)\s+(?:such )?slips", text)
    assert set(said) == {"}}"}, f"{name}: write {{{{ errata_count }}}} slips, the page is rendered with the true number"


PARTS = "**Printed** (003). Wrong.\n\nMore.\n\n**Right.** True.\n\n**Printed.** `x`. **Right.** `y`, **not** `x`.\n\n**Shown in** a chapter.\n\nSee [the top](#errata), **Printed.**\n"


def test_each_part_of_an_entry_is_a_paragraph_of_its_kind(book):
    made = book("errata")
    made.write(errata.ERRATA, f"# Errata\n\n{PARTS}")
    made.write("page.md", f"# Page\n\n{PARTS}")
    built = made.build()
    found = re.findall(r'<p(?: class="([\w-]+)")?>(.*?)</p>', built.html(errata.ERRATA.removesuffix(".md")), re.DOTALL)
    said = [(kind, re.sub(r"<[^>]+>", "", text).strip()) for kind, text in found]
    assert said[:6] == [
        ("erratum-printed", "Printed (003). Wrong."),
        ("", "More."),
        ("erratum-right", "Right. True."),
        ("erratum-printed", "Printed. x."),
        ("erratum-right", "Right. y, not x."),
        ("erratum-shown", "Shown in a chapter."),
    ]
    assert "erratum-" not in built.html("page")
