"""Dataset examples: on which inputs of a data set is a unit active, most and in between?"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.rules import PositiveInt

from .unit_activations import unit_activations

__all__ = ["DatasetExamples", "dataset_examples"]


@dataclass(frozen=True)
class DatasetExamples:
    """A unit's activation on each input, the rows of the highest ones and of some across its range, each from the highest down."""

    activations: Float[Tensor, " examples"]
    top: Int64[Tensor, " count"]
    spread: Int64[Tensor, " intervals"]


@checked
def dataset_examples(
    model: nn.Module,
    inputs: Tensor,
    *,
    layer: str,
    unit: int | Tensor,
    count: PositiveInt,
    generator: torch.Generator,
    over: Literal["max", "mean"] = "max",
    batch_size: PositiveInt = 256,
) -> DatasetExamples:
    """Find the ``count`` inputs on which a unit or direction of a layer is most active, and others across its range.

    For the others the range from the least to the greatest activation is cut into ``count`` equal intervals, and one
    input is drawn at random from each that holds any (Bricken et al. 2023). The top alone shows what drives
    the unit hardest, not what it usually answers to. Unit, layer and ``over`` are those of `unit_activations`; ties go
    to the earlier input.

    >>> x = torch.tensor([[0.0], [9.0], [10.0], [5.0]])
    >>> found = dataset_examples(
    ...     nn.Sequential(nn.Identity()), x, layer="0", unit=0, count=2, generator=torch.Generator().manual_seed(0)
    ... )
    >>> found.top
    tensor([2, 1])

    Raises:
        TypeError, ValueError: as `unit_activations`; more than there are inputs.
    """
    activations = unit_activations(model, inputs, layer=layer, unit=unit, over=over, batch_size=batch_size)
    if count > len(activations):
        raise ValueError(f"count must be at most the {len(activations)} inputs, got {count}")
    top = activations.argsort(descending=True, stable=True)[:count]
    low, high = activations.min(), activations.max()
    shares = (activations - low) / (high - low).clamp(min=torch.finfo(activations.dtype).tiny)
    interval = (shares * count).long().clamp(max=count - 1)
    # A random order, in which the first input of each interval is the one drawn.
    order = torch.randperm(len(activations), generator=generator, device=generator.device).to(activations.device)
    drawn = [order[interval[order] == which][:1] for which in reversed(range(count))]
    return DatasetExamples(activations, top, torch.cat(drawn))
