"""Chapters packed to one EPUB 3: a table of contents, and links from chapter to chapter."""

import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from urllib.parse import unquote

from tools.pages.assembled import ORIGIN

__all__ = ["Chapter", "packed"]

TITLE, LANGUAGE = "Inside Large Models", "en"
STYLE = Path(__file__).with_name("style.css")
KINDS = {".png": "image/png", ".jpg": "image/jpeg", ".svg": "image/svg+xml", ".webp": "image/webp", ".gif": "image/gif"}
_LINK = re.compile(rf'href="{re.escape(ORIGIN)}(page-\d+)(-[^"]+)?"')
_CONTAINER = """<?xml version="1.0" encoding="UTF-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="book/package.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>
"""
_PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" lang="{language}" xml:lang="{language}">
<head><title>{title}</title><link rel="stylesheet" href="style.css"/></head>
<body>{body}</body>
</html>
"""
_PACKAGE = """<?xml version="1.0" encoding="UTF-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="name" xml:lang="{language}">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="name">urn:inside-large-models</dc:identifier><dc:title>{title}</dc:title><dc:language>{language}</dc:language>
<meta property="dcterms:modified">{modified}</meta>
</metadata>
<manifest>
{files}
</manifest>
<spine>
{order}
</spine>
</package>
"""


@dataclass(frozen=True)
class Chapter:
    """One page of the book: its depth in the table of contents, headings with their names, XHTML, and the pictures that it shows."""

    depth: int
    title: str
    sections: Sequence[tuple[str, str]]
    parts: Sequence[str]  # which of MathML and SVG it holds
    body: str
    pictures: tuple[Path, ...]


def packed(chapters: Sequence[Chapter], file: Path) -> None:
    """Write one EPUB out of the chapters, complete or not at all. A link to ``ORIGIN + name`` leads to that name, wherever it stands."""
    names = {name for chapter in chapters for name in re.findall(r' id="([^"]+)"', chapter.body)}
    pictures = {picture.name: picture for chapter in chapters for picture in chapter.pictures}
    texts = {f"page-{number + 1}.xhtml": _page(c.title, _joined(c.body, names)) for number, c in enumerate(chapters)}
    texts["contents.xhtml"] = _page("Contents", f'<nav epub:type="toc"><h1>Contents</h1>{_outline(chapters)}</nav>')
    half = file.with_suffix(".part")
    try:
        with zipfile.ZipFile(half, "w", zipfile.ZIP_DEFLATED) as archive:
            # The standard wants its kind first and uncompressed.
            archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
            archive.writestr("META-INF/container.xml", _CONTAINER)
            archive.writestr("book/package.opf", _package(chapters, pictures))
            archive.write(STYLE, "book/style.css")
            for name, text in texts.items():
                archive.writestr(f"book/{name}", text)
            for name, picture in pictures.items():
                archive.write(picture, f"book/pictures/{name}", zipfile.ZIP_STORED)
        half.replace(file)
    finally:
        half.unlink(missing_ok=True)


def _joined(body: str, names: set[str]) -> str:
    """Links between pages as links between files."""

    def into(link: re.Match) -> str:
        page, anchor = link[1], unquote(link[2] or "")
        if page + anchor not in names:
            raise ValueError(f"a link leads to {page + anchor!r}, which no chapter has")
        return f'href="{page}.xhtml#{page}{anchor}"'

    return _LINK.sub(into, body)


def _page(title: str, body: str) -> str:
    return _PAGE.format(title=escape(title), body=body, language=LANGUAGE)


def _outline(chapters: Sequence[Chapter]) -> str:
    """Parts, their chapters and the sections of these, as nested lists."""
    entries = []
    for number, chapter in enumerate(chapters):
        page = f"page-{number + 1}.xhtml"
        entries.append((chapter.depth, page, chapter.title))
        entries += [(chapter.depth + 1, f"{page}#{name}", title) for name, title in chapter.sections]
    return "".join(_lists(entries))


def _lists(entries: Sequence[tuple[int, str, str]]) -> Iterator[str]:
    depth = -1
    for level, target, title in entries:
        if level > depth:
            yield "<ol>" * (level - depth)
        else:
            yield "</li>" + "</ol></li>" * (depth - level)
        yield f'<li><a href="{target}">{escape(title)}</a>'
        depth = level
    yield "</li></ol>" * (depth + 1)


def _package(chapters: Sequence[Chapter], pictures: dict[str, Path]) -> str:
    items = [("contents", "contents.xhtml", "application/xhtml+xml", "nav"), ("style", "style.css", "text/css", "")]
    for number, chapter in enumerate(chapters):
        kinds = " ".join({"math": "mathml", "svg": "svg"}[part] for part in chapter.parts)
        items.append((f"page-{number + 1}", f"page-{number + 1}.xhtml", "application/xhtml+xml", kinds))
    for number, name in enumerate(pictures):
        items.append((f"picture-{number + 1}", f"pictures/{name}", KINDS[Path(name).suffix], ""))
    files = "\n".join(
        f'<item id="{key}" href="{place}" media-type="{kind}"' + (f' properties="{said}"/>' if said else "/>")
        for key, place, kind, said in items
    )
    order = "\n".join(f'<itemref idref="page-{number + 1}"/>' for number in range(len(chapters)))
    modified = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _PACKAGE.format(title=TITLE, language=LANGUAGE, files=files, order=order, modified=modified)
