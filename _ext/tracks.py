"""Tracks: each runs through the parts of the book. A page lists them, and a chapter leads to its neighbours on its own track."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from tools.chapter.model import Chapter, is_chapter


def label(track: str) -> str:
    """The anchor of a track in the list of tracks."""
    return nodes.make_id(f"track-{track}")


def read_tracks(root: Path) -> dict[str, list[Chapter]]:
    """Each track's chapters, tracks and chapters in the order of the table of contents."""
    tracks: dict[str, list[Chapter]] = {}
    for docname in _order((root / "_toc.yml").read_text(encoding="utf-8")):
        path = root / f"{docname}.ipynb"
        if is_chapter(docname) and path.is_file():
            chapter = Chapter.read(path, root)
            track = chapter.book.get("track")
            if isinstance(track, str) and track:
                tracks.setdefault(track, []).append(chapter)
    return tracks


@cache
def _order(toc: str) -> tuple[str, ...]:
    return tuple(_files(yaml.safe_load(toc)))


def _files(toc: object) -> Iterator[str]:
    """Every ``file:`` of a table of contents, in order."""
    if isinstance(toc, dict):
        if "file" in toc:
            yield str(toc["file"]).removesuffix(".ipynb")
        for value in toc.values():
            yield from _files(value)
    elif isinstance(toc, list):
        for value in toc:
            yield from _files(value)


class Tracks(SphinxDirective):
    """``{tracks}``: every track with its chapters, in reading order."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # it depends on every chapter, also on new ones
        lines: list[str] = []
        for track, chapters in read_tracks(Path(self.env.srcdir)).items():
            lines += [f"({label(track)})=", f"**{track[0].upper()}{track[1:]}**", ""]
            for number, chapter in enumerate(chapters, start=1):
                minutes = chapter.book.get("reading_minutes")
                lines.append(f"{number}. {{doc}}`/{chapter.docname}`" + (f", {minutes} min" if minutes else ""))
            lines.append("")
        holder = nodes.container(classes=["tracks"])
        self.state.nested_parse(StringList(lines, self.env.docname), 0, holder)
        return [holder]


def neighbours(root: Path) -> dict[str, dict[str, str]]:
    """For each chapter its track, and the pages before and after it there."""
    found: dict[str, dict[str, str]] = {}
    for track, chapters in read_tracks(root).items():
        for chapter in chapters:
            found[chapter.docname] = {"track": track}
        for earlier, later in pairwise(chapters):
            found[earlier.docname]["next"] = later.docname
            found[later.docname]["previous"] = earlier.docname
    return found


def note_neighbours(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """A chapter whose neighbours are others than in the last build is written anew."""
    last, env.book_neighbours = getattr(env, "book_neighbours", {}), neighbours(Path(app.srcdir))
    titles, env.book_titles = (
        getattr(env, "book_titles", {}),
        {name: env.titles[name].astext() for name in env.book_neighbours},
    )
    return [
        docname
        for docname, beside in env.book_neighbours.items()
        if beside != last.get(docname)
        or any(titles.get(beside.get(side)) != env.book_titles.get(beside.get(side)) for side in ("previous", "next"))
    ]


def show_neighbours(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Hand the neighbours to _templates/components/prev-next.html."""
    beside = getattr(app.env, "book_neighbours", {}).get(pagename)
    if beside:
        context["track"] = {"name": beside["track"]} | {
            side: {
                "link": app.builder.get_relative_uri(pagename, beside[side]),
                "title": app.env.titles[beside[side]].astext(),
            }
            for side in ("previous", "next")
            if side in beside
        }


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("tracks", Tracks)
    app.connect("env-updated", note_neighbours)
    app.connect("html-page-context", show_neighbours)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
