"""Who holds what, who does what when, and who sends what to whom, drawn from what the ranks of a run returned."""

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Patch, Rectangle

from lib.core import Message, Piece, Span
from lib.core.boundary import checked

from .style import PALETTE, WIDTH

__all__ = ["show_placement", "show_schedule"]

# Kinds are told apart by colour and by hatching.
_LOOKS = [(name, hatch) for name, hatch in zip(PALETTE.values(), ("", "///", "...", "\\\\\\", "xx", "--"), strict=True)]
_MOST_RANKS = 64  # lanes beyond these cannot be told apart


@checked
def show_placement(placements: Mapping[str, Sequence[Sequence[Piece]]]) -> Figure:
    """Draw, for each strategy (row) and rank (column), every piece as the filled part of its whole.

    Heights and widths within a strategy are not to scale between pieces: what can be compared is how much of
    each outline is filled.

    Raises:
        ValueError: no strategy, strategies with different numbers of ranks, a piece that leaves its whole, or more
            groups than there are looks.
    """
    ranks = {len(held) for held in placements.values()}
    if len(ranks) != 1 or 0 in ranks:
        received = {name: len(held) for name, held in placements.items()}
        raise ValueError(f"placements must give the same number of ranks for every strategy, got {received}")
    (ranks,) = ranks
    for held in placements.values():
        for piece in (piece for pieces in held for piece in pieces):
            _check_piece(piece)
    groups = list(dict.fromkeys(p.group for held in placements.values() for pieces in held for p in pieces))
    _check_looks("groups", groups)
    figure, axes = plt.subplots(len(placements), ranks, figsize=(WIDTH, 0.95 * len(placements) + 0.5), squeeze=False)
    for row, (name, held) in enumerate(placements.items()):
        for rank, pieces in enumerate(held):
            axis = axes[row, rank]
            for place, piece in enumerate(pieces):
                _draw_piece(axis, piece, 1.25 * place, *_LOOKS[groups.index(piece.group) % len(_LOOKS)])
            axis.set(xlim=(-0.1, 1.25 * max(len(p) for p in held) - 0.15), ylim=(-0.42, 1.08), xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            if row == 0:
                axis.set_title(f"rank {rank}")
            if rank == 0:
                axis.set_ylabel(name, rotation=0, ha="right", va="center")
    handles = [Patch(facecolor=colour, hatch=hatch, edgecolor="white") for colour, hatch in _LOOKS[: len(groups)]]
    figure.legend(handles, groups, loc="outside lower center", ncols=len(groups))
    return figure


@checked
def show_schedule(spans: Sequence[Span], messages: Sequence[Message] = (), *, title: str = "") -> Figure:
    """Draw what each rank did over time, one lane a rank, with an arrow for each message.

    Time starts at the first span. Kinds of work are told apart by colour and hatching and listed in a legend.

    Raises:
        ValueError: no span, one that ends before it starts, a message that arrives before it is sent or between ranks
            that have no lane, times that are not finite, a rank below 0 or beyond 63, more kinds than there are looks.
    """
    if not spans:
        raise ValueError("spans must hold at least one span, got none")
    for span in spans:
        if span.end < span.start:
            raise ValueError(f"a span must not end before it starts, got {span}")
        if not (math.isfinite(span.start) and math.isfinite(span.end) and 0 <= span.rank < _MOST_RANKS):
            raise ValueError(f"a span must have finite times and a rank from 0 to {_MOST_RANKS - 1}, got {span}")
    zero = min(span.start for span in spans)
    kinds = list(dict.fromkeys(span.kind for span in spans))
    _check_looks("kinds", kinds)
    ranks = 1 + max(span.rank for span in spans)
    for message in messages:
        if not (message.sent <= message.received < math.inf) or math.isinf(message.sent):
            raise ValueError(f"a message must not arrive before it is sent, got {message}")
        if not {message.source, message.destination} <= set(range(ranks)) or message.source == message.destination:
            raise ValueError(f"a message must go between two of the {ranks} ranks of the spans, got {message}")
    figure, axis = plt.subplots(figsize=(WIDTH, 0.62 * ranks + 1.0))
    for span in spans:
        colour, hatch = _LOOKS[kinds.index(span.kind) % len(_LOOKS)]
        box = (span.start - zero) * 1e3, span.rank - 0.36
        width = (span.end - span.start) * 1e3
        axis.add_patch(Rectangle(box, width, 0.72, facecolor=colour, edgecolor="white", hatch=hatch, linewidth=0.8))
        axis.text(
            box[0] + width / 2,
            span.rank,
            span.label,
            ha="center",
            va="center",
            fontsize="small",
            color="black",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
        )
    for message in messages:
        side = 0.36 if message.destination > message.source else -0.36
        start = ((message.sent - zero) * 1e3, message.source + side)
        end = ((message.received - zero) * 1e3, message.destination - side)
        axis.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=7, color="black", linewidth=0.8))
    last = max(span.end for span in spans)
    axis.set(xlim=(0, (last - zero) * 1e3 * 1.01), ylim=(ranks - 0.4, -0.6), xlabel="time (ms)", title=title)
    axis.set_yticks(range(ranks), [f"rank {rank}" for rank in range(ranks)])
    handles = [Patch(facecolor=colour, hatch=hatch, edgecolor="white") for colour, hatch in _LOOKS[: len(kinds)]]
    figure.legend(handles, kinds, loc="outside lower center", ncols=len(kinds))
    return figure


def _check_looks(name: str, kinds: Sequence[str]) -> None:
    if len(kinds) > len(_LOOKS):
        raise ValueError(f"{name} must be at most {len(_LOOKS)} to be told apart, got {len(kinds)}: {', '.join(kinds)}")


def _check_piece(piece: Piece) -> None:
    for (start, stop), size in zip((piece.rows, piece.columns), piece.shape, strict=True):
        if not 0 <= start <= stop <= size:
            raise ValueError(f"a piece must lie inside its whole, got {piece}")


def _draw_piece(axis, piece: Piece, left: float, colour: str, hatch: str) -> None:
    height, width = piece.shape
    (top, bottom), (first, last) = piece.rows, piece.columns
    axis.add_patch(Rectangle((left, 0), 1, 1, facecolor="none", edgecolor="#767676", linewidth=0.8))
    if piece.share:
        corner = (left + first / width, 1 - bottom / height)
        size = ((last - first) / width, (bottom - top) / height)
        axis.add_patch(Rectangle(corner, *size, facecolor=colour, edgecolor="white", hatch=hatch, linewidth=0.8))
    axis.text(left + 0.5, -0.08, piece.name, ha="center", va="top", fontsize="small")
