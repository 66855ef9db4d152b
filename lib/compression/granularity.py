"""How many numbers share one step: all of a tensor, an output channel, or a group along the inputs of a channel."""

from typing import Literal

from jaxtyping import Shaped
from torch import Tensor

from lib.core.boundary import checked
from lib.core.rules import PositiveInt
from lib.core.validation import check_divisible

__all__ = ["Granularity", "grouped"]

Granularity = Literal["tensor", "channel"] | PositiveInt


@checked
def grouped(
    weight: Shaped[Tensor, "out_channels *inputs"], per: Granularity = "channel"
) -> Shaped[Tensor, "rows groups members"]:
    """View a weight so that the numbers that share a step stand along the last axis.

    ``per="tensor"`` gives [1, 1, all], ``"channel"`` [out, 1, inputs], a group size g [out, inputs/g, g]. A
    convolution's inputs are its channels and taps, flattened. ``grouped(…).reshape(weight.shape)`` undoes it.

    >>> grouped(torch.zeros(4, 6), per=3).shape
    torch.Size([4, 2, 3])

    Raises:
        TypeError: another kind of granularity.
        ValueError: a group size below 1, or one that does not divide the inputs of a channel; another word.
    """
    if per == "tensor":
        return weight.reshape(1, 1, -1)
    rows = weight.flatten(1) if weight.ndim > 1 else weight[:, None]
    if per == "channel":
        return rows[:, None]
    check_divisible("inputs of a channel", rows.shape[1], "group size", per)
    return rows.unflatten(1, (-1, per))
