"""Which part of a picture a map points at."""

from collections.abc import Mapping

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

__all__ = ["check_maps", "extreme_area", "squares"]


def check_maps(attributions: Mapping[str, Tensor], share: float) -> None:
    """Require named maps of one finite number a pixel, and a share of the picture.

    Raises:
        TypeError: no mapping, or a map that is no floating-point tensor.
        ValueError: no map, one that is not [height, width] or not finite, a share outside (0, 1].
    """
    if not isinstance(attributions, Mapping):
        raise TypeError(f"attributions must be maps by name, got {type(attributions).__name__}")
    if not attributions:
        raise ValueError("attributions must hold at least one map, got none")
    for name, values in attributions.items():
        if not isinstance(values, Tensor) or not values.is_floating_point():
            got = values.dtype if isinstance(values, Tensor) else type(values).__name__
            raise TypeError(f"map {name!r} must be a floating-point tensor, got {got}")
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


def extreme_area(values: Float[Tensor, "height width"], share: float) -> Bool[Tensor, "height width"]:
    """The ``share`` of the picture where the local mean is highest, if above zero.

    Single pixels of a gradient are noise to the eye; the area is what a reader can point at. Three
    means over squares of a fourteenth of the side weight the surroundings nearly as a Gaussian does.
    """
    side = min(values.shape) // 14 | 1  # odd, so that the square has a middle
    means = values[None, None].float()
    for _ in range(3):
        means = F.avg_pool2d(means, side, stride=1, padding=side // 2, count_include_pad=False)
    means = means[0, 0]
    count = max(1, round(share * means.numel()))
    return (means >= means.flatten().topk(count).values[-1]) & (means > 0) & (means > means.min())


def squares(image: Float[Tensor, "channels height width"], cells: int) -> Float[Tensor, "channels rows columns"]:
    """Means over about ``cells`` squares along the shorter side."""
    height, width = image.shape[1:]
    scale = min(cells, height, width) / min(height, width)
    return F.adaptive_avg_pool2d(image[None].float(), (round(height * scale), round(width * scale)))[0]
