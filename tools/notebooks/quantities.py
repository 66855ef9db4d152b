"""Numbers as a text writes them: their value, how exactly they are written, and their unit of scale."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

_SCALES = {
    "%": 1e-2, "percent": 1e-2, "per cent": 1e-2, "percentage points": 1e-2, "points": 1e-2, "point": 1e-2,
    "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12, "k": 1e3, "M": 1e6, "B": 1e9,
    "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
    "milliseconds": 1e-3, "ms": 1e-3, "microseconds": 1e-6, "µs": 1e-6,
}  # fmt: skip
_SCALE = "|".join(sorted(_SCALES, key=len, reverse=True))
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_SUPERSCRIPT = r"[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+"
_PLAIN_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_QUANTITY = re.compile(
    rf"""
    (?<![\w.]) (?<!\d,)                         # not within a name, a version, a longer number
    (?P<digits>{_DIGITS})
    (?:\ ?[·×]\ ?10(?P<ten>{_SUPERSCRIPT}) | (?P<power>{_SUPERSCRIPT}))?
    (?:st|nd|rd|th|(?P<suffix>[kMB]))?
    (?!\w|\.\d|-\w?\d)
    """,
    re.VERBOSE,
)
# In "5 to 10 %" and "4, 8 and 24 million" the unit is the first number's too.
_UNIT = re.compile(rf"(?:\s?(?:–|to|and|or|by|,|±|\+)+\s?{_DIGITS})*[\s-]?(?P<unit>{_SCALE})(?!\w)")
_NUMBERED_THING = r"(?:sections?|chapters?|equations?|tables?|figures?|theorems?|algorithms?|pages?|version|questions?|exercises?|objectives?|§)"
_NO_QUANTITY = re.compile(
    rf"""
    ^\d+\ min\ ·\ objectives?\ [\d, and]+\.                # the head of an exercise
    | (?<![\d,.])0\d\d(?:-C?\d\d)?\b                         # a source document or an erratum: 003, 003-17
    | {_NUMBERED_THING}\s*\d[\d.]*(?:(?:,\s|\sand\s|–)\d[\d.]*)*
    | \b(?:19\d\d|20[0-2]\d)s?\b(?!,\d)                      # a year; a quantity of four digits has a comma
    | (?-i:\b\w*[A-Z]\w*-\d[\w.]*) | \b\d-D\b              # a name with a number: LeNet-5
    | ["“'‘]\d+["”'’]                                       # a word that is written in digits: a "4"
    | https?://\S+
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PRODUCT = re.compile(rf"{_DIGITS}(?:\s?×\s?{_DIGITS})+")
_SHOWN = re.compile(rf"(?<![\w.])(?P<digits>{_DIGITS}(?:e[+-]?\d+)?)(?:\s?(?P<unit>{_SCALE})(?!\w))?")


@dataclass(frozen=True)
class Number:
    """A number in running text: its value times `scale` is meant, `step` is one in its last place.

    `repeats` is what must stand elsewhere for this to be a repetition: the value, or the product it is part of.
    """

    text: str
    value: float
    step: float
    scale: float
    repeats: str
    start: int
    end: int

    def fits(self, value: float) -> bool:
        """Whether `value` is this number to the digits written, with its unit of scale or without."""
        return any(self._is(value, scale) for scale in {1.0, self.scale})

    def _is(self, value: float, scale: float) -> bool:
        written, half = self.value * scale, self.step * scale / 2
        if math.isclose(value, written, rel_tol=1e-9):
            return True
        is_count = self.step == 1 and self.scale == 1
        is_rounded = not is_count and (self.step < 1 or self.value >= 10 or self.scale > 1)  # 5 % is no 4.6 %
        return is_rounded and written - half <= value < written + half


def numbers(text: str) -> Iterator[Number]:
    """The quantities in running text."""
    text = _NO_QUANTITY.sub(lambda found: " " * len(found[0]), text)
    products = [(found.start(), found.end(), found[0].replace(" ", "")) for found in _PRODUCT.finditer(text)]
    for found in _QUANTITY.finditer(text):
        digits = found["digits"].replace(",", "")
        value, step = float(digits), 10.0 ** -len(digits.partition(".")[2])
        if found["ten"]:
            factor = 10.0 ** int(found["ten"].translate(_PLAIN_DIGITS))
            value, step = value * factor, step * factor
        elif found["power"]:
            value, step = _power(value, int(found["power"].translate(_PLAIN_DIGITS))), 0.0
        unit = _UNIT.match(text, found.end())
        scale = _SCALES[found["suffix"] or unit["unit"]] if found["suffix"] or unit else 1.0
        repeats = f"{value * scale:.12g}" if value >= 10 or step < 1 else ""
        repeats = next((product for start, end, product in products if start <= found.start() < end), repeats)
        yield Number(found[0], value, step, scale, repeats, *found.span())


def _power(value: float, exponent: int) -> float:
    try:
        return value**exponent
    except ArithmeticError:
        return math.inf  # which no code holds


def shown_values(output: str) -> set[float]:
    """All numbers in the text of an output, each also scaled by its unit."""
    values = set()
    for found in _SHOWN.finditer(output):
        value = float(found["digits"].replace(",", ""))
        values |= {value, value * _SCALES.get(found["unit"], 1.0)}
    return values
