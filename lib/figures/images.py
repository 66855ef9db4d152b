"""Pictures in a grid: digits, filters, feature maps, photographs."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

__all__ = ["show_images"]


def show_images(
    images: Tensor | Sequence[Tensor],
    *,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    signed: bool = False,
    same_scale: bool = False,
    size: float = 1.2,
) -> Figure:
    """Draw images side by side, each ``size`` inches wide.

    An image is ``[height, width]``, ``[1, height, width]`` or, in colour, ``[3, height, width]`` with
    values in [0, 1]. ``signed`` puts zero at white, negative values in orange-brown and positive ones in
    purple; ``same_scale`` gives all images one common range of values instead of one each.

    Raises:
        ValueError: no images, a shape that is none of these, or a number of titles that differs.
    """
    pictures = [_picture(image) for image in images]
    if not pictures:
        raise ValueError("images must hold at least one image, got none")
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(f"titles must be as many as the {len(pictures)} images, got {len(titles)}")
    columns = min(columns or len(pictures), len(pictures))
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
            axis.imshow(picture, vmin=low, vmax=high, cmap="PuOr" if signed else "gray")
        if titles is not None:
            axis.set_title(titles[index], fontsize="small")
    return figure


def _picture(image: Tensor):
    image = image.detach().cpu()
    if image.ndim == 3 and image.shape[0] == 3:
        return image.permute(1, 2, 0).numpy()
    if image.ndim == 3 and image.shape[0] == 1:
        image = image[0]
    if image.ndim != 2:
        raise ValueError(
            f"an image must be [height, width], [1, height, width] or [3, height, width], got {list(image.shape)}"
        )
    return image.numpy()
