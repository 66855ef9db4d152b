"""Where the book treats each passage of the two source documents, and what it still owes.

``reference/source_passages.yml`` lists the passages and the chapters that owe each of them. A notebook names what it
treats in its metadata (``book.source_sections``). A passage is treated when every chapter that owes it names it;
``reference/untreated_passages.txt`` is the one list of the others, and it may only shrink.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from fresh_pages import facts, note_facts
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tools.chapter.model import Chapter, read_book

PASSAGES = "reference/source_passages.yml"
UNTREATED = "reference/untreated_passages.txt"


@dataclass(frozen=True)
class Passage:
    """One passage of a source document and the pages that owe it to the reader."""

    id: str
    document: str
    section: str
    says: str
    chapters: tuple[str, ...]


def read_passages(root: Path) -> list[Passage]:
    """The passages of both documents, in their order; empty where the book has no list."""
    path = root / PASSAGES
    documents = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return [
        Passage(entry["id"], document, str(entry["section"]), entry["says"], tuple(entry["chapters"]))
        for document, entries in documents.items()
        for entry in entries
    ]


def read_untreated(text: str) -> list[str]:
    """The ids in the list of debts: one a line, ``#`` begins a comment."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def treating(chapters: Iterable[Chapter]) -> dict[str, list[str]]:
    """Passage id → the pages that say they treat it."""
    pages: dict[str, list[str]] = {}
    for chapter in chapters:
        for passage in chapter.book.get("source_sections", []):
            pages.setdefault(passage, []).append(chapter.docname)
    return pages


def disagreements(passages: list[Passage], pages: dict[str, list[str]], untreated: list[str]) -> Iterator[str]:
    """Each passage that is neither treated nor listed, or both, and each listed id that is none."""
    for passage in passages:
        missing = [chapter for chapter in passage.chapters if chapter not in pages.get(passage.id, [])]
        if missing and passage.id not in untreated:
            yield f"{passage.id} is not treated by {', '.join(missing)} and not listed in {UNTREATED}"
        if not missing and passage.id in untreated:
            yield f"{passage.id} is treated by all chapters that owe it: take it out of {UNTREATED}"
    known = {passage.id for passage in passages}
    for listed in [*untreated, *pages]:
        if listed not in known:
            yield f"{listed} is no passage of {PASSAGES}"
    for listed in sorted({listed for listed in untreated if untreated.count(listed) > 1}):
        yield f"{listed} stands twice in {UNTREATED}"


def note(passage: str) -> str:
    """The label of a passage's row in the source map."""
    return f"passage-{passage}"


class SourceMap(SphinxDirective):
    """``{source-map}``: for each document a table of passages with the chapters that treat or owe them."""

    def run(self) -> list[nodes.Node]:
        root = Path(self.env.srcdir)
        note_facts(self.env, "treated passages")
        self.env.note_dependency(str(root / PASSAGES))
        passages, pages = read_passages(root), treating(read_book(root))
        done = [passage for passage in passages if not _owed(passage, pages)]
        summary = f"{len(done)} of {len(passages)} passages are treated in full so far."
        sections = [
            self._section(document, [passage for passage in passages if passage.document == document], pages)
            for document in dict.fromkeys(passage.document for passage in passages)
        ]
        return [nodes.paragraph("", summary, classes=["source-map-summary"]), *sections]

    def _section(self, document: str, passages: list[Passage], pages: dict[str, list[str]]) -> nodes.section:
        title = f"Document {document}"
        section = nodes.section("", nodes.title("", title), ids=[nodes.make_id(title)], names=[title.lower()])
        self.state.document.note_implicit_target(section, section)
        columns = nodes.tgroup("", *(nodes.colspec(colwidth=width) for width in (12, 44, 44)), cols=3)
        head = [nodes.entry("", nodes.paragraph("", text)) for text in ("Section", "Passage", "Treated in")]
        columns += nodes.thead("", nodes.row("", *head))
        columns += nodes.tbody("", *(self._row(passage, pages) for passage in passages))
        section += nodes.table("", columns, classes=["source-map"])
        return section

    def _row(self, passage: Passage, pages: dict[str, list[str]]) -> nodes.row:
        anchor = nodes.target("", "", names=[note(passage.id)], ids=[nodes.make_id(note(passage.id))])
        self.state.document.note_explicit_target(anchor, anchor)
        links = [f"{{doc}}`/{page}`" for page in pages.get(passage.id, [])]
        owed = [_plain(page) for page in _owed(passage, pages)]
        cells = [
            nodes.entry("", nodes.paragraph("", "", anchor, nodes.Text(f"§{passage.section}"))),
            self._parsed(passage.says),
            self._parsed("\\\n".join([*links, *([f"*planned:* {', '.join(owed)}"] if owed else [])])),
        ]
        return nodes.row("", *cells, classes=["untreated"] if owed else ["treated"])

    def _parsed(self, markdown: str) -> nodes.entry:
        entry = nodes.entry()
        self.state.nested_parse(StringList(markdown.splitlines(), PASSAGES), 0, entry)
        return entry


def _owed(passage: Passage, pages: dict[str, list[str]]) -> list[str]:
    """The pages that owe the passage and do not treat it yet."""
    return [page for page in passage.chapters if page not in pages.get(passage.id, [])]


def _plain(docname: str) -> str:
    """A page that may not exist yet, in words: chapters/code/train_an_rnn → train an rnn (code)."""
    folder, _, name = docname.removeprefix("chapters/").rpartition("/")
    return f"{name} ({folder})".replace("_", " ")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.setup_extension("fresh_pages")
    facts("treated passages", lambda root: treating(read_book(root)))
    app.add_directive("source-map", SourceMap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
