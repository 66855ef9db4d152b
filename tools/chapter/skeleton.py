"""python -m tools.chapter.skeleton chapters/code/attention.ipynb: what a new chapter begins with, and what of it still stands."""

import argparse
import re
import sys
from pathlib import Path

from tools.chapter.model import Chapter
from tools.notebooks.files import ROOT

ON_CARD = "What the chapter shows."  # on its part's index page, until somebody says it
_TEXT = Path(__file__).with_name("skeleton.md")
_TELLING = 24  # characters; a shorter line may stand in any chapter
_QUESTION = """\
`````{{admonition}} Question {number}
:class: quiz

*Objective {objective}.* What does the mean of a list minimise?

````{{dropdown}} A. The sum of squared distances to the values
**Right.** Its derivative is zero there.
````
````{{dropdown}} B. The sum of distances to the values
**No.** That is what the median minimises.
````
`````
"""


def skeleton(track: str, title: str, slug: str) -> str:
    """The text of a new chapter: its form is right throughout, its words are to be written over."""
    text = _TEXT.read_text(encoding="utf-8")
    questions = (_QUESTION.format(number=number, objective=(number - 1) % 3 + 1) for number in range(1, 5))
    filled = text.replace("TRACK", track).replace("TITLE", title).replace("SLUG", slug)
    return filled.replace("QUIZ", "\n".join(questions))


def left_over(chapter: Chapter, root: Path = ROOT) -> list[str]:
    """The lines of the skeleton that still stand in a chapter, and on its card."""
    whole = Chapter.from_markdown("skeleton", skeleton("TRACK", "TITLE", "SLUG"))
    given = {line for line in _lines(whole) if len(line) >= _TELLING and not re.search("TITLE|SLUG", line)}
    return sorted({*_lines(chapter)} & given) + _on_card(chapter, root)


def _lines(chapter: Chapter) -> list[str]:
    lines = [line.strip() for cell in chapter.markdown for line in cell.source.splitlines()]
    return [line for line in lines if not line.startswith(("#", "`"))]  # headings and fences are alike in all chapters


def _on_card(chapter: Chapter, root: Path) -> list[str]:
    index = root / f"{chapter.docname.rpartition('/')[0]}/index.md"
    text = index.read_text(encoding="utf-8") if index.is_file() else ""
    card = text.partition(f":link: /{chapter.docname}\n")[2].partition(":::")[0]
    return [f"{ON_CARD} (on its card in {index.relative_to(root)})"] if ON_CARD in card else []


def main(arguments: list[str] | None = None) -> int:
    """Say what is still to be written; that is no fault while a chapter is being written, and `make test` refuses it."""
    parser = argparse.ArgumentParser(prog="python -m tools.chapter.skeleton", description=__doc__)
    parser.add_argument("chapter", type=Path)
    left = left_over(Chapter.read(parser.parse_args(arguments).chapter.absolute(), ROOT), ROOT)
    if left:
        print("== Still the skeleton's words, which `make test` refuses", *left, sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
