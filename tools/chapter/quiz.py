"""The self-check questions of a chapter: an `{admonition}` of class `quiz` a question, a `{dropdown}` an option."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tools.chapter.markup import Directive
from tools.chapter.model import Cell, Chapter

RIGHT, WRONG = "**Right.**", "**No.**"
COUNTS = {"one": 1, "two": 2, "three": 3}
_OBJECTIVE = re.compile(r"\*Objectives? (\d+(?:(?:, | and )\d+)*)\.\*")
_CHOOSE = re.compile(r"\(Choose (\w+)\.\)")


@dataclass(frozen=True)
class Option:
    """One answer on offer, and what the reader is told who chooses it."""

    title: str
    explanation: str

    @property
    def right(self) -> bool:
        return self.explanation.startswith(RIGHT)


@dataclass(frozen=True)
class Question:
    """One question with its options; ``keys`` is how many of them it says are right."""

    cell: int
    title: str
    text: str
    options: tuple[Option, ...]

    @property
    def objectives(self) -> list[int]:
        named = _OBJECTIVE.match(self.text)
        return [int(number) for number in re.findall(r"\d+", named[1])] if named else []

    @property
    def keys(self) -> int:
        said = _CHOOSE.search(self.text)
        return COUNTS.get(said[1], 0) if said else 1


def questions(chapter: Chapter) -> list[Question]:
    """The quiz of a chapter, in reading order."""
    return [
        _question(cell, block)
        for cell, block in chapter.directives()
        if block.name == "admonition" and "quiz" in block.classes
    ]


def _question(cell: Cell, block: Directive) -> Question:
    options = tuple(Option(inner.argument, inner.body.strip()) for inner in block.inner() if inner.name == "dropdown")
    return Question(cell.number, block.argument, block.body.strip(), options)


def problems(chapter: Chapter) -> Iterator[str]:
    """What is wrong with a chapter's quiz, one sentence for each fault."""
    for question in questions(chapter):
        where = f"cell {question.cell}, {question.title or 'a question without a title'}:"
        if not question.objectives:
            yield f"{where} must begin with its objective, as in *Objective 2.*"
        for number in question.objectives:
            if not 1 <= number <= chapter.objectives:
                yield f"{where} names objective {number}; the chapter has {chapter.objectives}"
        if question.text.count("{dropdown}") != len(question.options):
            yield f"{where} holds a dropdown that cannot be read; between backtick fences a title must not contain a backtick"
        if len(question.options) < 2:
            yield f"{where} needs at least two options in dropdowns, got {len(question.options)}"
        for index, option in enumerate(question.options):
            letter = chr(ord("A") + index)
            if not re.match(rf"{letter}\. \S", option.title):
                yield f"{where} option {index + 1} must be titled {letter!r} and a dot, got {option.title!r}"
            if not option.explanation.startswith((RIGHT, WRONG)):
                yield f"{where} option {letter} must begin with {RIGHT} or {WRONG}"
            elif len(option.explanation.removeprefix(RIGHT).removeprefix(WRONG).split()) < 3:
                yield f"{where} option {letter} does not explain itself"
        right = sum(option.right for option in question.options)
        if right != question.keys:
            yield f"{where} has {right} right options and asks for {question.keys}; say (Choose two.) where two are right"
