"""How every figure of the book looks: one palette that colour-blind readers can tell apart."""

import matplotlib as mpl

__all__ = ["PALETTE", "use_book_style"]

# Okabe & Ito's eight colours, without black and yellow, which vanish on a dark or a white page.
PALETTE: dict[str, str] = {
    "blue": "#0072B2",
    "orange": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "amber": "#E69F00",
}


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
            "figure.figsize": (7.0, 3.2),
            "font.size": 10,
            "image.cmap": "gray",
            "image.interpolation": "nearest",
            "legend.frameon": False,
            "lines.linewidth": 1.8,
        }
    )
