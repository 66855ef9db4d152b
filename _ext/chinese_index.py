"""The index keeps Chinese terms under one heading.

Sphinx opens a section for each first letter, which suits an alphabet: Chinese has none, and 140 sections of one term each are no help.
"""

from __future__ import annotations

import re

from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

HEADING = "Chinese"
_CHINESE = re.compile("[\u2e80-\u9fff]")


class GroupChinese(SphinxTransform):
    """Give an index entry that begins with a Chinese character the heading of them all, where it has none of its own."""

    default_priority = 800  # before SphinxDomains (850), which puts the entries into the index

    def apply(self, **_kwargs) -> None:
        """Change the entries of the page in place."""
        for node in self.document.findall(addnodes.index):
            node["entries"] = [
                (kind, term, target, main, key or (HEADING if _CHINESE.match(term) else None))
                for kind, term, target, main, key in node["entries"]
            ]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_transform(GroupChinese)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
