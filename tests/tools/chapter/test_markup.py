"""Markup is read as MyST reads it, whatever the fence, the indent, the form of the options and the name."""

import pytest
import yaml
from tiny_book import REPOSITORY

from tools.chapter.markup import SYNTAX, Directive, directives, tokens

LABELLED = {"label": "ex-a", "class": "dropdown tip"}


def test_the_syntax_is_the_books():
    config = yaml.safe_load((REPOSITORY / "_config.yml").read_text())
    assert set(config["parse"]["myst_enable_extensions"]) == SYNTAX


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```{exercise} Size ●○○\n:label: ex-a\n:class: dropdown tip\nBody\n```", LABELLED),
        ("```{exercise} Size ●○○\n---\nlabel: ex-a\nclass: dropdown tip\n---\nBody\n```", LABELLED),
        ("```{exercise} Size ●○○\n---\nlabel: 'ex-a'\nclass: |-\n  dropdown tip\n---\nBody\n```", LABELLED),
        ("```{exercise} Size ●○○\n:label: ex-a\n:class: >-\n:  dropdown\n:  tip\nBody\n```", LABELLED),
        ("~~~{exercise} Size ●○○\n:label: ex-a\n:class: dropdown tip\nBody\n~~~", LABELLED),
        (":::{exercise} Size ●○○\n:label: ex-a\n:class: dropdown tip\nBody\n:::", LABELLED),
        ("   ```{exercise} Size ●○○\n   :label: ex-a\n   :class: dropdown tip\n   Body\n   ```", LABELLED),
        ("- item\n\n  ```{exercise} Size ●○○\n  :label: ex-a\n  :class: dropdown tip\n  Body\n  ```", LABELLED),
        ("> ```{exercise} Size ●○○\n> :label: ex-a\n> :class: dropdown tip\n> Body\n> ```", LABELLED),
        ("``````{exercise}   Size ●○○  \n:label: ex-a\n:class: dropdown tip\nBody\n``````", LABELLED),
        ("```{exercise} Size ●○○\nBody\n```", {}),
        ("```{exercise} Size ●○○\n\n:label: ex-a\nBody\n```", {}),  # a blank line ends the options
    ],
)
def test_a_directive_is_read(text, expected):
    [found] = directives(text)
    assert (found.name, found.argument, found.options) == ("exercise", "Size ●○○", expected)
    assert found.body.strip().endswith("Body")
    assert not expected or found.body == "Body\n"
    assert not expected or found.classes == ["dropdown", "tip"]


@pytest.mark.parametrize("name", ["py:function", "solution-start", "code-cell", "bibliography", "c:macro"])
def test_names_with_colons_and_dashes_are_names(name):
    assert [found.name for found in directives(f"```{{{name}}} a\n```")] == [name]


@pytest.mark.parametrize(
    "text",
    [
        "```python\nx = 1\n```",
        "```\n{note}\n```",
        "    ```{note}\n    ```",  # four spaces: a block of code
        "```{note}text\n```",  # MyST wants a space after the name
        "text ```{note}``` text",
        "````markdown\n```{note}\n```\n````",
        "```{a{b}\n```",
    ],
)
def test_what_is_no_directive_is_none(text):
    assert list(directives(text)) == []


def test_options_that_cannot_be_read_are_none():
    assert [found.options for found in directives("```{note}\n:a: 'open\nBody\n```")] == [{}]


def test_directives_know_their_lines_and_what_is_inside_is_not_at_the_top():
    text = "````{note} outer\n```{solution-end}\n```\n````\n\n~~~{exercise} E ●○○\n:label: ex-e\n~~~\n"
    outer, exercise = directives(text)
    assert (outer.lines, exercise.lines) == (range(4), range(5, 8))
    assert list(outer.inner()) == [Directive("solution-end", "", {}, "", range(2))]


def test_a_fence_that_is_never_closed_ends_with_the_text():
    [found] = directives("```{solution-start} ex-a\nto the end")
    assert (found.name, found.lines, found.body) == ("solution-start", range(2), "to the end")


def test_code_shown_as_an_example_is_no_part_of_the_chapter():
    shown = "```{code-block} markdown\n$$\na\n$$ (eq-shown)\n```\n~~~markdown\n$$\na\n$$ (eq-too)\n~~~\n"
    meant = "```{margin}\n$$\nb\n$$ (eq-meant)\n```\n~~~{margin}\n---\nclass: a\n---\n$$\nc\n$$ (eq-two)\n~~~\n"
    found = [token.info for token in tokens(shown + meant) if token.type == "math_block_label"]
    assert found == ["eq-meant", "eq-two"]
