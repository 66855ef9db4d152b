"""The directives at the top level of a piece of MyST text, and where they stand in it."""

import re
from dataclasses import dataclass

_OPENING = re.compile(r"(?P<fence>`{3,}|:{3,})(?:\{(?P<name>[\w-]+)\})? *(?P<argument>.*)")


@dataclass(frozen=True)
class Directive:
    """```{name} argument … ```: the lines `first` to `last`, both of them fences."""

    name: str
    argument: str
    body: str
    first: int
    last: int

    def option(self, key: str) -> str:
        """The value of `:key: value`, empty when it is not given."""
        match = re.search(rf"^:{key}: *(.*?) *$", self.body, re.MULTILINE)
        return match[1] if match else ""


def find_directives(text: str) -> list[Directive]:
    """Every fenced block of the text in order; what is fenced inside a block belongs to its body."""
    lines = text.split("\n")
    found, number = [], 0
    while number < len(lines):
        opening = _OPENING.fullmatch(lines[number].rstrip())
        if opening:
            last = _closing(lines, number, opening["fence"])
            body = "\n".join(lines[number + 1 : last])
            found.append(Directive(opening["name"] or "", opening["argument"], body, number, last))
            number = last
        number += 1
    return found


def _closing(lines: list[str], opening: int, fence: str) -> int:
    for number in range(opening + 1, len(lines)):
        line = lines[number].strip()
        if len(line) >= len(fence) and line == fence[0] * len(line):
            return number
    return len(lines) - 1
