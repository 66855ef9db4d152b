"""MyST's roles as text and links; in full, its directives as plain Markdown too."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from tools.chapter.markup import Directive, directives
from tools.plain.labels import Labels

_ROLE = re.compile(r"(?<![`\\])\{([\w:]+)\}`([^`]+)`")
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!\w+://|<)([^)\s]*)\)")
_CODE = re.compile(
    r"(?P<role>\{[\w:]+\}`[^`]+`)"
    r"|^(?P<fence>`{3,}|~{3,}).*?^(?P=fence)[`~]*$"
    r"|(?<!`)(?P<span>`+)(?!`)(?:[^\n]|\n(?!\n))+?(?<!`)(?P=span)(?!`)",
    re.MULTILINE | re.DOTALL,
)
_EQUATION = re.compile(r"^\$\$ *\(([\w-]+)\)", re.MULTILINE)
_TARGET = re.compile(r"^\([\w-]+\)=\n", re.MULTILINE)
_EXPLICIT = re.compile(r"(.*?)\s*<([^<>]+)>", re.DOTALL)


@dataclass
class Reader:
    """Who reads: from which page, and which files lie beside it (`has("lib/core/training.py")`)."""

    labels: Labels
    docname: str
    has: Callable[[str], bool]
    made: list[tuple[str, str]] = field(default_factory=list)  # (what was made, of what)

    def link(self, text: str, file: str) -> str:
        """A link to a file of the repository, or only the text where the reader does not have it."""
        if not self.has(file):
            return text
        return f"[{text}]({os.path.relpath(file, os.path.dirname(self.docname)).replace(os.sep, '/')})"

    def page(self, text: str, docname: str) -> str:
        """A link to a page of the book; only the text on that page itself."""
        if docname == self.docname:
            return text
        return self.link(text, f"{docname}.ipynb" if self.has(f"{docname}.ipynb") else f"{docname}.md")


def plain_text(source: str, reader: Reader, *, in_full: bool) -> str:
    """A Markdown cell with its roles as text; with `in_full` also its directives, for programs that do not know MyST."""
    if in_full:
        source = _without_directives(source, reader)
    source = _outside_code(source, lambda text: _roles(text, reader))
    return _numbered_equations(source, reader)


def _outside_code(source: str, change: Callable[[str], str]) -> str:
    """Change what stands outside code, in the bodies of directives too."""
    lines = source.split("\n")
    kept, place = [], 0
    for directive in directives(source):
        kept += (
            [_outside_spans("\n".join(lines[place : directive.lines.start]), change)]
            if directive.lines.start > place
            else []
        )
        first, *body = lines[directive.lines.start : directive.lines.stop]
        last = body.pop() if body else None
        inside = "\n".join(body)
        kept += [change(first), *([inside if directive.verbatim else _outside_code(inside, change)] if body else [])]
        kept += [] if last is None else [last]
        place = directive.lines.stop
    kept += [_outside_spans("\n".join(lines[place:]), change)] if place < len(lines) else []
    return "\n".join(kept)


def _outside_spans(text: str, change: Callable[[str], str]) -> str:
    """Change what stands outside fenced code and code spans; a role's own backticks begin none."""
    kept: list[str] = []

    def keep(match: re.Match) -> str:
        if match["role"]:
            return match[0]
        kept.append(match[0])
        return f"\x00{len(kept) - 1}\x00"

    return re.sub(r"\x00(\d+)\x00", lambda match: kept[int(match[1])], change(_CODE.sub(keep, text)))


def _roles(text: str, reader: Reader) -> str:
    def noted(match: re.Match, made: str | None) -> str:
        if made is None or made == match[0]:
            return match[0]
        reader.made.append((made, match[0]))
        return made

    text = _ROLE.sub(lambda match: noted(match, _role(match[1], match[2], reader)), text)
    return _LINK.sub(lambda match: noted(match, _link(match[1], match[2], reader)), text)


