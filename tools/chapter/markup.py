"""Chapter markup, read as MyST reads it: tokens, and the directives among them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser
from myst_parser.parsers.options import TokenizeError, options_to_items

SYNTAX = {
    "amsmath", "attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath", "html_image", "substitution", "tasklist",
}  # fmt: skip
# Bodies of these are no prose: a formula or a directive shown in them is an example, not part of the chapter.
VERBATIM = re.compile(r"code(-\w+)?|sourcecode|literalinclude|include|raw|eval-rst|mermaid|bibliography|toctree")

_FENCE = re.compile(r"`{3}|~{3}|:{3}")
_PARSER = create_md_parser(MdParserConfig(enable_extensions=SYNTAX), RendererHTML)
_BLOCKS = create_md_parser(MdParserConfig(enable_extensions=SYNTAX), RendererHTML).disable("inline")


@dataclass(frozen=True)
class Directive:
    """```{name} argument, its options, and its body as Markdown; `lines` are those it covers, both fences among them."""

    name: str
    argument: str
    options: dict[str, str]
    body: str
    lines: range

    @property
    def classes(self) -> list[str]:
        return self.options.get("class", "").split()

    @property
    def verbatim(self) -> bool:
        """Is its body code rather than prose?"""
        return VERBATIM.fullmatch(self.name) is not None

    def inner(self) -> Iterator["Directive"]:
        """The directives directly inside the body."""
        return directives(self.body)


@lru_cache(maxsize=4096)
def outer_tokens(markdown: str) -> tuple[Token, ...]:
    """The tokens of a text; a directive is one of them, whatever it holds. Running text is not taken apart."""
    return tuple(_BLOCKS.parse(markdown))


def inline_tokens(text: str) -> list[Token]:
    """The words, formulas and roles in the running text of a token."""
    return _PARSER.parseInline(text)[0].children or []


def tokens(markdown: str) -> Iterator[Token]:
    """Every token, followed by those inside it when it is a directive such as a margin note."""
    for token in outer_tokens(markdown):
        yield token
        directive = as_directive(token)
        if directive and not directive.verbatim:
            yield from tokens(directive.body)


def directives(markdown: str) -> Iterator[Directive]:
    """The outermost directives of a text, in order."""
    if not _FENCE.search(markdown):
        return iter(())  # to find none by parsing takes thousands of times as long
    return filter(None, map(as_directive, outer_tokens(markdown)))


def as_directive(token: Token) -> Directive | None:
    """The directive that a fence of backticks, tildes or colons opens; none when the fence holds code."""
    name, argument = [*token.info.split(maxsplit=1), "", ""][:2]
    if token.type not in ("fence", "colon_fence") or not re.fullmatch(r"\{[^{}]+\}", name):
        return None
    options, body = _split_options(token.content)
    return Directive(name[1:-1], argument.strip(), options, body, range(*token.map))


def _split_options(content: str) -> tuple[dict[str, str], str]:
    """The options, in either of MyST's two forms, and the body below them."""
    if content.startswith("---"):
        _, block, body = [*re.split(r"^-{3,}[ \t]*\n?", content, maxsplit=2, flags=re.MULTILINE), ""][:3]
    else:
        lines = content.splitlines(keepends=True)
        count = next((index for index, line in enumerate(lines) if not line.lstrip().startswith(":")), len(lines))
        block, body = "".join(line.lstrip()[1:] for line in lines[:count]), "".join(lines[count:])
    try:
        return dict(options_to_items(block)[0]), body
    except TokenizeError:
        return {}, body  # the build says so
