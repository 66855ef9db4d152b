"""Where the exercises of a chapter are: the one reading of the markup that everything here shares.

An exercise begins at its `{exercise}` directive. Then come, in this order, a hidden hint, one cell
tagged `starter`, the solution between `{solution-start}` and `{solution-end}` with at least one
cell tagged `solution`, and one cell tagged `check`.
"""

import re
from dataclasses import dataclass, field

import nbformat

from tools.course.directives import Directive, find_directives
from tools.notebooks import NotebookError

RATINGS = ("●○○", "●●○", "●●●")
_TERMS = re.compile(r"^\*(\d+) min · objectives? [\d, and–]+\.\*", re.MULTILINE)


@dataclass
class Exercise:
    """One exercise; `parts` holds its code cells in order, each as (tag, position in the notebook)."""

    label: str
    title: str
    rating: str
    minutes: int
    has_hint: bool = False
    solved: bool = False
    parts: list[tuple[str, int]] = field(default_factory=list)

    def positions(self, tag: str) -> list[int]:
        """Where its cells with this tag are."""
        return [position for part, position in self.parts if part == tag]


def find_exercises(notebook: nbformat.NotebookNode) -> list[Exercise]:
    """The exercises of the chapter in their order. Raises NotebookError with every flaw of their form."""
    reader = _Reader()
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            for directive in find_directives(cell.source):
                reader.read_directive(directive)
        elif cell.cell_type == "code":
            reader.read_code(cell, position)
    flaws = reader.finish()
    if flaws:
        raise NotebookError("\n".join(flaws))
    return reader.exercises


class _Reader:
    """Goes through the notebook once and remembers which exercise and which solution is open."""

    def __init__(self) -> None:
        self.exercises: list[Exercise] = []
        self.flaws: list[str] = []
        self.open_solution = ""

    def read_directive(self, directive: Directive) -> None:
        if directive.name == "exercise":
            self._begin(directive)
        elif directive.name == "solution-start":
            self._begin_solution(directive.argument.strip())
        elif directive.name == "solution-end":
            if not self.open_solution:
                self.flaws.append("{solution-end} without {solution-start}")
            self.open_solution = ""
        elif directive.name == "admonition" and directive.argument.strip() == "Hint" and self.exercises:
            self.exercises[-1].has_hint |= directive.option("class") == "dropdown"

    def _begin(self, directive: Directive) -> None:
        title, _, rating = directive.argument.strip().rpartition(" ")
        label = directive.option("label")
        terms = _TERMS.search(directive.body)
        self.exercises.append(Exercise(label, title.strip(), rating, int(terms[1]) if terms else 0))
        name = label or f"exercise `{directive.argument}`"
        if self.open_solution:
            self.flaws.append(f"{name}: begins inside the solution of {self.open_solution}")
        if not label:
            self.flaws.append(f"{name}: has no label")
        if rating not in RATINGS:
            self.flaws.append(f"{name}: the title must end with a rating, one of {' '.join(RATINGS)}")
        if not terms:
            self.flaws.append(f"{name}: must say `*5 min · objective 2.*`")

    def _begin_solution(self, label: str) -> None:
        current = self.exercises[-1].label if self.exercises else None
        if label != current:
            self.flaws.append(f"{{solution-start}} {label}: the exercise at this place is {current}")
        else:
            self.exercises[-1].solved = True
        if self.open_solution:
            self.flaws.append(f"{self.open_solution}: {{solution-end}} is missing")
        self.open_solution = label or "?"

    def read_code(self, cell: nbformat.NotebookNode, position: int) -> None:
        tags = [tag for tag in cell.metadata.get("tags", []) if tag in ("starter", "solution", "check")]
        where = self.exercises[-1].label if self.exercises else "before the first exercise"
        if len(tags) > 1:
            self.flaws.append(f"{where}: one cell is tagged {' and '.join(tags)}")
        if self.open_solution and tags != ["solution"]:
            self.flaws.append(f"{where}: a cell between solution-start and solution-end is not tagged `solution`")
        if not self.open_solution and "solution" in tags:
            self.flaws.append(f"{where}: a cell tagged `solution` stands outside solution-start and solution-end")
        if tags and self.exercises:
            self.exercises[-1].parts.append((tags[0], position))
        elif tags:
            self.flaws.append(f"{where}: a cell is tagged {tags[0]}")

    def finish(self) -> list[str]:
        if self.open_solution:
            self.flaws.append(f"{self.open_solution}: {{solution-end}} is missing")
        labels = [exercise.label for exercise in self.exercises]
        self.flaws += [
            f"{label}: two exercises have this label" for label in sorted({*labels}) if labels.count(label) > 1
        ]
        for exercise in self.exercises:
            shape = [tag for tag, _ in exercise.parts]
            if shape != ["starter"] + ["solution"] * max(1, len(shape) - 2) + ["check"]:
                listed = ", ".join(shape) or "no cells"
                self.flaws.append(f"{exercise.label}: needs one starter, its solution, one check; has {listed}")
            if not exercise.has_hint:
                self.flaws.append(f"{exercise.label}: has no hidden hint (an admonition `Hint` of class dropdown)")
        return self.flaws
