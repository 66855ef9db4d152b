"""Sliding windows: the geometry that convolution and pooling share."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lib.core.boundary import checked
from lib.core.rules import NonNegativeInt, PositiveInt

__all__ = ["Padding", "Pair", "Window", "check_fits"]

# One number for both axes, or (vertical, horizontal).
Pair = PositiveInt | tuple[PositiveInt, PositiveInt]
Padding = NonNegativeInt | tuple[NonNegativeInt, NonNegativeInt]


def check_fits(axis: str, padded_size: int, span: int) -> None:
    """Require a window of ``span`` pixels to find at least one position on an axis.

    Raises:
        ValueError: the window is larger than the padded axis.
    """
    if span > padded_size:
        raise ValueError(
            f"the window spans {span} but the padded {axis} is only {padded_size}; it must fit at least once"
        )


@dataclass(frozen=True)
class Window:
    """A rectangle of cells that slides over the last two axes of a tensor.

    Each field is (vertical, horizontal). ``dilation`` is the distance between neighbouring cells, so
    the rectangle spans ``dilation·(kernel − 1) + 1`` pixels.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)

    @classmethod
    def of(cls, kernel: Pair, *, stride: Pair = 1, padding: Padding = 0, dilation: Pair = 1) -> "Window":
        """Build a window from ints, which count for both axes, or pairs."""
        return cls(*(side if isinstance(side, tuple) else (side, side) for side in (kernel, stride, padding, dilation)))

    @classmethod
    @checked
    def of_signal(
        cls,
        kernel_size: PositiveInt,
        *,
        stride: PositiveInt = 1,
        padding: NonNegativeInt = 0,
        dilation: PositiveInt = 1,
    ) -> "Window":
        """Build a window that slides along one axis only: a row, on an image of height 1."""
        return cls.of((1, kernel_size), stride=(1, stride), padding=(0, padding), dilation=(1, dilation))

    @property
    def span(self) -> tuple[int, int]:
        """Height and width that one window covers, in pixels."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    def padded_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape that :meth:`pad` gives to a tensor of this ``shape``."""
        *leading, height, width = shape
        vertical, horizontal = self.padding
        return *leading, height + 2 * vertical, width + 2 * horizontal

    def pad(self, x: Tensor, value: float = 0.0) -> Tensor:
        """Surround the last two axes with ``value``; the tensor itself where there is nothing to add.

        Raises:
            ValueError: the window does not fit into the padded tensor.
        """
        for axis, size, span in zip(("height", "width"), self.padded_shape(x.shape)[-2:], self.span, strict=True):
            check_fits(axis, size, span)
        vertical, horizontal = self.padding
        return F.pad(x, (horizontal, horizontal, vertical, vertical), value=value) if any(self.padding) else x

    def crop(self, padded: Tensor) -> Tensor:
        """Undo :meth:`pad`: view the part of a padded tensor that is no padding."""
        (vertical, horizontal), (height, width) = self.padding, padded.shape[-2:]
        return padded[..., vertical : height - vertical, horizontal : width - horizontal]

    def over(self, padded: Tensor) -> Tensor:
        """View a padded tensor as its windows, nothing copied: ``[..., height, width, row, column]``."""
        (rows, columns), (down, right) = self.span, self.stride
        vertical, horizontal = self.dilation
        return padded.unfold(-2, rows, down).unfold(-2, columns, right)[..., ::vertical, ::horizontal]

    def rows(self, padded: Tensor) -> Iterator[Tensor]:
        """View, for each row of the window, the image rows that it meets as the window slides down."""
        for start, stop in self._slides(padded, 0):
            yield padded[..., start : stop : self.stride[0], :]

    def columns(self, padded: Tensor) -> Iterator[Tensor]:
        """View, for each column of the window, the image columns that it meets as the window slides right."""
        for start, stop in self._slides(padded, 1):
            yield padded[..., start : stop : self.stride[1]]

    def cells(self, padded: Tensor) -> Iterator[Tensor]:
        """View, for each cell of the window in reading order, the pixels that it meets as the window slides."""
        for row in self.rows(padded):
            yield from self.columns(row)

    def copied(self, padded: Tensor) -> Tensor:
        """Copy a padded tensor as its windows, in the axes of :meth:`over`: by slices, which ``torch.func`` can batch."""
        return torch.stack(tuple(self.cells(padded)), -1).unflatten(-1, self.kernel)

    def _slides(self, padded: Tensor, axis: int) -> Iterator[tuple[int, int]]:
        """Where each row (axis 0) or column (axis 1) of the window starts on the image, and one past where it ends."""
        travel = padded.shape[axis - 2] - self.span[axis]
        for start in range(0, self.span[axis], self.dilation[axis]):
            yield start, start + travel + 1
