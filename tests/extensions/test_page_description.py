"""A description is a sentence of the page, not the facts of its header."""

import pytest
from page_description import shortened
from tiny_book import COMPLETE, notebook


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("One. Two is longer. Three.", "One. Two is longer."),
        ("One e.g. this is one sentence.", "One e.g. this is one sentence."),
        ("Every word of a sentence that is too long", "Every word of a…"),
    ],
)
def test_whole_sentences_as_many_as_fit(text, short):
    assert shortened(text, 20 if "One" in text and "Two" in text else 17 if "Every" in text else 99) == short


def test_a_chapter_is_described_by_its_first_paragraph(book):
    tiny = book("chapter_header", "source_map", "sphinxext.opengraph", "page_description", "tracks")
    tiny.write("reference/source_passages.yml", "{}\n")
    tiny.write("_toc.yml", "root: index\nchapters: [{file: chapters/code/x}]\n")
    tiny.write(
        "chapters/code/x.ipynb", notebook("# Title\n\nThe first R&D sentence.\n\nThe second paragraph.", book=COMPLETE)
    )
    page = tiny.build(ogp_social_cards={"enable": False}).html("chapters/code/x")
    assert '<meta name="description" content="The first R&amp;D sentence." />' in page
    assert '<meta property="og:description" content="The first R&amp;D sentence." />' in page
