"""What a cell prints carries the length of its longest line, by which the style sheet sets it smaller on a phone, so that tables are seen whole."""

from __future__ import annotations

import html
import re
import unicodedata

from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)

LONGEST = 69  # letters: what a phone 390 pixels wide shows at the smallest size that custom.css allows
PRINTED = re.compile(
    r'(?P<open><div class="output [^"]*\bhighlight-[^"]*")>(?P<rest><div class="highlight"><pre[^>]*>(?P<text>.*?)</pre>)',
    re.DOTALL,
)


def letters(text: str) -> int:
    """The longest line in columns of a fixed-width font: a Chinese character takes two, a combining mark none."""
    return max(
        sum(
            0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "FW")
            for letter in line
        )
        for line in text.split("\n")
    )


def fit_page(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Write the lengths of this page's printed outputs."""

    def written(one: re.Match) -> str:
        text = html.unescape(re.sub(r"<[^>]*>", "", one["text"]))
        length = letters(text)
        if length > LONGEST:
            longest = max(text.split("\n"), key=letters)
            logger.warning(
                "%d letters are printed in a line, of which a phone shows %d: %s",
                length, LONGEST, longest, location=pagename, type="book", subtype="output",
            )  # fmt: skip
        return f'{one["open"]} style="--letters: {length}">{one["rest"]}'

    context["body"] = PRINTED.sub(written, context.get("body", ""))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("html-page-context", fit_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
