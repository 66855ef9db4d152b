"""What follows from a text alone is worked out once, and is there in the next build.

The results lie beside the pages that Sphinx keeps, and go with them when the machinery of the book changes (tools/book.py).
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TypeVar

from sphinx.application import Sphinx

FILE = "facts.pickle"
Work = TypeVar("Work", bound=Callable)

_last: dict[bytes, object] = {}  # of the last build
_asked: dict[bytes, object] = {}  # in this one; nothing else is kept for the next


def kept(work: Work) -> Work:
    """A function of texts, and of tuples of what `repr` shows whole, whose results are kept. Its callers change none of them."""

    @wraps(work)
    def look_up(*given):
        key = hashlib.sha256(repr((work.__module__, work.__qualname__, given)).encode()).digest()
        if key not in _asked:
            _asked[key] = _last[key] if key in _last else work(*given)
        return _asked[key]

    return look_up


def read(app: Sphinx) -> None:
    """Take what the last build has found out. A build that did not come to its end leaves nothing (tools/book.py)."""
    _asked.clear()
    _last.clear()
    if (path := Path(app.doctreedir, FILE)).is_file():
        _last.update(pickle.loads(path.read_bytes()))


def write(app: Sphinx, exception: Exception | None) -> None:
    """Leave to the next build what was asked in this one."""
    if exception is None:
        Path(app.doctreedir, FILE).write_bytes(pickle.dumps(_asked))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", read)
    app.connect("build-finished", write, priority=950)  # when light_assets has asked as well
    return {"parallel_read_safe": True, "parallel_write_safe": True}