def _role(name: str, content: str, reader: Reader) -> str | None:
    """The text of a role; none for one that is not the book's."""
    labels = reader.labels
    explicit = _EXPLICIT.fullmatch(content)
    text, target = (explicit[1], explicit[2]) if explicit else ("", content)
    if name in ("cite:t", "cite:p", "cite"):
        return _cited([key.strip() for key in content.split(",")], labels, in_brackets=name != "cite:t")
    if name == "term":
        return text or target
    if name in ("eq", "numref"):
        known = labels.equations if name == "eq" else labels.figures
        if target not in known:
            return None
        page, number = known[target]
        return reader.page(f"({number})" if name == "eq" else f"Fig. {number}", page)
    if name == "doc":
        docname = target.lstrip("/") if target.startswith("/") else f"{os.path.dirname(reader.docname)}/{target}"
        return reader.page(text or labels.title(docname), docname)
    if name in ("func", "class", "meth", "mod", "attr", "exc", "obj"):
        return _object(text, target, reader)
    return None


def _cited(keys: list[str], labels: Labels, *, in_brackets: bool) -> str:
    entries = []
    for key in keys:
        people, year = labels.authors_and_year(key)
        named = f"{people}, {year}" if in_brackets else f"{people} ({year})"
        address = labels.address(key)
        entries.append(f"[{named}]({address})" if address else named)
    return f"({'; '.join(entries)})" if in_brackets else ", ".join(entries)


def _object(text: str, target: str, reader: Reader) -> str:
    """A function or class as code, with a link to the file that defines it where the reader has it."""
    short = target.rpartition(".")[2] if target.startswith("~") else target
    parts = target.lstrip("~").split(".")
    for length in range(len(parts), 0, -1):
        for file in ("/".join(parts[:length]) + ".py", "/".join(parts[:length]) + "/__init__.py"):
            if reader.has(file):
                return reader.link(f"`{text or short}`", file)
    return f"`{text or short}`"


def _link(text: str, target: str, reader: Reader) -> str | None:
    """A link within the book: to a page's file, or to a named place on it."""
    path = target.partition("#")[0]
    if target in reader.labels.places:
        return reader.page(text, reader.labels.places[target])
    if not path:
        return None
    file = os.path.normpath(os.path.join(os.path.dirname(reader.docname), path)).replace(os.sep, "/")
    if reader.has(file):
        return None
    return text or reader.labels.title(file.rpartition(".")[0])


def _numbered_equations(source: str, reader: Reader) -> str:
    def tagged(match: re.Match) -> str:
        if match[1] not in reader.labels.equations:
            return match[0]
        made = f"\\tag{{{reader.labels.equations[match[1]][1]}}}\n$$"
        reader.made.append((made, match[0]))
        return made

    return _EQUATION.sub(tagged, source)


def _without_directives(source: str, reader: Reader) -> str:
    """Every directive as Markdown that any program shows; what stands outside them as it is."""
    lines = _TARGET.sub("", source).split("\n")
    kept, place = [], 0
    for directive in directives("\n".join(lines)):
        kept += lines[place : directive.lines.start]
        kept += _shown(directive, reader).split("\n")
        place = directive.lines.stop
    return "\n".join(kept + lines[place:]).strip("\n")


def _shown(directive: Directive, reader: Reader) -> str:
    title = directive.argument
    if directive.name == "literalinclude":
        return f"```python\n{_included(directive, reader)}\n```"
    if directive.verbatim:
        return f"```\n{directive.body.strip()}\n```"
    body = _without_directives(directive.body.strip("\n"), reader)
    if directive.name.startswith("solution"):
        return ""
    if directive.name == "dropdown" or "dropdown" in directive.classes:
        return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"
    if directive.name == "exercise":
        return f"**Exercise.** {title}\n\n{body}"
    if "quiz" in directive.classes:
        return f"**{title}**\n\n{body}"
    heading = {"margin": "", "admonition": title}.get(directive.name, title or directive.name.capitalize())
    return "\n".join(f"> {line}".rstrip() for line in [*([f"**{heading}**", ""] if heading else []), *body.split("\n")])


def _included(directive: Directive, reader: Reader) -> str:
    """The lines of a file, or of one definition in it, that the directive shows."""
    import ast

    file = reader.labels.root / os.path.dirname(reader.docname) / directive.argument
    text = file.read_text(encoding="utf-8")
    tree: ast.AST = ast.parse(text)
    for name in filter(None, directive.options.get("pyobject", "").split(".")):
        tree = next(node for node in ast.iter_child_nodes(tree) if getattr(node, "name", None) == name)
    return (ast.get_source_segment(text, tree) if not isinstance(tree, ast.Module) else text).rstrip()
