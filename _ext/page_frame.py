"""The frame around every page: pictures that keep their place and wait, numbers that keep their sign, lists that are lists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from PIL import Image
from sphinx.application import Sphinx

_IMAGE = re.compile(r"<img\b[^>]*>")
# Text and tags alternate; a number and its unit sign stay on one line.
_PERCENT = re.compile(r"(?<=\d) (?=[%‰°])")
_PLAIN_TOKEN = re.compile(r'<span class="(?:n|p|w)">([^<]*)</span>')
_VERBATIM = re.compile(r"(<(pre|script|style|code|textarea)\b.*?</\2>|<[^>]*>)", re.DOTALL)


def keep_signs(body: str) -> str:
    """``3 %`` never breaks between the number and the sign, outside of code."""
    pieces = _VERBATIM.split(body)
    # split() with two groups: text, what was matched, the name of its element, text, …
    for at in range(0, len(pieces), 3):
        pieces[at] = _PERCENT.sub("\N{NO-BREAK SPACE}", pieces[at])
    return "".join(piece for at, piece in enumerate(pieces) if at % 3 != 2)


def plain_code(body: str) -> str:
    """Names, brackets and spaces of code, which look like the code around them, without a tag each: a fifth of a chapter's weight."""
    return _PLAIN_TOKEN.sub(r"\1", body)


def place_images(body: str, pictures: Mapping[str, Path]) -> str:
    """Each picture says its size, so that nothing jumps; all but the first wait until they are near."""
    seen = 0

    def placed(match: re.Match[str]) -> str:
        nonlocal seen
        tag = match[0]
        source = re.search(r'src="([^":?]+)"', tag)
        path = pictures.get(unquote(source[1]).rpartition("/")[2]) if source else None
        if path is None or path.suffix == ".svg":
            return tag
        seen += 1
        extra = ' decoding="async"' + (' loading="lazy"' if seen > 1 else "")
        if " width=" not in tag and " height=" not in tag:
            with Image.open(path) as picture:
                extra += ' width="{}" height="{}"'.format(*picture.size)
        return f"{tag.removesuffix('>').removesuffix('/').rstrip()}{extra} />"

    return _IMAGE.sub(placed, body)


def frame_page(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """What every page gets on its way out."""
    pictures = {name: Path(app.srcdir, source) for source, name in app.builder.images.items()}
    body = place_images(plain_code(keep_signs(context.get("body", ""))), pictures)
    # An entry of a bibliography is no list item to a screen reader, so what holds the entries is no list.
    context["body"] = body.replace('<div role="list" class="citation-list">', '<div class="citation-list">')


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("html-page-context", frame_page, priority=910)  # after the formulas
    return {"parallel_read_safe": True, "parallel_write_safe": True}
