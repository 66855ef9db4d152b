"""Every passage of the sources is treated or listed as a debt, and the debts only shrink."""

import subprocess
from itertools import pairwise

import pytest
from bs4 import BeautifulSoup
from history import versions
from source_map import UNTREATED, Passage, disagreements, read_passages, read_untreated, treating
from tiny_book import COMPLETE, REPOSITORY, notebook

from tools.chapter.model import read_book

ONE = Passage("003-1", "003", "1", "Background.", ("chapters/code/a",))
TWO = Passage("003-2", "003", "2", "Two chapters owe it.", ("chapters/code/a", "chapters/code/b"))
TREATED = {"003-1": ["chapters/code/a"], "003-2": ["chapters/code/a", "chapters/code/b"]}


def additions(texts: list[str]) -> list[set[str]]:
    """What each version added to the one before it."""
    lists = [set(read_untreated(text)) for text in texts]
    return [after - before for before, after in pairwise(lists) if after - before]


def test_each_passage_of_the_sources_is_treated_or_listed():
    passages, pages = read_passages(REPOSITORY), treating(read_book(REPOSITORY))
    assert list(disagreements(passages, pages, read_untreated((REPOSITORY / UNTREATED).read_text()))) == []


def test_the_list_of_passages_is_whole():
    ids = [passage.id for passage in read_passages(REPOSITORY)]
    assert len(ids) == len(set(ids))
    # 26 sections and 11 questions of the first document with its references, 26 and 6 of the second with its own.
    assert sum(name.startswith("000-") for name in ids) == 38
    assert sum(name.startswith("003-") for name in ids) == 33
    assert all(passage.says.endswith((".", "?")) and passage.chapters for passage in read_passages(REPOSITORY))


def test_the_debts_have_only_ever_shrunk():
    assert additions(versions(REPOSITORY, UNTREATED)) == []


@pytest.mark.parametrize(
    ("pages", "untreated", "complaint"),
    [
        ({"003-1": ["chapters/code/a"], "003-2": ["chapters/code/a"]}, [], "003-2 is not treated by chapters/code/b"),
        (TREATED, ["003-1"], "003-1 is treated by all chapters that owe it: take it out"),
        (TREATED, ["003-9"], "003-9 is no passage"),
        (TREATED | {"003-9": ["chapters/code/a"]}, [], "003-9 is no passage"),
        ({"003-1": ["chapters/code/a"]}, ["003-2", "003-2"], "003-2 stands twice"),
    ],
)
def test_each_disagreement_is_named(pages, untreated, complaint):
    [found] = disagreements([ONE, TWO], pages, untreated)
    assert complaint in found


def test_treated_or_listed_is_agreement():
    assert list(disagreements([ONE, TWO], TREATED, [])) == []
    assert list(disagreements([ONE, TWO], {"003-1": ["chapters/code/a"]}, ["003-2"])) == []


def test_a_list_that_grew_is_caught_in_the_history(tmp_path):
    def commit(text: str) -> None:
        (tmp_path / "list.txt").write_text(text)
        author = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", tmp_path, "add", "."], check=True)
        subprocess.run(["git", "-C", tmp_path, *author, "commit", "-qm", "change"], check=True)

    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    commit("# debts\n003-1\n003-2\n003-3\n")
    commit("003-1  # still\n003-3\n")
    assert additions(versions(tmp_path, "list.txt")) == []
    commit("003-1\n003-4\n")
    commit("003-1\n")
    assert additions(versions(tmp_path, "list.txt")) == [{"003-4"}]
    (tmp_path / "list.txt").write_text("003-1\n003-2\n")
    assert additions(versions(tmp_path, "list.txt")) == [{"003-4"}, {"003-2"}]


def test_the_page_links_what_is_treated_and_names_what_is_planned(book):
    made = book("source_map")
    made.write(
        "reference/source_passages.yml",
        '"003":\n'
        '  - {id: 003-1, section: "1", says: "Background.", chapters: [chapters/code/a]}\n'
        '  - {id: 003-2, section: "2", says: "Two owe it.", chapters: [chapters/code/a, chapters/code/not_yet]}\n',
    )
    made.write(
        "chapters/code/a.ipynb", notebook("# Chapter A", book=COMPLETE | {"source_sections": ["003-1", "003-2"]})
    )
    made.write("page.md", "# Map\n\n```{source-map}\n```\n")
    built = made.build()
    assert built.warnings == ""
    page = BeautifulSoup(built.html("page"), "html.parser")
    assert "1 of 2 passages are treated in full so far." in page.get_text()
    first, second = page.select("table.source-map tbody tr")
    assert [cell.get_text().strip() for cell in first.select("td")] == ["§1", "Background.", "Chapter A"]
    assert first.select("td")[2].a["href"] == "chapters/code/a.html"
    assert first.select_one("#passage-003-1")
    assert second.select("td")[2].get_text().split("\n")[-1] == "planned: not yet (code)"
