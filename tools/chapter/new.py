"""python -m tools.chapter.new chapters/code/attention.ipynb TRACK: a chapter to start from, already in the book.

It writes an executed notebook that passes every check, and puts the page into `_toc.yml` and on its part's index page.
"""

import argparse
import re
import sys
from pathlib import Path

from tools.chapter.model import PARTS, is_chapter, read_book
from tools.chapter.skeleton import ON_CARD, skeleton
from tools.notebooks import NotebookError, execute, import_text, write
from tools.notebooks.files import ROOT, replace_text


def create(path: Path, track: str, *, begin_track: bool = False, root: Path = ROOT) -> list[str]:
    """Write the chapter and register it; returns what is left to do. Raises NotebookError when it does not belong there."""
    docname = _docname(path, root)
    known = sorted(
        {page.book["track"] for page in read_book(root) if is_chapter(page.docname) and page.book.get("track")}
    )
    if not track:
        raise NotebookError(f'name its track, as in TRACK="{known[0]}"; known are {", ".join(known)}')
    if track not in known and not begin_track:
        raise NotebookError(
            f"no chapter is on the track {track!r}; known are {', '.join(known)}. To begin it: BEGIN_TRACK=yes"
        )
    toc, index = root / "_toc.yml", path.parent / "index.md"
    entries = _with_entry(toc.read_text(encoding="utf-8"), docname)
    slug, title = path.stem.replace("_", "-"), path.stem.replace("_", " ").capitalize()
    write(path, import_text(skeleton(track, title, slug)))
    [run] = execute([path])
    if run.failure:
        path.unlink()
        raise NotebookError(run.failure)
    replace_text(toc, entries)
    replace_text(index, _with_card(index.read_text(encoding="utf-8"), docname, title))
    return [
        f"write it: make edit CHAPTER={path.relative_to(root)}",
        f"say on its card in {index.relative_to(root)} what it shows and which sections it mirrors",
        *_owed(docname, root),
        f"check it: make chapter NOTEBOOK={path.relative_to(root)}",
    ]


def _docname(path: Path, root: Path) -> str:
    parts = ", ".join(f"chapters/{part}" for part in PARTS)
    docname = path.with_suffix("").relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    if not is_chapter(docname):
        raise NotebookError(f"{docname}: a chapter lives in one of {parts}")
    if path.suffix != ".ipynb" or not re.fullmatch(r"[a-z]+(?:_[a-z]+)*", path.stem):
        raise NotebookError(f"{path.name}: a chapter is named in plain words, as in attention_rollout.ipynb")
    if path.exists():
        raise NotebookError(f"{docname}: exists already; make edit CHAPTER={docname}.ipynb opens it")
    return docname


def _with_entry(toc: str, docname: str) -> str:
    """The table of contents with the chapter last in its part; every other line stays as it is."""
    lines = toc.splitlines()
    index = f"{docname.rpartition('/')[0]}/index"
    found = [number for number, line in enumerate(lines) if line.strip() == f"- file: {index}"]
    if not found:
        raise NotebookError(f"_toc.yml has no line `- file: {index}`")
    indent, place = lines[found[0]].index("-"), found[0] + 1
    while place < len(lines) and lines[place].startswith(" " * (indent + 1)):
        place += 1
    if place == found[0] + 1:
        lines.insert(place, f"{' ' * indent}  sections:")
        place += 1
    lines.insert(place, f"{' ' * indent}    - file: {docname}")
    return "\n".join(lines) + "\n"


def _with_card(index: str, docname: str, title: str) -> str:
    """The part's index page with a card, last in its grid, or in a grid of its own where there is none."""
    card = f":::{{grid-item-card}} {title}\n:link: /{docname}\n:link-type: doc\n\n{ON_CARD}\n:::\n"
    grid, closing = "::::{grid} 1\n:gutter: 3\n", "\n::::\n"
    if grid not in index:
        return f"{index.rstrip()}\n\n{grid}\n{card}{closing[1:]}"
    before, end, after = index.rpartition(closing)
    return f"{before}\n\n{card}{end[1:]}{after}"


def _owed(docname: str, root: Path) -> list[str]:
    text = (root / "reference" / "source_passages.yml").read_text(encoding="utf-8")
    owed = [
        entry.split("\n")[0].strip() for entry in text.split("- id:")[1:] if re.search(rf"[\[ ]{docname}[\],]", entry)
    ]
    if not owed:
        return ["reference/source_passages.yml names no passage that a chapter of this name owes"]
    ids = ", ".join(owed)
    return [
        f"it owes {ids}: name what it treats under book.source_sections, and take it out of reference/untreated_passages.txt"
    ]


def main(arguments: list[str] | None = None) -> int:
    """Create it and say what remains."""
    parser = argparse.ArgumentParser(prog="python -m tools.chapter.new", description=__doc__)
    parser.add_argument("chapter", type=Path, help="chapters/PART/plain_words.ipynb")
    parser.add_argument("track", help="the idea that it follows through the book")
    parser.add_argument("--begin-track", action="store_true", help="it is the first chapter on its track")
    options = parser.parse_args(arguments)
    try:
        remaining = create(options.chapter.absolute(), options.track.strip(), begin_track=options.begin_track)
    except NotebookError as error:
        print(error, file=sys.stderr)
        return 1
    print("It is in the book. What remains:", *(f"- {line}" for line in remaining), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
