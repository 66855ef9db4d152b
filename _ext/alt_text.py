"""Every picture says in words what it shows: an image without a description is a warning."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)

_FILE_NAME = re.compile(r"\S*\.(png|jpe?g|svg|gif|webp|pdf)|[^\s/\\_]*[/\\_]\S*|[0-9a-f]{12,}", re.IGNORECASE)


def looks_like_a_file_name(alt: str, uri: str = "") -> bool:
    """Is the text a path, a name with underscores, a hash, or the image's own file name?"""
    alt = alt.strip()
    return bool(_FILE_NAME.fullmatch(alt)) or alt in (uri, PurePosixPath(uri).name, PurePosixPath(uri).stem)


def check_images(app: Sphinx, document: nodes.document) -> None:
    """Warn about each image, computed or included, that a reader who cannot see it would miss."""
    for image in document.findall(nodes.image):
        alt = image.get("alt", "").strip()
        if not alt:
            fault = "an image has no alt text; in a code cell, set mystnb.image.alt"
        elif looks_like_a_file_name(alt, image["uri"]):
            fault = f"the alt text {alt!r} is a file name; say what the picture shows"
        else:
            continue
        placed = image if image.line else image.parent  # an inline image has the line of its paragraph
        logger.warning(fault, location=placed, type="book", subtype="alt_text")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("doctree-read", check_images)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
