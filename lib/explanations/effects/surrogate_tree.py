"""A small tree that imitates a model, so that it can be read; how well it imitates has to be measured."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lib.core.targets import Target
from lib.core.validation import check_finite, check_positive_int
from lib.explanations.calls import explaining

from .columns import check_table
from .rules import in_words

__all__ = ["SurrogateTree", "fidelity", "surrogate_tree"]


@dataclass(frozen=True)
class SurrogateTree:
    """A node of a tree with all that hangs below it; called with a table, it answers as a model of one column does.

    ``value`` is the mean score (units: score) of the ``rows`` examples that the tree was fitted to and that came here.
    A node asks whether ``feature`` is at most ``threshold``: those go ``below``, the others ``above``. A leaf asks nothing.
    """

    value: float
    rows: int
    feature: int | None = None
    threshold: float | None = None
    below: "SurrogateTree | None" = None
    above: "SurrogateTree | None" = None

    def __call__(self, inputs: Float[Tensor, "batch features"]) -> Float[Tensor, "batch 1"]:
        if self.feature is None:
            return inputs.new_full((len(inputs), 1), self.value)
        goes_below = inputs[:, self.feature, None].double() <= self.threshold
        return torch.where(goes_below, self.below(inputs), self.above(inputs))

    def leaves(self) -> int:
        """How many different answers the tree has room for."""
        return 1 if self.feature is None else self.below.leaves() + self.above.leaves()

    def rules(self, names: Sequence[str], *, digits: int = 2) -> list[str]:
        """One line a leaf: its conditions, its value, and its share of the examples; conditions on one feature joined.

        >>> tree = surrogate_tree(lambda x: x, torch.tensor([[0.0], [1.0], [5.0], [6.0]]), 0, leaves=2)
        >>> tree.rules(["age"], digits=1)
        ['age ≤ 3: 0.5 (50 %)', 'age > 3: 5.5 (50 %)']
        """
        return [
            f"{in_words(limits, names)}: {leaf.value:.{digits}f} ({100 * leaf.rows / self.rows:.0f} %)"
            for limits, leaf in self._paths({})
        ]

    def _paths(self, limits: dict) -> "Iterator[tuple[dict, SurrogateTree]]":
        """For each leaf, from below upwards: between which limits each feature lies there."""
        if self.feature is None:
            yield limits, self
            return
        low, high = limits.get(self.feature, (-math.inf, math.inf))
        yield from self.below._paths(limits | {self.feature: (low, self.threshold)})
        yield from self.above._paths(limits | {self.feature: (self.threshold, high)})


def surrogate_tree(
    model: Callable,
    inputs: Float[Tensor, "batch features"],
    target: Target,
    *,
    leaves: int = 6,
    smallest: int = 1,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> SurrogateTree:
    """Fit a regression tree to the model's scores; the labels are not seen. Breiman et al. 1984, chapter 8.

    Equation: eq-surrogate-split. From one leaf on, the split that lowers the sum of squared errors most is made, wherever it
    stands, until there are ``leaves`` of them, or none with ``smallest`` examples on each side lowers it. Thresholds lie
    midway between neighbours; of equal splits the first column's lowest is taken. Values in the score's unit.

    >>> surrogate_tree(lambda x: x**2, torch.tensor([[0.0], [1.0], [4.0]]), 0, leaves=2).threshold
    2.5

    Raises:
        TypeError: inputs that are not floating point, a target that is no class index, leaves that are no int.
        ValueError: inputs that are no table, no leaf, more leaves than examples.
    """
    check_table(inputs)
    check_positive_int("leaves", leaves)
    check_positive_int("smallest", smallest)
    if leaves > len(inputs):
        raise ValueError(f"leaves must be at most the {len(inputs)} examples, got {leaves}")
    with explaining(model, inputs, target, arguments=arguments, chunk_size=chunk_size) as score:
        scores, table = score.at(score.inputs).double(), score.inputs.double()
    # What rounding leaves of a constant score is not worth a split.
    least = 1e-28 * scores.square().sum().item()
    root = _Node(table, scores, torch.arange(len(table), device=table.device), smallest)
    open_ = [root]
    while len(open_) < leaves:
        node = max(open_, key=lambda leaf: leaf.gain)
        if node.gain <= least:
            break
        open_.remove(node)
        open_ += node.split()
    return root.frozen()


def fidelity(
    model: Callable,
    surrogate: Callable,
    inputs: Float[Tensor, "batch features"],
    target: Target,
    *,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> float:
    """Share of the variance of the model's scores that a surrogate of one column reproduces: 1 at best, below 0 if worse than the mean.

    Equation: eq-fidelity. On rows that the surrogate was not fitted to, or it flatters. It says how well the model is imitated,
    and nothing about the labels.

    >>> x = torch.tensor([[0.0], [1.0], [2.0]])
    >>> fidelity(lambda x: x**2, lambda x: 2 * x, x, 0)
    0.8846153846153846

    Raises:
        TypeError: inputs that are not floating point, a target that is no class index, a surrogate that cannot be called.
        ValueError: a model whose scores are all equal, answers of another shape than one column.
    """
    check_table(inputs)
    if not callable(surrogate):
        raise TypeError(f"surrogate must be a callable, got {type(surrogate).__name__}")
    with explaining(model, inputs, target, arguments=arguments, chunk_size=chunk_size) as score:
        scores = score.at(score.inputs).double()
    answers = surrogate(inputs.detach().clone())
    shape = tuple(answers.shape) if isinstance(answers, Tensor) else type(answers).__name__
    if shape != (len(inputs), 1):
        raise ValueError(f"surrogate must return one column of {len(inputs)} rows, got {shape}")
    check_finite("the surrogate's answers", answers)
    spread = (scores - scores.mean()).square().sum().item()
    if spread == 0:
        raise ValueError(f"the model's scores must differ to be imitated, got {scores[0].item()} for all")
    return 1 - (scores - answers[:, 0].double()).square().sum().item() / spread


class _Node:
    """A leaf that may still be split, with its best question."""

    def __init__(self, table: Tensor, scores: Tensor, rows: Tensor, smallest: int) -> None:
        self.table, self.scores, self.rows, self.smallest = table, scores, rows, smallest
        self.value = scores[rows].mean().item()
        self.below = self.above = None
        self.gain, self.feature, self.threshold = _best_split(table[rows], scores[rows] - self.value, smallest)

    def split(self) -> "tuple[_Node, _Node]":
        goes_below = self.table[self.rows, self.feature] <= self.threshold
        self.below, self.above = (
            _Node(self.table, self.scores, self.rows[part], self.smallest) for part in (goes_below, ~goes_below)
        )
        return self.below, self.above

    def frozen(self) -> SurrogateTree:
        if self.below is None:
            return SurrogateTree(self.value, len(self.rows))
        question = self.feature, self.threshold
        return SurrogateTree(self.value, len(self.rows), *question, self.below.frozen(), self.above.frozen())


def _best_split(
    table: Float[Tensor, "rows features"], centred: Float[Tensor, " rows"], smallest: int
) -> tuple[float, int, float]:
    """Gain, feature and threshold of the split that lowers the squared error most; a gain of −1 if none is allowed.

    ``n_below · n_above / n · (mean_below − mean_above)²``; with centred scores the sum above is that below, negated.
    """
    rows = len(table)
    if rows < 2 * smallest:
        return -1.0, 0, 0.0
    values, order = table.sort(dim=0, stable=True)
    below = torch.arange(1, rows, device=table.device, dtype=table.dtype)[:, None]
    gains = centred[order].cumsum(dim=0)[:-1].square() * rows / (below * (rows - below))
    gains[values[1:] == values[:-1]] = -1.0  # no threshold lies between equal values
    gains[(below < smallest).squeeze(1) | (rows - below < smallest).squeeze(1)] = -1.0
    best = gains.T.flatten().argmax().item()  # of equal ones the first: column by column, from below
    feature, place = divmod(best, rows - 1)
    low, high = values[place, feature].item(), values[place + 1, feature].item()
    middle = low / 2 + high / 2
    return gains[place, feature].item(), feature, middle if middle < high else low
