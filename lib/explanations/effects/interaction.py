"""How much of what columns do together is not the sum of what each does alone?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lib.core.targets import Target
from lib.explanations.calls import explaining

from .columns import check_columns, check_table, rows_at_once, scores_with

__all__ = ["InteractionStrength", "interaction_strength"]


@dataclass(frozen=True)
class InteractionStrength:
    """``share`` is H², the interaction's part of the joint effect's mean square (0 for a sum; above 1 is possible where
    columns are correlated); ``size`` is the interaction's root mean square, in units of the score."""

    share: float
    size: float


def interaction_strength(
    model: Callable,
    inputs: Float[Tensor, "batch features"],
    target: Target,
    feature: int,
    other: int | None = None,
    *,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> InteractionStrength:
    """Friedman's H² of two columns, or of one column with all others together if no other is given.

    Equation: eq-friedman-h. Friedman & Popescu 2008, section 8.1, with partial dependences at the examples, each
    with mean 0. Takes batch² rows of the model (three times as many for a pair): give it a few hundred examples. Where
    the joint effect is constant, no share of it exists, and 0 is given. A large share may be one of nearly nothing: look at ``size``.

    >>> interaction_strength(lambda x: x.prod(1, True), torch.tensor([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]]), 0, 0, 1)
    InteractionStrength(share=1.0, size=1.0)

    Raises:
        TypeError: inputs that are not floating point, a column that is no int, a target that is no class index.
        ValueError: columns that are not there or equal, one column alone, inputs that are no table.
    """
    check_table(inputs)
    pair = [feature] if other is None else [feature, other]
    check_columns("feature and other" if other is not None else "feature", pair, inputs)
    if inputs.shape[1] < 2:
        raise ValueError(f"inputs must have at least 2 columns to interact, got shape {tuple(inputs.shape)}")
    rows = rows_at_once(model, inputs, chunk_size)
    with explaining(model, inputs, target, arguments=arguments, chunk_size=rows) as score:
        alone = scores_with(score, [feature], score.inputs[:, [feature]])  # [value of the column, example]
        first = alone.mean(1)
        if other is None:
            second, together = alone.mean(0), alone.diagonal()
        else:
            second = scores_with(score, [other], score.inputs[:, [other]]).mean(1)
            together = scores_with(score, pair, score.inputs[:, pair]).mean(1)
    return _share(*(effect.double() if effect.device.type == "cpu" else effect for effect in (first, second, together)))


def _share(
    first: Float[Tensor, " batch"], second: Float[Tensor, " batch"], together: Float[Tensor, " batch"]
) -> InteractionStrength:
    rounding = torch.finfo(torch.float32).eps * together.abs().max()
    first, second, together = (effect - effect.mean() for effect in (first, second, together))
    left = (together - first - second).square().mean()
    whole = together.square().mean()
    return InteractionStrength((left / whole).item() if whole > rounding**2 else 0.0, left.sqrt().item())
