"""The sentences of a chapter: its Markdown without code, roles, link targets and directive options.

Of a formula only its numbers remain, those of several digits: a single one is as often an index, an exponent or part of
the notation as it is a quantity. Captions and descriptions of pictures, which stand in the metadata of code cells, are sentences too.
What a quiz offers as a wrong answer is not: nobody claims it. Its explanation is.
"""

import re
from collections.abc import Iterator

from markdown_it.token import Token

from tools.chapter.markup import Directive, as_directive, inline_tokens, outer_tokens

LEFT_OUT = "▯"  # stands where code, a formula or a role stood

_WRONG_ANSWER = re.compile(r"\s*\*\*No\.\*\*")
_MATHS = {"math_inline", "math_inline_double", "math_block", "math_block_label", "amsmath"}
_NOTATION = re.compile(
    r"""
    _(?:\{[^{}]*\}|\\?\w+)                           # a subscript
    | (?:(?<!\d)|(?<!\d)\d)\^(?:\{[^{}]*\}|\\?\w)    # an exponent, but for 10^{-8}
    | \\text\{[^{}]*\}
    | \\[td]?frac\s*\d\s*\d                           # ½ written as \tfrac12
    | \\[a-zA-Z]+
    """,
    re.VERBOSE,
)
_IN_FORMULA = re.compile(r"(?<![\w.,])(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+|\d{2,})(?:\^\{?(-?\d+)\}?)?(\s*%)?")
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def cell_prose(cell: dict) -> Iterator[str]:
    """The paragraphs, titles, items and table cells of a Markdown cell; the captions of a code cell."""
    if cell.cell_type == "markdown":
        yield from prose(cell.source)
    elif cell.cell_type == "code":
        rendering = cell.metadata.get("mystnb", {})
        for text in (rendering.get("figure", {}).get("caption"), rendering.get("image", {}).get("alt")):
            if text:
                yield from prose(text)


def prose(source: str) -> Iterator[str]:
    """Every piece of running text in MyST source, in order."""
    for token in outer_tokens(source):
        if token.type == "inline":
            yield "".join(_plain(child) for child in inline_tokens(token.content))
        elif token.type in _MATHS:
            yield _formula(token.content)
        elif (directive := as_directive(token)) and not directive.verbatim:
            yield from _directive(directive)


def _directive(directive: Directive) -> Iterator[str]:
    if directive.name == "math":
        yield _formula(directive.body)
        return
    is_a_label = " " not in directive.argument  # or a path
    if not is_a_label and not (directive.name == "dropdown" and _WRONG_ANSWER.match(directive.body)):
        yield from prose(directive.argument)
    yield from prose(directive.body)


def _plain(token: Token) -> str:
    if token.type in ("text", "text_special"):
        return token.content
    if token.type == "image":
        return "".join(_plain(child) for child in token.children or [])
    if token.type in ("softbreak", "hardbreak"):
        return " "
    if token.type in _MATHS or (token.type == "myst_role" and token.meta.get("name") == "math"):
        return _formula(token.content)
    return LEFT_OUT if token.content else ""


def _formula(content: str) -> str:
    """The numbers of a TeX formula, without its subscripts and the exponents of its letters."""
    content = content.replace("{,}", ",").replace("\\,", "").replace("\\%", "%")
    found = _IN_FORMULA.finditer(_NOTATION.sub(" ", content))
    numbers = [number[1] + (number[2] or "").translate(_SUPERSCRIPTS) + (number[3] or "") for number in found]
    return LEFT_OUT + "".join(f" {number} {LEFT_OUT}" for number in numbers)
