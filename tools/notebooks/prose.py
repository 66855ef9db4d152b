"""The sentences of a chapter: its Markdown without code, roles, link targets and directive options.

Of a formula only its numbers remain, those of several digits: a single one is as often an index, an exponent or part of
the notation as it is a quantity. Captions and descriptions of pictures, which stand in the metadata of code cells, are sentences too.
What a quiz offers as a wrong answer is not: nobody claims it. Its explanation is.
"""

import re
from collections.abc import Iterator

import nbformat
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

LEFT_OUT = "▯"  # stands where code, a formula or a role stood

_SYNTAX = {"amsmath", "attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath"}
_PARSER = create_md_parser(MdParserConfig(enable_extensions=_SYNTAX), RendererHTML)
_DIRECTIVE = re.compile(r"\{([\w:-]+)\}\s*(.*)", re.DOTALL)
_VERBATIM = re.compile(r"code(-\w+)?|sourcecode|literalinclude|include|raw|eval-rst|mermaid|bibliography|toctree")
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
_YAML_OPTIONS = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_COLON_OPTIONS = re.compile(r"\A(?:\s*:[\w-]+:.*\n?)+")


def cell_prose(cell: nbformat.NotebookNode) -> Iterator[str]:
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
    for token in _PARSER.parse(source):
        if token.type == "inline":
            yield "".join(_plain(child) for child in token.children or [])
        elif token.type in _MATHS:
            yield _formula(token.content)
        elif token.type in ("fence", "colon_fence"):
            yield from _directive(token)


def _directive(token: Token) -> Iterator[str]:
    found = _DIRECTIVE.fullmatch(token.info.strip())
    if found is None or _VERBATIM.fullmatch(found[1]):
        return
    name, title = found.groups()
    body = _COLON_OPTIONS.sub("", _YAML_OPTIONS.sub("", token.content))
    if name == "math":
        yield _formula(body)
        return
    is_a_label = " " not in title.strip()  # or a path
    if not is_a_label and not (name == "dropdown" and _WRONG_ANSWER.match(body)):
        yield from prose(title)
    yield from prose(body)


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
