"""python -m tools.chinese_font NotoSerifCJK-Regular.ttc: the few hundred Chinese characters of the book as a font of its own.

Not every reader's machine has Chinese letters. The font is made anew when a page uses a character that it lacks (a test
tells); Noto Serif CJK comes with most systems (Debian: fonts-noto-cjk) and is under the licence in `_static/fonts/OFL.txt`.
"""

import re
import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTCollection, TTFont

ROOT = Path(__file__).resolve().parents[1]
FONT = ROOT / "_static" / "fonts" / "noto-serif-sc-book.woff"
CHINESE = re.compile("[\u2e80-\u9fff\uff00-\uffef]")
SHOWN = (
    "*.md",
    "chapters/**/*.md",
    "chapters/**/*.ipynb",
    "reference/**/*.*",
    "lib/**/*.py",
    "_ext/*.py",
    "_templates/*",
)


def used(root: Path = ROOT) -> set[str]:
    """The Chinese characters in everything that a page can show."""
    files = (path for pattern in SHOWN for path in root.glob(pattern) if path.is_file() and ".ipynb_" not in str(path))
    return {letter for file in files for letter in CHINESE.findall(file.read_text(encoding="utf-8"))}


def held(font: Path = FONT) -> set[str]:
    """The characters that the font has."""
    with TTFont(font) as opened:
        return set(map(chr, opened.getBestCmap()))


def simplified(source: Path) -> TTFont:
    """The font; of a collection the member with the forms of simplified Chinese."""
    if source.suffix != ".ttc":
        return TTFont(source)
    return next(font for font in TTCollection(source) if font["name"].getDebugName(1).endswith("CJK SC"))


def make(source: Path, font: Path = FONT) -> None:
    """Write the font with the characters that the book uses, cut out of a larger one."""
    larger = simplified(source)
    cut = subset.Subsetter(
        subset.Options(layout_features=[], hinting=False, name_IDs=[0, 1, 2, 13, 14], notdef_outline=True)
    )
    cut.populate(text="".join(used()))
    cut.subset(larger)
    larger.flavor = "woff"
    larger.save(font)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
