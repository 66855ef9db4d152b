"""What is as it was in the last build is not worked out again: numbers on pages that were not read, and formatted works.

To count figures, tables, equations and exercises Sphinx reads every stored page in every build. An outline of each page is kept,
in which only that is left, and is handed to Sphinx in the page's place: the counting stays Sphinx's own. Works of the
bibliography whose entry and label are the same keep what pybtex made of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import ClassVar

import pybtex.plugin
from docutils import nodes
from jinja2 import FileSystemBytecodeCache
from pybtex.plugin import find_plugin, register_plugin
from pybtex.style.formatting.alpha import Style as Alpha
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

_TITLES = (nodes.caption, nodes.title, nodes.literal_block)  # among a node's children they decide whether it is counted


def outline(env: BuildEnvironment, page: nodes.Element) -> nodes.Element:
    """Sections, tables of contents and all that is counted, nested as in the page. The page itself where that is not enough."""
    root = nodes.container()
    root += _reduced(env, page)
    return root if [*_counted(env, root)] == [*_counted(env, page)] else page


def _reduced(env: BuildEnvironment, parent: nodes.Element) -> Iterator[nodes.Element]:
    for node in parent.children:
        if not isinstance(node, nodes.Element):
            continue
        if isinstance(node, (nodes.section, addnodes.toctree)):
            kept = node.copy()
            kept += _reduced(env, node)
            yield kept
            continue
        if _kind(env, node):
            kept = node.copy()
            kept += [type(part)("", part.astext()) for part in node.children if isinstance(part, _TITLES)]
            yield kept
        yield from _reduced(env, node)


def _counted(env: BuildEnvironment, parent: nodes.Element) -> Iterator[tuple]:
    """All that decides on numbers, in reading order, as Sphinx's ``TocTreeCollector`` looks at it."""
    for node in parent.children:
        if isinstance(node, (nodes.section, addnodes.toctree)):
            yield type(node), node["ids"], node.get("entries")
            yield from _counted(env, node)
            yield (type(node),)
        elif isinstance(node, nodes.Element):
            if kind := _kind(env, node):
                yield kind, node["ids"]
            yield from _counted(env, node)


def _kind(env: BuildEnvironment, node: nodes.Element) -> str | None:
    """As what the node is counted: a figure, an equation; None if it is not."""
    for domain in env.domains.values():
        kind = domain.get_enumerable_node_type(node)
        if kind and (domain.name != "std" or domain.get_numfig_title(node)):
            return kind
    return None


def hand_out_outlines(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """While numbers are given, a page is its outline."""
    outlines = env.__dict__.setdefault("book_outlines", {})

    def get_doctree(docname: str) -> nodes.Element:
        if docname not in outlines:
            outlines[docname] = outline(env, BuildEnvironment.get_doctree(env, docname))
        return outlines[docname]

    env.get_doctree = get_doctree
    return []


def hand_out_pages(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Numbers are given: a page is itself again."""
    del env.get_doctree
    return []


def purge(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Forget the outline of a page that is read anew, or gone."""
    env.__dict__.setdefault("book_outlines", {}).pop(docname, None)


def keep_templates(app: Sphinx) -> None:
    """Templates are compiled once."""
    templates = getattr(app.builder, "templates", None)
    if templates is not None:
        folder = Path(app.doctreedir, "templates")
        folder.mkdir(parents=True, exist_ok=True)
        templates.environment.bytecode_cache = FileSystemBytecodeCache(str(folder))


class Kept(Alpha):
    """The style ``alpha``, which formats an entry once."""

    formatted: ClassVar[dict[tuple, tuple]] = {}  # key and label → the entry, and what became of it

    def format_entry(self, label, entry, bib_data=None):
        """The entry as text with its label."""
        known = self.formatted.get((entry.key, label))
        if known is None or known[0] != entry:
            known = self.formatted[entry.key, label] = entry, super().format_entry(label, entry, bib_data)
        return known[1]


def remember_works(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Take the works that were formatted in the last build."""
    citations = getattr(env.domains.get("cite"), "citations", ())
    Kept.formatted = {
        (citation.entry.key, citation.formatted_entry.label): (citation.entry, citation.formatted_entry)
        for citation in citations
        if citation.tooltip_entry  # an entry that lacks a field has none, and is told of again
    }


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    register_plugin("pybtex.style.formatting", "kept", Kept)
    pybtex.plugin.find_plugin = cache(find_plugin)  # it looks through all installed packages, several times a citation
    app.connect("builder-inited", keep_templates)
    app.connect("env-get-updated", hand_out_outlines, priority=0)
    app.connect("env-get-updated", hand_out_pages, priority=899)
    app.connect("env-purge-doc", purge)
    app.connect("env-before-read-docs", remember_works)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
