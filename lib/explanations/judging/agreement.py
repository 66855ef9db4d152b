"""Do two explanations name the same entries, and with the same sign?"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lib.core.validation import check_positive_int
from lib.explanations.calls import check_inputs

from .infidelity import check_attributions

__all__ = ["Agreement", "agreement"]


@dataclass(frozen=True)
class Agreement:
    """Shares of the k entries of largest size that two explanations have in common, one number an example.

    ``entries``: named by both; ``signs``: named by both and with the same sign, so at most ``entries``.
    """

    entries: Float[Tensor, " batch"]
    signs: Float[Tensor, " batch"]


def agreement(
    first: Float[Tensor, "batch *features"], second: Float[Tensor, "batch *features"], *, top: int
) -> Agreement:
    """Compare the ``top`` entries of largest size of two explanations of the same examples.

    Equation: eq-agreement. Krishna et al. 2022, section 3.2.2: feature agreement and sign agreement. Two unrelated rankings
    of n entries share k/n of them on average. Among equal sizes the earlier entry counts as larger. See
    `rank_correlation` for the whole ranking.

    >>> agreement(torch.tensor([[3.0, -2.0, 1.0]]), torch.tensor([[-1.0, -5.0, 0.0]]), top=2)
    Agreement(entries=tensor([1.]), signs=tensor([0.5000]))

    Raises:
        TypeError: values that are not floating point.
        ValueError: shapes that differ, more entries than there are, NaN or infinity.
    """
    check_inputs(first, "first")
    check_attributions(second, first, "second")
    check_positive_int("top", top)
    entries = first[0].numel()
    if top > entries:
        raise ValueError(f"top must be at most the {entries} entries, got {top}")
    first, second = (values.detach().to(first.device).flatten(1) for values in (first, second))
    both = _largest(first, top) & _largest(second, top)
    same = both & (first.sign() == second.sign())
    return Agreement(*(chosen.sum(1).to(first.dtype) / top for chosen in (both, same)))


def _largest(values: Float[Tensor, "batch entries"], top: int) -> Bool[Tensor, "batch entries"]:
    order = values.abs().argsort(dim=1, descending=True, stable=True)
    return torch.zeros_like(values, dtype=torch.bool).scatter_(1, order[:, :top], True)
