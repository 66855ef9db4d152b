"""The line under a chapter's title, rendered from the notebook's metadata: nothing in it is typed by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from chapter_warnings import warn_about
from docutils import nodes
from source_map import note, read_passages
from sphinx import addnodes
from sphinx.application import Sphinx
from tracks import label

from tools.chapter.model import Chapter, is_chapter

# Key → what its value must be. `make execute` writes running_seconds, the author writes the rest.
FIELDS = {
    "track": str,
    "prerequisites": list,
    "reading_minutes": int,
    "source_sections": list,
    "running_seconds": (int, float),
}


def problems(chapter: Chapter, root: Path) -> Iterator[str]:
    """What is missing or wrong in a chapter's metadata key ``book``, one sentence for each fault."""
    for key, kind in FIELDS.items():
        value = chapter.book.get(key)
        if not isinstance(value, kind) or isinstance(value, bool) or value == "":
            yield f"the notebook's metadata must hold book.{key}, got {value!r}"
    for docname in _list(chapter, "prerequisites"):
        if not any((root / f"{docname}{suffix}").is_file() for suffix in (".ipynb", ".md")):
            yield f"book.prerequisites names {docname!r}, which is no page of the book"
    known = {passage.id for passage in read_passages(root)}
    for passage in _list(chapter, "source_sections"):
        if passage not in known:
            yield f"book.source_sections names {passage!r}, which reference/source_passages.yml does not list"


class fact(nodes.definition_list_item):  # noqa: N801 - docutils names nodes in lower case
    """A term with its value, kept together when the line wraps."""


def header(chapter: Chapter) -> nodes.definition_list:
    """The header of a chapter whose metadata is complete; links are resolved when all pages are read."""
    book = chapter.book
    line = nodes.definition_list(classes=["chapter-header", "simple"])
    line += _item("Track", _track(book["track"]))
    if book["prerequisites"]:
        line += _item("Read first", *_separated(_page(docname) for docname in book["prerequisites"]))
    line += _item("Reading", nodes.Text(f"{book['reading_minutes']} min"))
    line += _item("Running", nodes.Text(_seconds(book["running_seconds"])))
    if book["source_sections"]:
        line += _item("Sources", *_separated(_passage(passage) for passage in book["source_sections"]))
    return line


def _item(term: str, *values: nodes.Node) -> fact:
    return fact("", nodes.term("", term), nodes.definition("", nodes.paragraph("", "", *values)))


def _separated(links: Iterator[nodes.Node]) -> Iterator[nodes.Node]:
    for index, link in enumerate(links):
        if index:
            yield nodes.Text(", ")
        yield link


def _track(track: str) -> nodes.Node:
    """A link to the track in the list of tracks."""
    return _reference("ref", label(track), track, refexplicit=True)


def _page(docname: str) -> addnodes.pending_xref:
    """A link to another page that shows the page's own title."""
    return _reference("doc", f"/{docname}", docname, refexplicit=False)


def _passage(passage: str) -> addnodes.pending_xref:
    """A link to the passage's row in the source map: 003-3.1.1 reads 003 §3.1.1."""
    return _reference("ref", note(passage), passage.replace("-", " §", 1), refexplicit=True)


def _reference(role: str, target: str, text: str, *, refexplicit: bool) -> addnodes.pending_xref:
    return addnodes.pending_xref(
        "",
        nodes.inline("", text),
        refdomain="std",
        reftype=role,
        reftarget=target,
        refexplicit=refexplicit,
        refwarn=True,
    )


def _seconds(measured: float) -> str:
    return "under a second" if measured < 1 else f"{measured:.0f} s"


def _list(chapter: Chapter, key: str) -> list:
    value = chapter.book.get(key)
    return value if isinstance(value, list) else []


def insert_header(app: Sphinx, document: nodes.document) -> None:
    """Put the header between the title and the first paragraph."""
    path = Path(app.env.doc2path(app.env.docname))
    root = Path(app.srcdir)
    if not is_chapter(app.env.docname) or path.suffix != ".ipynb":
        return
    chapter = Chapter.read(path, root)
    title = next(document.findall(nodes.title), None)
    if title is not None and not any(problems(chapter, root)):
        line = header(chapter)
        title.parent.insert(title.parent.index(title) + 1, line)
        for reference in line.findall(addnodes.pending_xref):
            reference["refdoc"] = app.env.docname
            reference.source, reference.line = str(path), 1


def _visit_fact(self, node) -> None:
    self.body.append("<div>")


def _depart_fact(self, node) -> None:
    self.body.append("</div>\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    warn_about(app, "header", lambda chapter: problems(chapter, Path(app.srcdir)))
    app.add_node(fact, html=(_visit_fact, _depart_fact))
    app.connect("doctree-read", insert_header)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
