"""The index knows a compound in its parts and as one word, and the chapter that uses a word most."""

import json
from collections import Counter

import pytest
from book_search import AT_LEAST, ForgivingEnglish, _prose, as_asked, homes
from docutils.core import publish_doctree


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Grad-CAM of", ["Grad", "CAM", "of", "GradCAM"]),
        ("an all_reduce", ["an", "all_reduce", "allreduce"]),
        ("input-by-gradient", ["input", "by", "gradient", "inputbygradient"]),
        ("eq-conv2d 2026-11-26", ["eq", "conv2d", "2026", "11", "26"]),
        ("a-b-c-d", ["a", "b", "c", "d"]),
    ],
)
def test_compounds_of_two_or_three_words_are_joined_too(text, words):
    assert ForgivingEnglish({}).split(text) == words


def test_a_word_lives_where_it_is_used_most():
    counts = {"b": Counter(lens=9, patch=6), "a": Counter(lens=6, patch=6, rare=AT_LEAST - 1)}
    assert homes(counts) == {"lens": "b", "patch": "a"}


def test_capitals_inside_a_word_tell_it_from_another():
    assert [as_asked(word) for word in ("Zero", "ZeRO", "ALE", "Ale")] == ["zero", "ZeRO", "ALE", "ale"]


def test_code_and_formulas_do_not_count():
    document = publish_doctree("Prose here.\n\n.. code::\n\n   hidden\n\n.. math:: unseen\n")
    assert " ".join(_prose(document)) == "Prose here."


def test_terms_stay_when_another_page_is_built_and_the_library_is_left_out(book):
    """Sphinx itself forgets the terms of pages that a build did not write."""
    made = book("book_search")
    made.write("glossary.md", "# Glossary\n\n```{glossary}\nkernel\n  A small window.\n```\n")
    made.write("reference/api/lib.md", "# Library\n\n```{py:function} lib.dense.linear(x)\n```\n")
    made.write("alone.md", "# Alone\n\nNothing.\n")
    listed = index_of(made.build())["indexentries"]
    assert list(listed) == ["kernel"]
    made.write("alone.md", "# Alone\n\nAnother text.\n")
    assert index_of(made.build())["indexentries"] == listed


def index_of(built):
    script = (built.folder / "searchindex.js").read_text()
    return json.loads(script.removeprefix("Search.setIndex(").removesuffix(")"))
