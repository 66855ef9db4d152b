"""Explanations of an image side by side."""

import math
from collections.abc import Mapping

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from .areas import check_maps, extreme_area, squares
from .images import check_photograph, in_few_colours
from .style import SIGNS, check_options

__all__ = ["show_attributions"]

_COLOURS = mpl.colormaps[SIGNS]
_LETTERS = 8.2  # points: 9 pixels on a phone in a figure of 4.5 inches


def show_attributions(
    photograph: Float[Tensor, "channels height width"],
    attributions: Mapping[str, Float[Tensor, "height width"]],
    *,
    share: float = 0.05,
    percentile: float = 99.0,
    cells: int = 32,
    columns: int = 3,
    size: float = 1.5,
) -> Figure:
    """Draw the photograph, then each named map over a pale copy of it, ``size`` inches wide.

    A map holds one number a pixel. Purple speaks for the class, orange-brown against it; a map without
    negative values says how much only. Each map has its own scale, which ends at the ``percentile`` of its
    absolute values, and is drawn as means over squares, ``cells`` on the shorter side. So that nobody depends on colour,
    a solid line surrounds the ``share`` of the picture with the highest local mean, a dotted one that with
    the lowest below zero; `describe_attributions` puts the same areas into words.

    Raises:
        TypeError: a photograph or a map that is no floating-point tensor.
        ValueError: a photograph whose values leave [0, 1], no map, a map of another size or with NaN, a share or percentile out of range, too many cells.
    """
    check_options(share=share, percentile=percentile, cells=cells, columns=columns, size=size)
    check_maps(attributions, share)
    check_photograph("photograph", photograph)
    height, width = photograph.shape[1:]
    for name, values in attributions.items():
        if values.shape != (height, width):
            raise ValueError(
                f"map {name!r} must be [{height}, {width}] like the photograph, got {list(values.shape)}; "
                "reduce colours to one number a pixel first"
            )
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile must be above 0 and at most 100, got {percentile}")
    if not 1 <= cells <= min(height, width):
        raise ValueError(f"cells must be between 1 and the shorter side, {min(height, width)}, got {cells}")

    photograph = photograph.detach().cpu()
    panels = 1 + len(attributions)
    columns = min(columns, panels)
    rows = math.ceil(panels / columns)
    titles = 0.2 + 0.15 * max(name.count("\n") for name in attributions)  # inches
    # A panel is a little narrower than its share of the figure; the bar and its words need 0.85 inches.
    tall = (0.88 * size * height / width + titles) * rows + 0.85
    figure, axes = plt.subplots(rows, columns, figsize=(size * columns, tall), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    frame = {"extent": (0, width, height, 0)}
    axes.flat[0].imshow(in_few_colours(squares(photograph, 5 * cells // 2), 40), **frame)
    axes.flat[0].set_title("photograph", fontsize=_LETTERS)
    pale = 0.45 + 0.55 * _few_levels(squares(photograph.mean(0, keepdim=True), 3 * cells // 2)[0], 4)
    for axis, (name, values) in zip(axes.flat[1:], attributions.items(), strict=False):
        values = values.detach().cpu()
        axis.imshow(_blend(pale, _to_scale(squares(values[None], cells)[0], percentile)), **frame)
        for sign, style in ((1, "solid"), (-1, "dotted")):
            inside = extreme_area(sign * values, share)
            if inside.any() and not inside.all():
                axis.contour(
                    inside.float(), levels=[0.5], colors="black", linewidths=1.3, linestyles=style, antialiased=False
                )
        axis.set_title(name, fontsize=_LETTERS)
    _explain_colours(figure, axes, attributions, share, percentile)
    return figure


def _few_levels(image: Tensor, levels: int) -> Tensor:
    """Round to multiples of 1/levels: a picture of few colours is a small file."""
    return (image.clamp(-1, 1) * levels).round() / levels


def _to_scale(squares: Float[Tensor, "rows columns"], percentile: float) -> Float[Tensor, "rows columns"]:
    """Divide by the percentile of the absolute values, and end at ±1."""
    sizes = squares.abs().flatten()
    # A map that is zero nearly everywhere has a percentile of zero; its largest value is shown then.
    largest = torch.quantile(sizes, percentile / 100) or sizes.max()
    return (squares / largest).clamp(-1, 1) if largest > 0 else torch.zeros_like(squares)


def _blend(pale: Float[Tensor, "height width"], scaled: Float[Tensor, "rows columns"]) -> np.ndarray:
    """Lay the colours over the photograph, the more opaque the further from zero."""
    scaled = F.interpolate(_few_levels(scaled, 5)[None, None], size=pale.shape, mode="nearest")[0, 0].numpy()
    opacity = np.abs(scaled)[..., None]
    return opacity * _COLOURS((scaled + 1) / 2)[..., :3] + (1 - opacity) * pale[..., None].numpy()


def _explain_colours(figure: Figure, axes: np.ndarray, attributions: Mapping[str, Tensor], share, percentile) -> None:
    """A bar whose ends are named, and what the lines surround."""
    signed = any((values < 0).any() for values in attributions.values())
    mappable = plt.cm.ScalarMappable(mpl.colors.Normalize(-1, 1), _COLOURS)
    bar = figure.colorbar(mappable, ax=axes, orientation="horizontal", fraction=0.04, aspect=40, pad=0.02)
    bar.outline.set_visible(False)
    if signed:
        bar.set_ticks([-1, 0, 1], labels=["against the class", "nothing", "for the class"], fontsize=_LETTERS)
    else:
        bar.ax.set_xlim(0, 1)
        bar.set_ticks([0, 1], labels=["nothing", "much"], fontsize=_LETTERS)
    lines = f"solid line: the highest {100 * share:g} %"
    if signed:
        lines += "; dotted: the lowest"
    bar.set_label(f"{lines}\ncolours end at the {percentile:g}th percentile", fontsize=_LETTERS)
