"""Numbers are the same whether a page was read or only its outline kept, and a work is formatted anew when its entry changes."""

import pytest
from kept_work import Kept
from light_assets import words_of
from pybtex.database import Entry, Person
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

FIGURE = "```{figure} dot.png\n:name: NAME\n:alt: A dot.\n\nA dot.\n```\n\n"
TABLE = "```{list-table} A table\n:name: NAME\n\n* - 1\n```\n\n"
LISTING = "```{code-block} python\n:caption: A listing\n:name: NAME\n\nx\n```\n\n"
EQUATION = "$$\nx\n$$ (NAME)\n\n"
EXERCISE = "```{exercise} Try\n:label: NAME\n\n$$\nx\n$$ (inside-NAME)\n```\n\n"
ALL = (FIGURE, TABLE, LISTING, EQUATION, EXERCISE)
TOC = "# Book\n\n```{toctree}\n:numbered:\n\nchapters/one\ntwo\n```\n"


def page(title: str, *parts: str) -> str:
    """A page with these parts, in two sections; each has a name of its own."""
    named = [part.replace("NAME", f"{title.lower()}-{number}") for number, part in enumerate(parts)]
    return f"# {title}\n\n{''.join(named[::2])}## Below\n\n{''.join(named[1::2])}"


@pytest.fixture
def numbered(book):
    made = book("kept_work", "sphinx_exercise", "fresh_pages", numfig=True, math_numfig=True, numfig_secnum_depth=2)
    made.write("chapters/dot.png", "")
    made.write("index.md", TOC)
    made.write("chapters/one.md", page("One", *ALL))
    made.write("two.md", page("Two", EQUATION, EXERCISE, LISTING, TABLE, TABLE))
    return made


def numbers(monkeypatch, made, *, full: bool):
    """The numbers of the next build; `full` reads every page for them."""
    seen = {}

    def look(app, env):
        seen.update(figures=dict(env.toc_fignumbers), sections=dict(env.toc_secnumbers))
        return []

    with monkeypatch.context() as patched:
        if full:
            patched.setattr("kept_work.outline", lambda env, page: page)
        begin = Sphinx.build
        patched.setattr(Sphinx, "build", lambda app: (app.connect("env-get-updated", look, priority=950), begin(app)))
        made.build()
    return seen


def test_an_outline_counts_as_its_page_does(numbered, monkeypatch):
    expected = numbers(monkeypatch, numbered, full=True)
    assert {kind for page in expected["figures"].values() for kind in page} == {
        "figure", "table", "code-block", "displaymath", "exercise",
    }  # fmt: skip
    numbered.write("two.md", page("Two", EQUATION, EXERCISE, LISTING, TABLE, TABLE) + "More.\n")
    (numbered.root / "_trees" / "environment.pickle").unlink()
    assert numbers(monkeypatch, numbered, full=False) == expected


def test_a_number_that_a_change_moves_is_another_in_the_next_build(numbered, monkeypatch):
    numbered.build()
    numbered.write("chapters/one.md", page("One", *ALL, EQUATION))
    kept = numbers(monkeypatch, numbered, full=False)
    (numbered.root / "_trees" / "environment.pickle").unlink()
    assert kept == numbers(monkeypatch, numbered, full=True)
    assert kept["figures"]["chapters/one"]["displaymath"]["equation-one-5"] == (1, 1, 2)


def test_only_pages_that_changed_are_read(numbered, monkeypatch):
    numbered.build()
    read = []
    get_doctree = BuildEnvironment.get_doctree
    monkeypatch.setattr(
        BuildEnvironment, "get_doctree", lambda env, name: (read.append(name), get_doctree(env, name))[1]
    )
    numbered.write("two.md", page("Two", EQUATION) + "More.\n")
    numbered.build()
    assert "two" in read
    assert "chapters/one" not in read


def work(title: str, year: str = "1989") -> Entry:
    fields = {"title": title, "year": year, "publisher": "A"}
    entry = Entry("book", fields=fields, persons={"author": [Person("LeCun, Yann")]})
    entry.key = "lecun"
    return entry


def test_a_work_is_formatted_anew_when_its_entry_or_its_label_changes():
    style = Kept()
    first = style.format_entry("LeC89", work("Backprop"))
    assert style.format_entry("LeC89", work("Backprop")) is first
    assert "Backpropagation" in style.format_entry("LeC89", work("Backpropagation")).text.render_as("text")
    assert style.format_entry("LeC89a", work("Backpropagation")).label == "LeC89a"


def test_words_that_were_noted_are_those_of_the_page_as_it_is(tmp_path):
    site, notes = tmp_path / "site", tmp_path / "words.json"
    site.mkdir()
    (site / "page.html").write_text('<p class="first">', encoding="utf-8")
    assert words_of(site, notes) == words_of(site, notes) == words_of(site) == {"p", "class", "first"}
    (site / "page.html").write_text('<p class="other">', encoding="utf-8")
    assert words_of(site, notes) == {"p", "class", "other"}
