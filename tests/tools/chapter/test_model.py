"""The reader of a chapter's source sees what the author wrote."""

from tiny_book import code, notebook

from tools.chapter.model import Chapter, is_chapter, read_book


def chapter(*cells, **metadata) -> Chapter:
    return Chapter.from_notebook("chapters/code/x", notebook(*cells, **metadata))


def test_only_pages_of_the_six_parts_are_chapters():
    assert is_chapter("chapters/faq/questions_and_answers")
    assert not is_chapter("chapters/check_your_setup")
    assert not is_chapter("chapters/drafts/attention")
    assert not is_chapter("reference/api/core")


def test_objectives_are_counted_below_their_heading_only():
    read = chapter(
        "# Title\n\n1. Not an objective.\n",
        "## What you will be able to do",
        "1. Count\n2. Derive\n   1. in steps\n3. Break\n\n- a bullet\n",
        "## The idea\n\n1. Nor this.\n",
    )
    assert read.objectives == 3
    assert read.title == "Title"


def test_sections_and_directives_know_their_cells():
    read = chapter("# Title\n\n## Idea", code("# no heading"), "```{note} One\n```\n\n### Deep\n\n:::{tip}\n:::")
    assert [(section.title, section.level, section.cell.number) for section in read.sections] == [
        ("Title", 1, 1),
        ("Idea", 2, 1),
        ("Deep", 3, 3),
    ]
    assert [(cell.number, directive.name) for cell, directive in read.directives()] == [(3, "note"), (3, "tip")]


def test_cells_say_what_they_are_there_for():
    read = chapter("# T", code("1"), code("2", tags=("evidence", "hide-cell")), code("3", tags=("hide-input",)))
    assert [(cell.kind, cell.is_code) for cell in read.cells] == [
        ("markdown", False),
        ("teaching", True),
        ("evidence", True),
        ("plumbing", True),
    ]


def test_a_markdown_page_may_carry_metadata_too(tmp_path):
    page = tmp_path / "chapters" / "faq" / "errata.md"
    page.parent.mkdir(parents=True)
    page.write_text("---\nbook:\n  source_sections: ['000-7']\n---\n# Errata\n")
    [read] = read_book(tmp_path)
    assert (read.docname, read.book, read.title) == ("chapters/faq/errata", {"source_sections": ["000-7"]}, "Errata")


def test_checkpoints_are_no_chapters(tmp_path):
    for folder in ("chapters/code", "chapters/code/.ipynb_checkpoints"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "x.ipynb").write_text(notebook("# X", code("1")))
    assert [read.docname for read in read_book(tmp_path)] == ["chapters/code/x"]
