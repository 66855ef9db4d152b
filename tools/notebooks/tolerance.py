"""When a fresh output says the same as the stored one: its words exactly, its numbers as the cell declares.

Training ends elsewhere on another processor, so a cell may declare how far its numbers may move:
`"book": {"tolerance": {"absolute": 0.02, "concludes": 0.1, "reason": "a trained network"}}`, or `relative` in place of
`absolute`. `concludes` is the smallest difference, in the same unit, from which the text concludes anything.
"""

import math
import re
from dataclasses import dataclass

import nbformat

_WIDEST = 1 / 4  # of what the text concludes from
_KEYS = {"absolute", "relative", "concludes", "reason"}
_NUMBER = re.compile(
    r"(?<![\w.])(?:(?<![)\]])[-+−])?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d*)?(?:e[-+]?\d+)?(?![\d.]*\.\d)"
)
_LAYOUT = [(r"[ \t]*#[ \t]*", "#"), (r"[ \t]+", " "), (r"([-=_─═])\1+", r"\1")]  # as wide as the widest number


@dataclass(frozen=True)
class Tolerance:
    """How far a number may lie from the stored one: `amount`, of the stored number itself when `relative`."""

    amount: float = 0.0
    relative: bool = False

    def allows(self, stored: float, fresh: float) -> bool:
        """Whether `fresh` may stand for `stored`. A changed sign is never a small difference."""
        if stored == fresh:
            return True
        if stored * fresh < 0:
            return False
        largest = self.amount * (abs(stored) if self.relative else 1.0)
        return abs(stored - fresh) <= largest * (1 + 1e-9) + 1e-12 * abs(stored)  # 0.52 − 0.5 is a little above 0.02

    def __str__(self) -> str:
        return f"± {100 * self.amount:g} %" if self.relative else f"± {self.amount:g}"


EXACT = Tolerance()


def tolerance(cell: nbformat.NotebookNode) -> Tolerance:
    """What the cell declares; EXACT when it declares nothing.

    Raises ValueError for a declaration without a reason, of an unknown form, or wider than a quarter of what is concluded.
    """
    declared = cell.metadata.get("book", {}).get("tolerance")
    if declared is None:
        return EXACT
    check_declaration("book.tolerance", declared, _KEYS)
    kinds = sorted({"absolute", "relative"} & set(declared))
    if len(kinds) != 1:
        raise ValueError(
            f"book.tolerance: needs either `absolute` or `relative`, has {' and '.join(kinds) or 'neither'}"
        )
    amount = check_number(f"book.tolerance: {kinds[0]}", declared[kinds[0]])
    concludes = check_number("book.tolerance: concludes", declared.get("concludes"))
    if amount > _WIDEST * concludes * (1 + 1e-9):
        raise ValueError(
            f"book.tolerance: {kinds[0]} {amount:g} is wider than a quarter of {concludes:g}, from which the text concludes"
        )
    return Tolerance(amount, relative=kinds == ["relative"])


def check_declaration(name: str, declared: object, keys: set[str]) -> str:
    """The reason that a declaration in a cell's metadata gives. Raises ValueError when there is none, or for a key beside `keys`."""
    if not isinstance(declared, dict):
        raise ValueError(f"{name}: must be a mapping with {', '.join(sorted(keys))}, is {declared!r}")
    unknown = sorted(set(declared) - keys)
    if unknown:
        raise ValueError(f"{name}: does not know {', '.join(unknown)}; known are {', '.join(sorted(keys))}")
    reason = declared.get("reason")
    if not isinstance(reason, str) or not reason.strip():
        raise ValueError(f"{name}: needs a `reason`")
    return reason


def check_number(name: str, value: object) -> float:
    """The value. Raises ValueError unless it is a finite number above zero."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        raise ValueError(f"{name}: must be a number above zero, is {value!r}")
    return value


def difference(stored: str, fresh: str, within: Tolerance = EXACT) -> str:
    """How one text differs from another; empty when the words are the same and every number lies within the tolerance."""
    if stored == fresh:
        return ""
    if within == EXACT:
        return "the texts differ, and the cell declares no tolerance"
    if words(stored) != words(fresh):
        return "the words differ"
    before, after = numbers(stored), numbers(fresh)  # as many: the words hold a place for each
    outside = [(x, y) for x, y in zip(before, after, strict=True) if not within.allows(value(x), value(y))]
    return "; ".join(f"{x} is stored, {y} was computed, {within} is allowed" for x, y in outside)


def words(text: str) -> str:
    """The text with a mark in place of each number, and without the blanks and rules that only align columns."""
    text = _NUMBER.sub("#", text)
    for pattern, replacement in _LAYOUT:
        text = re.sub(pattern, replacement, text)
    return text


def numbers(text: str) -> list[str]:
    """The numbers in the text as they are written: 12, 1,024, −0.5, 3.1e-05, but not the 2 in conv2."""
    return [found[0] for found in _NUMBER.finditer(text)]


def value(written: str) -> float:
    """The number that is written so."""
    return float(written.replace(",", "").replace("−", "-"))
