"""A tree of questions, drawn: what each node asks, what each leaf answers, and how many come there."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.core.boundary import checked

from .style import WIDTH

__all__ = ["show_tree"]

_MOST_LEAVES = 8  # beyond these the letters run into each other
_LEVEL = 0.85  # inches from a question to the next


@runtime_checkable
class Tree(Protocol):
    """What is drawn: a node with its value and its rows; unless it is a leaf, a feature, a threshold and two nodes."""

    value: float
    rows: int
    feature: int | None
    threshold: float | None
    below: "Tree | None"
    above: "Tree | None"


@checked
def show_tree(
    tree: Tree,
    names: Sequence[str],
    *,
    limits: tuple[float, float],
    question: Callable[[str, float], str] = lambda name, threshold: f"{name}\n≤ {threshold:.3g}?",
    digits: int = 2,
) -> Figure:
    """Draw the root at the top; "yes" leads to the left. A leaf shows its value above its share of the root's rows.

    The higher a value, the darker its leaf; ``limits`` are the values at the two ends of the scale. ``question`` puts a
    feature's name and a threshold into words.

    Raises:
        ValueError: a tree of one leaf or of more than eight, fewer names than features, limits that do not increase.
    """
    leaves = sum(node.feature is None for node, _ in _nodes(tree))
    if not 2 <= leaves <= _MOST_LEAVES:
        raise ValueError(f"tree must have 2 to {_MOST_LEAVES} leaves to be drawn, got {leaves}")
    features = {node.feature for node, _ in _nodes(tree)} - {None}
    if len(names) <= max(features):
        raise ValueError(f"names must name feature {max(features)} too, got {len(names)} of them: {list(names)}")
    low, high = limits
    if not low < high:
        raise ValueError(f"limits must increase, got {limits}")
    depth = max(level for _, level in _nodes(tree))
    figure, axis = plt.subplots(figsize=(WIDTH, _LEVEL * (depth + 0.75)))
    # Pale enough at its dark end for black letters.
    shade = lambda value: mpl.colormaps["Blues"](0.05 + 0.55 * min(max((value - low) / (high - low), 0), 1))  # noqa: E731
    places = iter(range(leaves))

    def draw(node: Tree, level: int) -> float:
        """The node and all below it; where it stands, in leaves from the left."""
        if node.feature is None:
            x = next(places)
            words, colour, edge = (
                f"{node.value:.{digits}f}\n{100 * node.rows / tree.rows:.0f} %",
                shade(node.value),
                "0.4",
            )
        else:
            sides = draw(node.below, level + 1), draw(node.above, level + 1)
            x = sum(sides) / 2
            words, colour, edge = question(names[node.feature], node.threshold), "white", "white"
            for side, answer in zip(sides, ("yes", "no"), strict=True):
                _branch(axis, (x, -level), (side, -level - 1), answer)
        box = {"boxstyle": "round,pad=0.25", "facecolor": colour, "edgecolor": edge}
        axis.text(x, -level, words, ha="center", va="center", fontsize=9, linespacing=1.15, bbox=box, zorder=3)
        return x

    draw(tree, 0)
    axis.set(xlim=(-0.6, leaves - 0.4), ylim=(-depth - 0.4, 0.35))
    axis.axis("off")
    return figure


def _branch(axis: Axes, upper: tuple[float, float], lower: tuple[float, float], answer: str) -> None:
    axis.plot(*zip(upper, lower, strict=True), color="0.6", linewidth=1.2, zorder=1)
    middle = [(above + below) / 2 for above, below in zip(upper, lower, strict=True)]
    paper = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none"}
    axis.text(*middle, answer, ha="center", va="center", fontsize="small", color="0.3", bbox=paper, zorder=2)


def _nodes(tree: Tree, level: int = 0) -> Iterator[tuple[Tree, int]]:
    """Every node with its distance from the root."""
    yield tree, level
    if tree.feature is not None:
        yield from _nodes(tree.below, level + 1)
        yield from _nodes(tree.above, level + 1)
