"""Explanations of an image side by side, and in words."""

import math
from collections.abc import Mapping

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

__all__ = ["describe_attributions", "show_attributions"]

_COLOURS = mpl.colormaps["PuOr"]  # orange-brown below zero, purple above: apart for every kind of colour vision
_ROWS, _COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")


def show_attributions(
    photograph: Float[Tensor, "channels height width"],
    attributions: Mapping[str, Float[Tensor, "height width"]],
    *,
    share: float = 0.05,
    percentile: float = 99.0,
    cells: int = 32,
    columns: int = 4,
    size: float = 1.5,
) -> Figure:
    """Draw the photograph, then each named map over a pale copy of it, ``size`` inches wide.

    A map holds one number a pixel. Purple speaks for the class, orange-brown against it; a map without
    negative values says how much only. Each map has its own scale, which ends at the ``percentile`` of its
    absolute values, and is drawn as means over squares, ``cells`` on the shorter side. So that nobody depends on colour,
    a solid line surrounds the ``share`` of the picture with the highest local mean, a dotted one that with
    the lowest below zero; `describe_attributions` puts the same areas into words.

    Raises:
        ValueError: no map, a map of another size or with NaN, a share or percentile out of range, too many cells.
    """
    _check(attributions, share)
    if photograph.ndim != 3 or photograph.shape[0] not in (1, 3):
        raise ValueError(f"photograph must be [1 or 3, height, width], got {list(photograph.shape)}")
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
    # A panel is a little narrower than its share of the figure; the bar and its words need 0.7 inches.
    tall = (0.88 * size * height / width + titles) * rows + 0.7
    figure, axes = plt.subplots(rows, columns, figsize=(size * columns, tall), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    frame = {"extent": (0, width, height, 0)}
    shown = _few_levels(_squares(photograph, 3 * cells), 7).expand(3, -1, -1)
    axes.flat[0].imshow(shown.permute(1, 2, 0), **frame)
    axes.flat[0].set_title("photograph", fontsize="small")
    pale = 0.45 + 0.55 * _few_levels(_squares(photograph.mean(0, keepdim=True), 2 * cells)[0], 4)
    for axis, (name, values) in zip(axes.flat[1:], attributions.items(), strict=False):
        values = values.detach().cpu()
        axis.imshow(_blend(pale, _to_scale(_squares(values[None], cells)[0], percentile)), **frame)
        for sign, style in ((1, "solid"), (-1, "dotted")):
            inside = _extreme_area(sign * values, share)
            if inside.any() and not inside.all():
                axis.contour(
                    inside.float(), levels=[0.5], colors="black", linewidths=1.3, linestyles=style, antialiased=False
                )
        axis.set_title(name, fontsize="small")
    _explain_colours(figure, axes, attributions, share, percentile)
    return figure


def describe_attributions(
    attributions: Mapping[str, Float[Tensor, "height width"]],
    *,
    share: float = 0.05,
    regions: Mapping[str, tuple[int, int, int, int]] | None = None,
) -> str:
    """Say for each map where its highest local means lie: the alt text of `show_attributions`, made from the data.

    ``regions`` names parts of the picture by boxes (top, left, bottom, right) in pixels, end exclusive; a part is
    mentioned if it holds at least a fifth of the area, with its percentage to the nearest ten. Boxes may overlap.

    Raises:
        ValueError: no map, one that is not [height, width] or holds NaN, a share out of range, an empty box or
            one outside the picture.
    """
    _check(attributions, share)
    regions = regions or {}
    for height, width in {tuple(values.shape) for values in attributions.values()}:
        for name, box in regions.items():
            top, left, bottom, right = box
            if not (0 <= top < bottom <= height and 0 <= left < right <= width):
                raise ValueError(
                    f"region {name!r} must be a box (top, left, bottom, right) inside {height} × {width}, got {box}"
                )
    return "; ".join(f"{name}: {_in_words(values, share, regions)}" for name, values in attributions.items()) + "."


def _in_words(values: Tensor, share: float, regions: Mapping[str, tuple[int, int, int, int]]) -> str:
    values = values.detach().cpu()
    highest, lowest = _extreme_area(values, share), _extreme_area(-values, share)
    if not highest.any() and not lowest.any():
        return "zero everywhere" if not values.any() else "the same everywhere"
    words = f"highest {_place(highest, regions)}" if highest.any() else "nothing above zero"
    return f"{words}, lowest {_place(lowest, regions)}" if lowest.any() else words


def _place(area: Bool[Tensor, "height width"], regions: Mapping[str, tuple[int, int, int, int]]) -> str:
    """Name the ninths of the picture that hold much of the area, then the caller's regions."""
    total = area.sum().item()
    ninths = {}
    for row, band in zip(_ROWS, area.tensor_split(3, dim=0), strict=True):
        for column, part in zip(_COLUMNS, band.tensor_split(3, dim=1), strict=True):
            name = "centre" if (row, column) == ("middle", "centre") else f"{row} {column}"
            ninths[name] = part.sum().item() / total
    large = [name for name in sorted(ninths, key=ninths.get, reverse=True) if ninths[name] >= 0.3]
    words = [" and ".join(large) or "in scattered places"]
    for name, (top, left, bottom, right) in regions.items():
        inside = area[top:bottom, left:right].sum().item() / total
        if inside >= 0.2:
            words.append(f"{10 * round(10 * inside)} % on the {name}")
    return ", ".join(words)


def _extreme_area(values: Float[Tensor, "height width"], share: float) -> Bool[Tensor, "height width"]:
    """The ``share`` of the picture where the local mean is highest, if above zero.

    Single pixels of a gradient are noise to the eye; the area is what a reader can point at. Three
    means over squares of a fourteenth of the side weight the surroundings nearly as a Gaussian does.
    """
    side = min(values.shape) // 14 | 1  # odd, so that the square has a middle
    means = values[None, None]
    for _ in range(3):
        means = F.avg_pool2d(means, side, stride=1, padding=side // 2, count_include_pad=False)
    means = means[0, 0]
    count = max(1, round(share * means.numel()))
    return (means >= means.flatten().topk(count).values[-1]) & (means > 0) & (means > means.min())


def _squares(image: Float[Tensor, "channels height width"], cells: int) -> Float[Tensor, "channels rows columns"]:
    """Means over about ``cells`` squares along the shorter side."""
    height, width = image.shape[1:]
    cells = min(cells, height, width)
    scale = cells / min(height, width)
    return F.adaptive_avg_pool2d(image[None], (round(height * scale), round(width * scale)))[0]


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
        bar.set_ticks([-1, 0, 1], labels=["against the class", "nothing", "for the class"], fontsize="small")
    else:
        bar.ax.set_xlim(0, 1)
        bar.set_ticks([0, 1], labels=["nothing", "much"], fontsize="small")
    lines = f"solid line: the highest {100 * share:g} %"
    if signed:
        lines += "; dotted: the lowest"
    bar.set_label(f"{lines}; colours end at the {percentile:g}th percentile", fontsize="small")


def _check(attributions: Mapping[str, Tensor], share: float) -> None:
    if not attributions:
        raise ValueError("attributions must hold at least one map, got none")
    for name, values in attributions.items():
        if values.ndim != 2:
            raise ValueError(
                f"map {name!r} must be [height, width], got {list(values.shape)}; reduce colours to one number a pixel first"
            )
        if not values.isfinite().all():
            raise ValueError(
                f"map {name!r} must be finite, got {(~values.isfinite()).sum().item()} values that are not"
            )
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, got {share}")
