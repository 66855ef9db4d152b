"""A track is listed once, in reading order, and its chapters lead to each other."""

import pytest
from bs4 import BeautifulSoup
from tiny_book import COMPLETE, notebook
from tracks import neighbours, read_tracks

TOC = """root: index
parts:
  - chapters:
      - file: chapters/how
      - file: chapters/concepts/idea
        sections:
          - file: chapters/formulas/other
      - file: chapters/formulas/formula
  - chapters:
      - file: chapters/code/network
"""


@pytest.fixture
def made(book):
    tiny = book("tracks")
    tiny.write("_toc.yml", TOC)
    tiny.write("chapters/how.md", "# How\n\n```{tracks}\n```\n")
    for docname, track in (
        ("code/network", "convolution"),
        ("formulas/formula", "convolution"),
        ("concepts/idea", "convolution"),
        ("formulas/other", "attention"),
    ):
        title = docname.rpartition("/")[2].capitalize()
        tiny.write(f"chapters/{docname}.ipynb", notebook(f"# {title}\n\nText.", book=COMPLETE | {"track": track}))
    return tiny


def test_the_order_is_that_of_the_table_of_contents(made):
    tracks = {track: [chapter.title for chapter in chapters] for track, chapters in read_tracks(made.root).items()}
    assert tracks == {"convolution": ["Idea", "Formula", "Network"], "attention": ["Other"]}


def test_neighbours_are_those_of_the_track(made):
    beside = neighbours(made.root)
    assert beside["chapters/concepts/idea"] == {"track": "convolution", "next": "chapters/formulas/formula"}
    assert beside["chapters/formulas/formula"] == {
        "track": "convolution",
        "previous": "chapters/concepts/idea",
        "next": "chapters/code/network",
    }
    assert beside["chapters/formulas/other"] == {"track": "attention"}


def test_the_list_names_each_chapter_with_its_minutes(made):
    built = made.build()
    assert built.warnings == ""
    page = BeautifulSoup(built.html("chapters/how"), "html.parser")
    assert [item.get_text() for item in page.select(".tracks ol")[0].find_all("li")] == [
        "Idea, 35 min",
        "Formula, 35 min",
        "Network, 35 min",
    ]
    assert page.find(id="track-convolution")
    assert page.find(id="track-attention")


def test_a_chapter_is_written_anew_when_its_neighbour_changes(made):
    page = made.root / "_out" / "chapters/concepts/idea.html"
    made.build()
    first = page.stat().st_mtime_ns
    made.build()
    assert page.stat().st_mtime_ns == first
    made.write("_toc.yml", TOC.replace("      - file: chapters/formulas/formula\n", ""))
    made.build()
    assert page.stat().st_mtime_ns > first
