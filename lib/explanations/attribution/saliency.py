"""The gradient itself."""

from collections.abc import Callable, Sequence

from jaxtyping import Float
from torch import Tensor

from lib.core.targets import Target
from lib.explanations.calls import explaining

__all__ = ["saliency"]


def saliency(
    model: Callable, inputs: Float[Tensor, "batch *features"], target: Target, *, arguments: Sequence[Tensor] = ()
) -> Float[Tensor, "batch *features"]:
    """How the score of the target class answers a small change of each input number: ∂f_c / ∂x.

    Equation: eq-saliency. Simonyan et al. 2014, section 3, with the sign kept; their map is the absolute
    value, its maximum over the colours. Units: score per unit of input. Conserves nothing.

    >>> saliency(lambda x: x**2, torch.tensor([[1.0, 3.0]]), 1)
    tensor([[0., 6.]])

    Raises:
        TypeError: inputs that are not floating point, a target that is no class index.
        ValueError: NaN inputs, a target outside the classes, an output of the wrong rank, no gradient path.
    """
    with explaining(model, inputs, target, arguments=arguments) as score:
        return score.gradient(score.inputs, score.rows)
