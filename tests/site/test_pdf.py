"""The book in one PDF: the pages in their order, every link inside of it, an outline and numbers."""

import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.annotations import Link
from site_browser import SOME_PAGES

from tools.pages.assembled import ORIGIN, put_into_form
from tools.pages.contents import pages
from tools.pdf.__main__ import book
from tools.pdf.bind import bound

pytestmark = pytest.mark.site


def test_the_pages_are_those_of_the_table_of_contents_in_its_order(site):
    names = [name for _, name in pages()]
    assert names[0] == "intro.html"
    assert len(names) == len(set(names)) > 40
    assert [name for name in names if not (site / name).is_file()] == []
    order = [names.index(f"chapters/{name}.html") for name in ("concepts/index", "formulas/pooling", "faq/index")]
    assert order == sorted(order)
    assert dict(map(reversed, pages()))["chapters/formulas/pooling.html"] == 1
    assert {depth for depth, name in pages() if name.endswith("index.html")} == {0}


@pytest.fixture(scope="module")
def document(browser, site, tmp_path_factory):
    """Four pages of the book, printed and bound."""
    file = tmp_path_factory.mktemp("pdf") / "some.pdf"
    book(browser, site, SOME_PAGES, file)
    assert [left.name for left in file.parent.iterdir()] == ["some.pdf"]
    return PdfReader(file)


def test_the_outline_has_parts_chapters_and_sections(document):
    part, chapters, glossary = document.outline
    assert (part.title, glossary.title) == ("3.Formulas", "Glossary")
    names = [entry.title for entry in chapters if not isinstance(entry, list)]
    assert names == ["3.1.Convolution", "3.2.Pooling"]
    pooling = document.get_destination_page_number(chapters[names.index("3.2.Pooling") * 2])
    assert "Pooling" in document.pages[pooling].extract_text()[:200]


def test_links_lead_into_the_document_or_out_to_the_web(document):
    links = [link.get_object() for page in document.pages for link in page.get("/Annots", ())]
    addresses = [str(link["/A"]["/URI"]) for link in links if "/A" in link]
    assert [address for address in addresses if not address.startswith("https://") or ORIGIN in address] == []
    glossary = document.get_destination_page_number(document.outline[-1])
    into = [document.get_page_number(link["/Dest"][0].get_object()) for link in links if "/Dest" in link]
    assert sum(page >= glossary for page in into) > 10, "terms of the chapters lead to the glossary"


def test_every_page_has_its_number(document):
    assert [page.extract_text().split()[-1] for page in document.pages] == [
        str(number + 1) for number in range(len(document.pages))
    ]


def one_page(file, address=None):
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    if address:
        writer.add_annotation(0, Link(rect=(0, 0, 10, 10), url=address))
    writer.write(file)
    return file


def test_a_link_to_nothing_is_named_and_no_file_is_written(tmp_path):
    part = one_page(tmp_path / "part.pdf", f"{ORIGIN}page-7-term")
    with pytest.raises(ValueError, match="a link leads to 'page-7-term', which no printed page has"):
        bound([(0, part)], tmp_path / "book.pdf")
    assert [file.name for file in tmp_path.iterdir()] == ["part.pdf"]


def test_an_old_book_stays_when_the_new_one_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "book.pdf").write_bytes(b"the old one")
    monkeypatch.setattr(PdfWriter, "write", lambda self, file: (file.write_bytes(b"%PDF"), 1 / 0))
    with pytest.raises(ZeroDivisionError):
        bound([(0, one_page(tmp_path / "part.pdf"))], tmp_path / "book.pdf")
    assert (tmp_path / "book.pdf").read_bytes() == b"the old one"
    assert not (tmp_path / "book.part").exists()


def test_a_page_that_is_no_page_of_the_book_is_named(browser, address):
    page = browser.new_context().new_page()
    with pytest.raises(Exception, match=r"chapters/none\.html is no page of the rendered book"):
        put_into_form(page, address, "chapters/none.html", ["chapters/none.html"])
    page.context.close()
