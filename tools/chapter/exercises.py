"""The exercises of a chapter.

An exercise begins at its `{exercise}` directive. Then come, in this order, a hidden hint, one cell tagged `starter`, the
solution between `{solution-start}` and `{solution-end}` with at least one cell tagged `solution`, and one cell tagged `check`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tools.chapter.markup import Directive
from tools.chapter.model import Cell, Chapter

RATINGS = {"●○○": 1, "●●○": 2, "●●●": 3}
_TERMS = re.compile(r"\*(\d+) min · objectives? (\d+(?:(?:, | and )\d+)*)\.\*")
_PARTS = ("starter", "solution", "check")


@dataclass
class Exercise:
    """One exercise; `parts` holds hint and code cells in order, each as (part, position in the notebook, from 0)."""

    label: str
    title: str
    rating: str
    minutes: int
    objectives: tuple[int, ...]
    cell: int
    parts: list[tuple[str, int]] = field(default_factory=list)

    def positions(self, part: str) -> list[int]:
        """Where its cells of this kind are."""
        return [position for name, position in self.parts if name == part]

    @classmethod
    def begun_by(cls, directive: Directive, cell: int) -> "Exercise":
        title, _, rating = directive.argument.rpartition(" ")
        terms = _TERMS.match(directive.body.strip())
        minutes, objectives = (int(terms[1]), re.findall(r"\d+", terms[2])) if terms else (0, ())
        named = (title, rating) if rating in RATINGS else (directive.argument, "")
        return cls(directive.options.get("label", ""), *named, minutes, tuple(map(int, objectives)), cell)


def exercises(chapter: Chapter) -> list[Exercise]:
    """The exercises of a chapter, in reading order."""
    return _Reader(chapter).exercises


def problems(chapter: Chapter) -> Iterator[str]:
    """What is wrong with a chapter's exercises, one sentence for each fault."""
    reader = _Reader(chapter)
    yield from reader.faults
    labels = [exercise.label for exercise in reader.exercises]
    yield from (f"two exercises have the label {label}" for label in sorted({*labels}) if labels.count(label) > 1)
    for exercise in reader.exercises:
        where = f"cell {exercise.cell}, exercise {exercise.title!r}:"
        if not exercise.rating:
            yield f"{where} the title must end with a rating, one of {' '.join(RATINGS)}"
        if not exercise.label.startswith("ex-"):
            yield f"{where} needs a label that begins with ex-, got {exercise.label!r}"
        if not exercise.objectives:
            yield f"{where} must begin with its terms, as in *5 min · objective 2.*"
        for number in exercise.objectives:
            if not 1 <= number <= chapter.objectives:
                yield f"{where} names objective {number}; the chapter has {chapter.objectives}"
        has = [part for part, _ in exercise.parts]
        if has != ["hint", "starter", *["solution"] * max(1, has.count("solution")), "check"]:
            yield f"{where} needs a hidden hint, one starter, its solution, one check; has {', '.join(has) or 'nothing'}"


class _Reader:
    """Goes through the chapter once and remembers which exercise and which solution is open."""

    def __init__(self, chapter: Chapter) -> None:
        self.exercises: list[Exercise] = []
        self.faults: list[str] = []
        self.solution = ""  # the label of the one that is open
        for cell in chapter.cells:
            if cell.is_code:
                self._read_code(cell)
            for directive in cell.directives():
                self._read_directive(directive, cell)
        self._expect_no_solution(f"the chapter ends inside the solution of {self.solution}")

    def _read_directive(self, directive: Directive, cell: Cell) -> None:
        where = f"cell {cell.number}:"
        if directive.name == "exercise":
            self._expect_no_solution(f"{where} an exercise begins inside the solution of {self.solution}")
            self.exercises.append(Exercise.begun_by(directive, cell.number))
        elif directive.name == "solution-start":
            self._expect_no_solution(f"{where} a solution begins inside the solution of {self.solution}")
            current = self.exercises[-1].label if self.exercises else None
            if directive.argument != current:
                self.faults.append(
                    f"{where} the solution is for {directive.argument!r}, the exercise here is {current!r}"
                )
            if "dropdown" not in directive.classes:
                self.faults.append(f"{where} solution-start needs `:class: dropdown`, which hides it")
            self.solution = directive.argument or "?"
        elif directive.name == "solution-end":
            if not self.solution:
                self.faults.append(f"{where} solution-end without solution-start")
            self.solution = ""
        elif self.exercises and directive.argument == "Hint" and "dropdown" in directive.classes:
            self.exercises[-1].parts.append(("hint", cell.number - 1))

    def _read_code(self, cell: Cell) -> None:
        parts = [tag for tag in cell.tags if tag in _PARTS]
        where = f"cell {cell.number}:"
        if len(parts) > 1:
            self.faults.append(f"{where} one cell is tagged {' and '.join(parts)}")
        if self.solution and parts != ["solution"]:
            self.faults.append(f"{where} a cell between solution-start and solution-end is not tagged `solution`")
        if not self.solution and "solution" in parts:
            self.faults.append(f"{where} a cell tagged `solution` stands outside solution-start and solution-end")
        if parts and not self.exercises:
            self.faults.append(f"{where} a cell before the first exercise is tagged {parts[0]}")
        elif parts:
            self.exercises[-1].parts.append((parts[0], cell.number - 1))

    def _expect_no_solution(self, fault: str) -> None:
        if self.solution:
            self.faults.append(f"{fault}; solution-end is missing")
        self.solution = ""
