"""What holds a chapter's sentences: assertions that stop the book's own runs, and only tell a reader."""

import ast
import linecache
import os
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

__all__ = ["evidence"]

STRICT = "INSIDE_LARGE_MODELS_STRICT"  # set to 1 in every kernel of the book's own tests


@contextmanager
def evidence() -> Iterator[None]:
    """Hold the assertions of one section: `with evidence(): assert error < 0.1`.

    Where the environment says INSIDE_LARGE_MODELS_STRICT=1, as in the book's own kernels, a failing
    assertion rises. Elsewhere somebody has changed a setting to see what happens: one sentence says
    which assertion no longer holds, or which statement no longer fits (two rows where five were asked for),
    the rest of the block is left out, and the notebook goes on.

    A name of the notebook that the block binds to something else stands for the old value again after it, so that
    evidence can be left out without a later cell noticing. What the block names first, it keeps, for later evidence.

    Raises:
        Exception: in strict kernels, what rose in the block.
    """
    names = sys._getframe(2).f_globals  # the notebook's: frame 1 is contextlib's
    before = dict(names)
    try:
        yield
    except Exception as failure:
        if os.environ.get(STRICT) == "1":
            raise
        verdict = "does not" if isinstance(failure, AssertionError) else "cannot be computed"
        print(f"What this section says holds for the stored settings; with yours, this {verdict}:\n{_claim(failure)}")
    finally:
        names.update(before)


def _claim(failure: Exception) -> str:
    """The statement of the block that failed, and the message it was given."""
    in_block = failure.__traceback__.tb_next  # the first entry is `yield` above
    said = str(failure).strip()
    message = said if isinstance(failure, AssertionError) else f"{type(failure).__name__}: {said}"
    message = textwrap.indent(message, "    ")
    return "\n".join(filter(None, [textwrap.indent(_statement(in_block), "    "), message]))


def _statement(place: TracebackType) -> str:
    """The source of the innermost statement at a place of a traceback."""
    lines = linecache.getlines(place.tb_frame.f_code.co_filename)
    try:
        nodes = ast.walk(ast.parse("".join(lines)))
    except SyntaxError:  # a cell with a magic command
        nodes = iter(())
    around = [
        node for node in nodes if isinstance(node, ast.stmt) and node.lineno <= place.tb_lineno <= node.end_lineno
    ]
    if around:
        innermost = min(around, key=lambda node: node.end_lineno - node.lineno)
        lines = lines[innermost.lineno - 1 : innermost.end_lineno]
    else:
        lines = lines[place.tb_lineno - 1 : place.tb_lineno]
    return textwrap.dedent("".join(lines)).strip()
