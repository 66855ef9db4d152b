"""How every figure of the book looks: colours that all readers can tell apart, letters that a phone can show."""

from collections.abc import Mapping

import matplotlib as mpl

from lib.core.boundary import checked

__all__ = ["PALETTE", "SIGNS", "WIDTH", "columns_that_fit", "use_book_style"]

# Okabe & Ito's eight colours, without black and yellow, which vanish on a dark or a white page.
PALETTE: dict[str, str] = {
    "blue": "#0072B2",
    "orange": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "amber": "#E69F00",
}

#: Whatever has a sign: orange-brown below zero, white at zero, purple above; apart for every kind of colour vision.
SIGNS = "PuOr"

#: Inches. Wider figures shrink on a phone until their letters cannot be read.
WIDTH = 4.6


def use_book_style() -> None:
    """Set matplotlib's defaults for a chapter: size, type, palette; call it beside the imports."""
    mpl.rcParams.update(
        {
            "axes.prop_cycle": mpl.cycler(color=list(PALETTE.values())),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlesize": "medium",
            "figure.constrained_layout.use": True,
            "figure.dpi": 110,
            "figure.figsize": (WIDTH, 3.0),
            "font.size": 10,
            "image.cmap": "gray",
            "image.interpolation": "nearest",
            "legend.frameon": False,
            "lines.linewidth": 1.8,
        }
    )


@checked
def check_options(
    *,
    share: float = 1.0,
    percentile: float = 1.0,
    cells: int = 1,
    columns: int | None = None,
    signed: bool = False,
    same_scale: bool = False,
    size: float = 1.0,
    regions: Mapping[str, tuple[int, int, int, int]] | None = None,
) -> None:
    """Hold the options of a picture to their kinds; their bounds are for the functions that know them.

    Raises:
        TypeError, ValueError: as :func:`~lib.core.boundary.checked`.
    """


@checked
def columns_that_fit(size: float) -> int:
    """How many panels, each ``size`` inches wide, stand side by side in a figure whose letters a phone can show."""
    return max(1, int(WIDTH / size + 1e-9))
