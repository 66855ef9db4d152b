"""The first-order term of the score, entry by entry."""

from collections.abc import Callable

from jaxtyping import Float, Int64
from torch import Tensor

from .saliency import saliency

__all__ = ["input_x_gradient"]


def input_x_gradient(
    model: Callable, inputs: Float[Tensor, "batch *features"], target: int | Int64[Tensor, " batch"]
) -> Float[Tensor, "batch *features"]:
    """Each input number times its gradient: x ⊙ ∂f_c / ∂x.

    Equation: eq-input-x-gradient. Discussed in Shrikumar et al. 2017. Units: score. For a linear model these
    are the terms wᵢxᵢ, which add up to the score less its bias; a model that bends keeps no such promise.

    Raises:
        TypeError: inputs that are not floating point, a target that is no class index.
        ValueError: NaN inputs, a target outside the classes, an output of the wrong rank, no gradient path.
    """
    gradient = saliency(model, inputs, target)
    return inputs.detach() * gradient
