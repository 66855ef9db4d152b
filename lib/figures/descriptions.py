"""Explanations of an image in words."""

from collections.abc import Mapping

from jaxtyping import Bool, Float
from torch import Tensor

from .areas import check_maps, extreme_area
from .style import check_options

__all__ = ["describe_attributions"]

_ROWS, _COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")


def describe_attributions(
    attributions: Mapping[str, Float[Tensor, "height width"]],
    *,
    share: float = 0.05,
    regions: Mapping[str, tuple[int, int, int, int]] | None = None,
) -> str:
    """Say for each map where its highest local means lie: the alt text of `show_attributions`, made from the data.

    ``regions`` names parts of the picture by boxes (top, left, bottom, right) in pixels, end exclusive; a part is
    mentioned if it holds at least a fifth of the area, with its percentage to the nearest ten. Boxes may overlap.

    >>> corner = torch.zeros(90, 90)
    >>> corner[:20, :20] = 1.0
    >>> describe_attributions({"saliency": corner}, regions={"ear": (0, 0, 30, 30)})
    'saliency: highest upper left, 100 % on the ear.'

    Raises:
        TypeError: a map that is no floating-point tensor.
        ValueError: no map, one that is not [height, width] or holds NaN, a share out of range, an empty box or
            one outside the picture.
    """
    check_options(share=share, regions=regions)
    check_maps(attributions, share)
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
    highest, lowest = extreme_area(values, share), extreme_area(-values, share)
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
