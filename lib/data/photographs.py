"""Real photographs, shipped inside scikit-image."""

import skimage.data
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from lib.core.boundary import checked
from lib.core.rules import PositiveInt

__all__ = ["photograph", "photograph_names"]

# Only pictures inside the package itself: the others would be downloaded at first use.
_COLOUR = ("astronaut", "chelsea", "coffee", "hubble_deep_field", "rocket")
_GREY = ("camera", "coins")


def photograph_names() -> tuple[str, ...]:
    """The names that `photograph` knows.

    >>> "coffee" in photograph_names()
    True
    """
    return tuple(sorted(_COLOUR + _GREY))


@checked
def photograph(name: str, *, size: PositiveInt | None = None) -> Float[Tensor, "channels height width"]:
    """Return a photograph with values in [0, 1]: three channels (red, green, blue), or one if it is grey.

    With ``size``, the largest central square, resized to ``size × size`` pixels (bicubic, with a
    low-pass filter before shrinking, so that nothing aliases).

    >>> photograph("coffee", size=64).shape
    torch.Size([3, 64, 64])

    Raises:
        ValueError: an unknown name, or a size below 1.
    """
    if name not in photograph_names():
        raise ValueError(f"photograph must be one of {', '.join(photograph_names())}, got {name!r}")
    pixels = torch.from_numpy(getattr(skimage.data, name)().copy()).float() / 255
    image = pixels.permute(2, 0, 1) if pixels.ndim == 3 else pixels[None]
    if size is None:
        return image.contiguous()
    height, width = image.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[None, :, top : top + side, left : left + side]
    return F.interpolate(square, size=(size, size), mode="bicubic", antialias=True, align_corners=False)[0].clamp(0, 1)
