"""Which class was taken for which."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from jaxtyping import Int64
from matplotlib.figure import Figure
from torch import Tensor

from lib.core.validation import check_rank

from .style import WIDTH

__all__ = ["confusion_matrix"]


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
