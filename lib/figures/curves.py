"""Curves of a training run and the table of its confusions."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Int64
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from lib.core.validation import check_rank

from .style import WIDTH, check_options

__all__ = ["confusion_matrix", "learning_curves"]


def learning_curves(curves: Mapping[str, Sequence[float]], *, ylabel: str, title: str = "") -> Figure:
    """Draw one value an epoch for each named curve; line style and colour both tell the curves apart.

    Raises:
        TypeError: a curve that is not a sequence of real numbers.
        ValueError: no curve, or one without a point.
    """
    check_options(title=title, ylabel=ylabel)
    if not isinstance(curves, Mapping) or not all(hasattr(values, "__len__") for values in curves.values()):
        raise TypeError(f"curves must be lists of numbers by name, got {curves!r}")
    if not curves or any(len(values) == 0 for values in curves.values()):
        raise ValueError(
            f"curves must each hold at least one epoch, got { ({name: len(v) for name, v in curves.items()}) }"
        )
    for name, values in curves.items():
        numbers = np.asarray(values)
        if numbers.dtype.kind not in "iuf" or numbers.ndim != 1:
            raise TypeError(f"curve {name!r} must hold one real number an epoch, got {values!r}")
    figure, axis = plt.subplots()
    styles = ("-", "--", "-.", ":")
    for index, (name, values) in enumerate(curves.items()):
        axis.plot(range(1, len(values) + 1), values, styles[index % len(styles)], label=name)
    axis.set(xlabel="epoch", ylabel=ylabel, title=title)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend()
    return figure


def confusion_matrix(counts: Int64[Tensor, "classes classes"], names: Sequence[str]) -> Figure:
    """Draw how often each true class (row) was given each label (column), with the counts written in.

    The diagonal is left pale, so that the errors, which are few, are what the eye meets.

    Raises:
        TypeError: counts that are not whole numbers.
        ValueError: counts that are not a square or below 0, a number of names that is not the number of classes.
    """
    check_rank("counts", counts, "classes classes")
    if counts.is_floating_point() or counts.is_complex():
        raise TypeError(f"counts must be whole numbers, got {counts.dtype}")
    if counts.shape[0] != counts.shape[1] or not counts.numel() or counts.min() < 0:
        raise ValueError(f"counts must be a square of numbers from 0, got shape {tuple(counts.shape)}")
    if len(names) != len(counts):
        raise ValueError(f"names must be as many as the {len(counts)} classes, got {len(names)}")
    errors = counts.clone().fill_diagonal_(0)
    figure, axis = plt.subplots(figsize=(WIDTH, 4.2))
    axis.imshow(errors, cmap="Blues", vmin=0, vmax=max(errors.max().item(), 1))
    for true in range(len(counts)):
        for predicted in range(len(counts)):
            count = counts[true, predicted].item()
            if count:
                dark = errors[true, predicted] > 0.6 * errors.max()
                axis.text(
                    predicted,
                    true,
                    count,
                    ha="center",
                    va="center",
                    color="white" if dark else "black",
                    fontsize="small",
                )
    axis.set(xticks=range(len(names)), yticks=range(len(names)), xlabel="predicted class", ylabel="true class")
    axis.set_xticklabels(names)
    axis.set_yticklabels(names)
    axis.spines[["top", "right"]].set_visible(True)
    return figure
