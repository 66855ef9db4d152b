"""Where a token stands: attention does not see it, so that it is added to the token, turned into it, or taken off the scores."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.precision import in_float32
from lib.core.rules import NonNegativeInt, PositiveFloat, PositiveInt
from lib.core.validation import check_divisible

__all__ = ["LearnedPositions", "alibi", "rotary", "sinusoidal_positions"]


@checked
def sinusoidal_positions(
    time: PositiveInt, width: PositiveInt, *, start: NonNegativeInt = 0, base: PositiveFloat = 10_000.0
) -> Float[Tensor, "time width"]:
    """Give each position its values of ``width/2`` sines and as many cosines (Vaswani et al. 2017, section 3.5).

    Equation: eq-sinusoidal-positions

    Features 2i and 2i + 1 are the sine and the cosine of position / base^(2i/width): wavelengths from 2π to
    2π · base positions. The row of position p + k is a rotation of the row of p, the same for all p.

    >>> sinusoidal_positions(2, 2)
    tensor([[0.0000, 1.0000],
            [0.8415, 0.5403]])

    Raises:
        TypeError: sizes that are not ints.
        ValueError: no position, one of 2**53 or more, a width that is not even, a base that is not positive.
    """
    angles = _angles(time, width, start, base)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1).float()


class LearnedPositions(nn.Module):
    """Add to each token the row of its position, in a table that is learned (Gehring et al. 2017, section 3.1).

    Equation: eq-learned-positions

    The table has one row for each position that training can meet, and no more. It starts normal with standard
    deviation 0.02.

    >>> LearnedPositions(16, 8)(torch.zeros(1, 5, 8), start=11).shape
    torch.Size([1, 5, 8])

    Raises:
        TypeError: sizes or a start that are not ints, integer tensors.
        ValueError: sizes below 1; in the call a position beyond the table, a negative start.
    """

    @checked
    def __init__(self, context: PositiveInt, width: PositiveInt) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(context, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=0.02)

    @checked
    def forward(
        self, x: Float[Tensor, "*batch time width"], *, start: NonNegativeInt = 0
    ) -> Float[Tensor, "*batch time width"]:
        end, (context, width) = start + x.shape[-2], self.weight.shape
        if end > context:
            raise ValueError(f"the table has positions 0 to {context - 1}, got {start} to {end - 1}")
        if x.shape[-1] != width:
            raise ValueError(f"x must have the width of the table, {width}, got {x.shape[-1]}")
        return x + self.weight[start:end]

    def extra_repr(self) -> str:
        return "context={}, width={}".format(*self.weight.shape)


@checked
@in_float32
def rotary(
    x: Float[Tensor, "*leading time head_dim"],
    *,
    start: NonNegativeInt = 0,
    base: PositiveFloat = 10_000.0,
    pairs: Literal["neighbours", "halves"] = "neighbours",
) -> Float[Tensor, "*leading time head_dim"]:
    """Turn each pair of features by an angle that grows with the position (Su et al. 2021, equation 34).

    Equation: eq-rotary

    Pair i of position p turns by p / base^(2i/head_dim). A query and a key so turned have a product that depends on
    their distance alone, and lengths stay. The paper pairs neighbours; Llama in the files of Hugging Face pairs
    feature i with i + head_dim/2, which is the same after a fixed exchange of features.

    >>> rotary(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))  # the second position is turned by 1 radian
    tensor([[1.0000, 0.0000],
            [0.5403, 0.8415]])

    Raises:
        TypeError: integer tensors, a start that is not an int.
        ValueError: a head_dim that is not even, a negative start, positions of 2**53 or more, a base that is not positive,
            other pairs.
    """
    # Computed and rounded before it moves: not every device has float64.
    angles = _angles(x.shape[-2], x.shape[-1], start, base, device="cpu")
    cos, sin = (turn.to(x.dtype).to(x.device) for turn in (angles.cos(), angles.sin()))
    if pairs == "neighbours":
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


@checked
def alibi(heads: PositiveInt, queries: PositiveInt, keys: PositiveInt) -> Float[Tensor, "1 heads queries keys"]:
    """Penalize each score by the distance of query and key, each head at its own rate (Press et al. 2022, section 3).

    Equation: eq-alibi

    The ``bias`` of :func:`~lib.architectures.attention.attention`: minus m times the distance, for n = 8 heads with
    m = 2⁻¹, 2⁻², … 2⁻⁸, for another power of two with m = 2^(−8h/n). Queries are the last positions of the keys.
    Between powers of two, the heads that are missing take every second rate of twice as many.

    >>> alibi(8, 1, 3)[0, 0]
    tensor([[-1.0000, -0.5000,  0.0000]])

    Raises:
        TypeError: sizes that are not ints.
        ValueError: sizes below 1, more queries than keys.
    """
    if queries > keys:
        raise ValueError(f"each query must have a key, got {queries} queries and {keys} keys")
    full = 2 ** int(math.log2(heads))
    rates = [2 ** (-8 * h / full) for h in range(1, full + 1)]
    rates += [2 ** (-4 * h / full) for h in range(1, 2 * full, 2)][: heads - full]
    distance = (torch.arange(keys - queries, keys)[:, None] - torch.arange(keys)).abs()
    return torch.tensor(rates)[None, :, None, None] * -distance


def _angles(time: int, width: int, start: int, base: float, device: str | None = None) -> Float[Tensor, "time pairs"]:
    """The angle of each position and pair of features, in float64: of position 100,000 float32 keeps two decimals."""
    check_divisible("width", width, "pairs of", 2)
    if start + time > 2**53:
        raise ValueError(
            f"positions must lie below 2**53, where float64 tells neighbours apart, got {start + time - 1}"
        )
    numbers = {"dtype": torch.float64, "device": device}
    rates = base ** (-torch.arange(0, width, 2, **numbers) / width)
    return torch.arange(start, start + time, **numbers)[:, None] * rates
