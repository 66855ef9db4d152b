"""What ranks hold, do and send: records that a rank hands back and a figure draws."""

from dataclasses import dataclass

__all__ = ["Message", "Piece", "Span"]


@dataclass(frozen=True)
class Piece:
    """The part of a matrix (or of a batch) that one rank holds.

    ``shape`` is that of the whole, ``rows`` and ``columns`` are half-open ranges of what is held. ``group``
    tells kinds of things apart in the picture, such as data from weights.
    """

    name: str
    shape: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]
    group: str = "weights"

    @property
    def share(self) -> float:
        """Which part of the whole is held, between 0 and 1."""
        (top, bottom), (left, right) = self.rows, self.columns
        return (bottom - top) * (right - left) / (self.shape[0] * self.shape[1])


@dataclass(frozen=True)
class Span:
    """Something that a rank did, from ``start`` to ``end`` seconds of one common clock."""

    rank: int
    start: float
    end: float
    label: str
    kind: str = "forward"


@dataclass(frozen=True)
class Message:
    """Something that a rank sent at ``sent`` and another had received at ``received``, in the same seconds."""

    source: int
    destination: int
    sent: float
    received: float
