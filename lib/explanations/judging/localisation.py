"""Do the attributions lie where the answer is known to be?"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lib.explanations.calls import at_least_single, check_inputs

__all__ = ["Localisation", "localisation"]


@dataclass(frozen=True)
class Localisation:
    """What share of an explanation lies inside, three ways, one number an example, each in [0, 1].

    ``mass``: of the sum of the positive attributions; ``rank``: of the K highest entries, where K is how many are
    inside; ``hit``: 1 if the highest entry is inside, else 0. NaN where no attribution is positive.
    """

    mass: Float[Tensor, " batch"]
    rank: Float[Tensor, " batch"]
    hit: Float[Tensor, " batch"]


def localisation(
    attributions: Float[Tensor, "batch *features"], inside: Bool[Tensor, "batch *features"]
) -> Localisation:
    """Hold attributions against the entries that are known to decide.

    Equation: eq-localisation. Relevance mass and rank accuracy of Arras et al. 2022, section 3.2; ``hit`` is the pointing
    game of Zhang et al. 2018. Negative values count as nothing: give the sizes, ``.abs()``, where a sign does not
    matter. Among equal values the earlier entry is the higher one. Chance gives ``inside.mean()`` each time.

    >>> localisation(torch.tensor([[3.0, 1.0, -2.0]]), torch.tensor([[True, False, True]]))
    Localisation(mass=tensor([0.7500]), rank=tensor([0.5000]), hit=tensor([1.]))

    Raises:
        TypeError: attributions that are not floating point, ``inside`` that is not Boolean.
        ValueError: shapes that differ, an example with nothing or everything inside, NaN.
    """
    check_inputs(attributions, "attributions")
    if not isinstance(inside, Tensor) or inside.dtype != torch.bool:
        received = inside.dtype if isinstance(inside, Tensor) else type(inside).__name__
        raise TypeError(f"inside must be a tensor of torch.bool, got {received}")
    if inside.shape != attributions.shape:
        raise ValueError(
            f"inside must have the attributions' shape {tuple(attributions.shape)}, got {tuple(inside.shape)}"
        )
    values, inside = attributions.detach().flatten(1), inside.to(attributions.device).flatten(1)
    values = values.to(at_least_single(values.dtype)).clamp(min=0)
    known = inside.sum(1)
    if (wrong := (known == 0) | (known == inside.shape[1])).any():
        row = int(wrong.nonzero()[0])
        raise ValueError(
            f"inside must mark some entries of each example and not all, got {int(known[row])} in row {row}"
        )
    order = values.argsort(dim=1, descending=True, stable=True)
    ordered = inside.gather(1, order).to(values.dtype)
    highest = torch.arange(values.shape[1], device=values.device) < known[:, None]
    results = (
        (values * inside).sum(1) / values.sum(1),  # 0 / 0 is NaN, as promised
        (ordered * highest).sum(1) / known,
        ordered[:, 0],
    )
    nothing = values.sum(1) == 0
    return Localisation(*(share.masked_fill(nothing, torch.nan).to(attributions.dtype) for share in results))
