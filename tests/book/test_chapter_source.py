"""The reader of a chapter's source sees what the author wrote."""

from chapter_source import Chapter, is_chapter, read_book, tokens
from tiny_book import code, notebook


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


def test_directives_are_read_with_both_kinds_of_options_and_fences():
    read = chapter(
        "```{exercise} Size ●○○\n:label: ex-size\n:class: a b\n\nBody\n```",
        ":::{admonition} Hint\n---\nclass: dropdown\n---\nInside\n\n```{note}\nDeep\n```\n:::",
    )
    exercise, hint = read.directives()
    assert (exercise.name, exercise.argument, exercise.body) == ("exercise", "Size ●○○", "\nBody\n")
    assert exercise.options == {"label": "ex-size", "class": "a b"}
    assert (hint.cell, hint.classes) == (2, ["dropdown"])
    assert [inner.body for inner in hint.inner()] == ["Deep\n"]


def test_code_shown_as_an_example_is_no_part_of_the_chapter():
    shown = "```{code-block} markdown\n$$\na\n$$ (eq-shown)\n```\n"
    meant = "```{margin}\n$$\nb\n$$ (eq-meant)\n```\n"
    assert [token.info for token in tokens(shown + meant) if token.type == "math_block_label"] == ["eq-meant"]


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
