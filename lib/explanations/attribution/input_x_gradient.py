"""The first-order term of the score, entry by entry."""

from collections.abc import Callable, Sequence

from jaxtyping import Float
from torch import Tensor

from lib.core.targets import Target

from .saliency import saliency

__all__ = ["input_x_gradient"]


def input_x_gradient(
    model: Callable, inputs: Float[Tensor, "batch *features"], target: Target, *, arguments: Sequence[Tensor] = ()
) -> Float[Tensor, "batch *features"]:
    """Each input number times its gradient: x ⊙ ∂f_c / ∂x.

    Equation: eq-input-x-gradient. Discussed in Shrikumar et al. 2017. Units: score. For a linear model these
    are the terms wᵢxᵢ, which add up to the score less its bias; a model that bends keeps no such promise.

    >>> input_x_gradient(lambda x: x @ torch.tensor([[1.0], [-2.0]]), torch.tensor([[3.0, 4.0]]), 0)
    tensor([[ 3., -8.]])

    Raises:
        TypeError: inputs that are not floating point, a target that is no class index.
        ValueError: NaN inputs, a target outside the classes, an output of the wrong rank, no gradient path.
    """
    gradient = saliency(model, inputs, target, arguments=arguments)
    return inputs.detach() * gradient
