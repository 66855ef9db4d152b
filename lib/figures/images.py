"""Pictures in a grid: digits, filters, feature maps, photographs."""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from lib.core.validation import check_finite, check_positive_int

from .style import SIGNS, check_options, columns_that_fit

__all__ = ["check_photograph", "in_few_colours", "show_images"]


def show_images(
    images: Tensor | Sequence[Tensor],
    *,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    signed: bool = False,
    same_scale: bool = False,
    size: float = 1.2,
) -> Figure:
    """Draw images side by side, each ``size`` inches wide; with titles, as many in a row as a phone can show.

    An image is ``[height, width]``, ``[1, height, width]`` or, in colour, ``[3, height, width]`` with
    values in [0, 1]. ``signed`` puts zero at white, negative values in orange-brown and positive ones in
    purple; ``same_scale`` gives all images one common range of values instead of one each.

    Raises:
        TypeError: an image that is no tensor of real numbers.
        ValueError: no images, a shape that is none of these, NaN, colours outside [0, 1], a number of titles that differs.
    """
    check_options(columns=columns, size=size, signed=signed, same_scale=same_scale)
    pictures = [_picture(image) for image in images]
    if not pictures:
        raise ValueError("images must hold at least one image, got none")
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(f"titles must be as many as the {len(pictures)} images, got {len(titles)}")
    if columns is None:
        columns = len(pictures) if titles is None else columns_that_fit(size)
    check_positive_int("columns", columns)
    if not (math.isfinite(size) and size > 0):
        raise ValueError(f"size must be a positive number of inches, got {size}")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    # Titles need room of their own; without them the pictures stand close together.
    figure, axes = plt.subplots(
        rows, columns, figsize=(size * columns, (size + 0.25 * bool(titles)) * rows), squeeze=False
    )
    everything = [value for picture in pictures for value in (picture.min(), picture.max())]
    for index, axis in enumerate(axes.flat):
        axis.set_axis_off()
        if index >= len(pictures):
            continue
        picture = pictures[index]
        low, high = (min(everything), max(everything)) if same_scale else (picture.min(), picture.max())
        if signed:
            high = max(abs(low), abs(high)) or 1.0
            low = -high
        if picture.ndim == 3:
            axis.imshow(picture)
        else:
            axis.imshow(picture, vmin=low, vmax=high, cmap=SIGNS if signed else "gray")
        if titles is not None:
            axis.set_title(titles[index], fontsize="small")
    return figure


def check_photograph(name: str, image: Tensor) -> None:
    """Require a grey or colour image of finite values in [0, 1].

    Raises:
        TypeError: no floating-point tensor.
        ValueError: another shape, NaN, or values outside.
    """
    if not isinstance(image, Tensor) or not image.is_floating_point():
        got = image.dtype if isinstance(image, Tensor) else type(image).__name__
        raise TypeError(f"{name} must be a floating-point tensor, got {got}")
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(f"{name} must be [1 or 3, height, width], got {list(image.shape)}")
    check_finite(name, image)
    if image.min() < 0 or image.max() > 1:
        raise ValueError(f"{name} must have values in [0, 1], got {image.min():.4g} to {image.max():.4g}")


def in_few_colours(
    photograph: Float[Tensor, "channels height width"], colours: int = 64
) -> UInt8[np.ndarray, "height width 3"]:
    """A photograph in the ``colours`` that suit it best: natural to the eye, and half the size of file."""
    bytes_ = (255 * photograph.expand(3, -1, -1)).round().byte().permute(1, 2, 0).contiguous().numpy()
    return np.array(Image.fromarray(bytes_).quantize(colours, dither=Image.Dither.NONE).convert("RGB"))


def _picture(image: Tensor) -> np.ndarray:
    if not isinstance(image, Tensor) or image.is_complex():
        got = image.dtype if isinstance(image, Tensor) else type(image).__name__
        raise TypeError(f"an image must be a tensor of real numbers, got {got}")
    image = image.detach().cpu()
    if image.ndim == 3 and image.shape[0] == 3:
        check_photograph("an image in colour", image)
        return image.permute(1, 2, 0).float().numpy()
    if image.ndim == 3 and image.shape[0] == 1:
        image = image[0]
    if image.ndim != 2 or not image.numel():
        raise ValueError(
            f"an image must be [height, width], [1, height, width] or [3, height, width], got {list(image.shape)}"
        )
    check_finite("an image", image)
    return image.float().numpy() if image.is_floating_point() else image.numpy()
