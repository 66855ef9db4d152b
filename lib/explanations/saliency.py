"""The gradient itself."""

from collections.abc import Callable

from jaxtyping import Float, Int64
from torch import Tensor

from .gradients import check_inputs, score_gradient

__all__ = ["saliency"]


def saliency(
    model: Callable, inputs: Float[Tensor, "batch *features"], target: int | Int64[Tensor, " batch"]
) -> Float[Tensor, "batch *features"]:
    """How the score of the target class answers a small change of each input number: ∂f_c / ∂x.

    Equation: eq-saliency. Simonyan et al. 2014, section 3, with the sign kept; their map is the absolute
    value, its maximum over the colours. Units: score per unit of input. Conserves nothing.

    Raises:
        TypeError: inputs that are not floating point, a target that is no class index.
        ValueError: NaN inputs, a target outside the classes, an output of the wrong rank, no gradient path.
    """
    check_inputs(inputs)
    return score_gradient(model, inputs, target)
