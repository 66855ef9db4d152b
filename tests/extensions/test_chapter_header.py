"""The header says what the metadata says, and incomplete metadata is a warning."""

import pytest
from bs4 import BeautifulSoup
from chapter_header import FIELDS, problems
from tiny_book import COMPLETE, REPOSITORY, notebook

from tools.chapter.model import is_chapter, read_book

PASSAGES = (
    '"003":\n  - {id: 003-3.1.1, section: "3.1.1", says: The convolution formula., chapters: [chapters/code/x]}\n'
)
CHAPTER = "chapters/code/x"
TOC = """root: index
parts:
  - chapters:
      - file: chapters/how
      - file: chapters/concepts/before
      - file: chapters/code/x
"""


@pytest.fixture
def two_chapters(book):
    def write(**metadata):
        made = book("source_map", "tracks", "chapter_header")
        made.write("_toc.yml", TOC)
        made.write("chapters/how.md", "# How\n\n```{tracks}\n```\n")
        made.write("reference/source_passages.yml", PASSAGES)
        made.write("reference/source_map.md", "# Source map\n\n```{source-map}\n```\n")
        made.write("chapters/concepts/before.ipynb", notebook("# What came before\n\nText."))
        made.write(f"{CHAPTER}.ipynb", notebook("# The chapter\n\nText.", book=COMPLETE | metadata))
        return made.build()

    return write


def test_the_header_is_rendered_from_the_metadata(two_chapters):
    built = two_chapters(
        prerequisites=["chapters/concepts/before"],
        source_sections=["003-3.1.1"],
        running_seconds=12.4,
        reading_minutes=35,
    )
    assert built.warnings == ""
    header = BeautifulSoup(built.html(CHAPTER), "html.parser").select_one("h1 + dl.chapter-header")
    facts = {fact.dt.get_text(): fact.dd.get_text().strip() for fact in header.find_all("div")}
    assert facts == {
        "Track": "convolution",
        "Read first": "What came before",  # the target's own title
        "Reading": "35 min",
        "Running": "12 s",
        "Sources": "003 §3.1.1",
    }
    links = {link.get_text(): link["href"] for link in header.find_all("a")}
    assert links == {
        "convolution": "../how.html#track-convolution",
        "What came before": "../concepts/before.html",
        "003 §3.1.1": "../../reference/source_map.html#passage-003-3-1-1",
    }
    # The link's target is there.
    assert BeautifulSoup(built.html("reference/source_map"), "html.parser").find(id="passage-003-3-1-1")


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({"running_seconds": None}, "must hold book.running_seconds, got None"),
        ({"reading_minutes": "35"}, "must hold book.reading_minutes, got '35'"),
        ({"track": ""}, "must hold book.track, got ''"),
        ({"prerequisites": ["chapters/concepts/nothing"]}, "'chapters/concepts/nothing', which is no page"),
        ({"source_sections": ["003-9.9"]}, "'003-9.9', which reference/source_passages.yml does not list"),
    ],
)
def test_incomplete_metadata_is_a_warning(two_chapters, metadata, complaint):
    built = two_chapters(**metadata)
    assert complaint in built.warnings
    assert built.warnings.count("WARNING") == 1


def test_a_chapter_without_the_key_lacks_every_field(book):
    made = book("chapter_header")
    made.write(f"{CHAPTER}.ipynb", notebook("# The chapter", book=None))
    made.write("chapters/check_your_setup.ipynb", notebook("# Not in a part", book=None))
    warnings = made.build().warnings
    assert warnings.count("WARNING") == len(FIELDS)
    assert "check_your_setup" not in warnings


def test_every_chapter_of_the_book_has_its_metadata():
    chapters = [chapter for chapter in read_book(REPOSITORY) if is_chapter(chapter.docname)]
    notebooks = [chapter for chapter in chapters if "kernelspec" in chapter.metadata]
    assert notebooks, "no chapter found: the test would pass on an empty book"
    assert [f"{chapter.docname}: {fault}" for chapter in notebooks for fault in problems(chapter, REPOSITORY)] == []
