"""The book in one document: the pages in their order, every link inside of it, printed with an outline."""

import pytest

from tools.pdf.__main__ import assembled, pages, printed

pytestmark = pytest.mark.site

SOME = ["chapters/formulas/convolution.html", "chapters/formulas/pooling.html", "reference/glossary.html"]


@pytest.fixture
def document(browser, address):
    """Three pages of the book, assembled."""
    page = browser.new_context().new_page()
    assembled(page, address, SOME)
    yield page
    page.context.close()


def test_the_pages_are_those_of_the_table_of_contents_in_its_order(site):
    names = pages()
    assert names[0] == "intro.html"
    assert len(names) == len(set(names)) > 40
    assert [name for name in names if not (site / name).is_file()] == []
    order = [names.index(f"chapters/{name}.html") for name in ("concepts/index", "formulas/pooling", "faq/index")]
    assert order == sorted(order)


def test_names_are_unique_and_links_between_the_pages_lead_to_them(document):
    names = document.evaluate("[...document.querySelectorAll('[id]')].map((part) => part.id)")
    assert len(names) == len(set(names)) > 100
    assert document.locator("h1").all_inner_texts()[1].endswith("Pooling")
    inside = document.evaluate(
        "[...document.querySelectorAll('a[href^=\"#\"]')].map((link) => link.getAttribute('href').slice(1))"
    )
    across = [name for name in inside if name.startswith("page-3-term")]
    assert len(across) > 5, "terms of the chapters lead to the glossary"
    assert {name for name in inside if name not in names} == set()
    # What is on no page of these three, a file or another chapter, is no link to this machine.
    assert document.locator("a[href^='http://127']").count() == 0


def test_it_prints_with_an_outline_and_leaves_no_half_file(document, tmp_path):
    printed(document, tmp_path / "some.pdf")
    content = (tmp_path / "some.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    assert b"/Outlines" in content
    assert [file.name for file in tmp_path.iterdir()] == ["some.pdf"]


def test_a_page_that_is_not_there_is_named(browser, address):
    page = browser.new_context().new_page()
    with pytest.raises(Exception, match=r"chapters/none\.html is no page of the rendered book"):
        assembled(page, address, ["intro.html", "chapters/none.html"])
    page.context.close()
