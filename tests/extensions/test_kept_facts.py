"""What follows from a text is worked out once for all builds, anew for another text, and forgotten when nobody asks any more."""

from types import SimpleNamespace

import kept_facts
import pytest
from formula_corners import equations
from kept_facts import kept
from light_assets import _names_in, _trimmed, trimmed

from tools.chapter.model import read_book

worked = []


@kept
def length(text: str) -> int:
    worked.append(text)
    return len(text)


@pytest.fixture
def build(tmp_path):
    """A build that asks for the lengths of some texts, and what it had to work out."""

    def run(*texts: str) -> list[str]:
        app = SimpleNamespace(doctreedir=tmp_path)
        worked.clear()
        kept_facts.read(app)
        assert [length(text) for text in texts] == [len(text) for text in texts]
        kept_facts.write(app, None)
        return [*worked]

    return run


def test_a_text_is_worked_on_once_in_all_builds(build):
    assert build("one", "three", "one") == ["one", "three"]
    assert build("one", "three") == []
    assert build("one", "other") == ["other"]


def test_what_a_build_did_not_ask_for_is_not_kept(build):
    build("one", "three")
    build("one")
    assert build("three") == ["three"]


def test_a_build_that_failed_leaves_what_the_last_one_left(build, tmp_path):
    build("one")
    length("three")
    kept_facts.write(SimpleNamespace(doctreedir=tmp_path), ValueError("a broken page"))
    assert build("one", "three") == ["three"]


def test_another_function_of_the_same_text_is_another_question(build):
    @kept
    def first(text: str) -> str:
        return text[0]

    build("one")
    assert first("one") == "o"


def test_an_equation_that_a_page_changes_is_another(book):
    made = book()
    for latex in ("x", "y"):
        made.write("chapters/one.md", f"# One\n\n$$\n{latex}\n$$ (eq-one)\n")
        [chapter] = read_book(made.root)
        assert [*equations(chapter)] == [("eq-one", latex)]


STYLE = (
    ".used .gone { a: b } .used { c: d } @media print { #gone { e: f } .w\\:50 { g: h } } p.used:not(.gone) { i: j }"
)


@pytest.mark.parametrize("words", [{"used"}, {"used", "w:50", "more"}, {"gone"}, set()])
def test_only_words_that_a_style_names_decide_about_its_rules(words):
    asked = [name for name in _names_in(STYLE) if name in words]
    assert _trimmed(STYLE, asked) == trimmed(STYLE, words)
