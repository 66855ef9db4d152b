"""A backward pass that lets only positive signals through, kept because it fails a sanity check."""

from jaxtyping import Float, Int64
from torch import Tensor, nn

from lib.core.hooks import rewrite

from .gradients import check_inputs, score_gradient

__all__ = ["guided_backprop"]


def guided_backprop(
    model: nn.Module,
    inputs: Float[Tensor, "batch *features"],
    target: int | Int64[Tensor, " batch"],
    *,
    activations: tuple[type[nn.Module], ...] = (nn.ReLU, nn.ReLU6),
) -> Float[Tensor, "batch *features"]:
    """The gradient, with negative values set to zero wherever it enters a ReLU on its way back.

    Equation: eq-guided-backprop. Springenberg et al. 2015. Units: none, this is the gradient of no function.
    Its sharp pictures hardly depend on the upper layers' weights (Adebayo et al. 2018). Only
    modules of the types ``activations`` are changed; a ``relu`` called as a function cannot be seen.

    Raises:
        TypeError: a model that is not a module, inputs that are not floating point.
        ValueError: a model without such modules, and what `saliency` refuses.
    """
    check_inputs(inputs)
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, so that its ReLUs are found, got {type(model).__name__}")
    found = [name for name, module in model.named_modules() if name and isinstance(module, activations)]
    if not found:
        wanted = " or ".join(kind.__name__ for kind in activations)
        raise ValueError(f"model must hold at least one {wanted} as a module, got {type(model).__name__} without any")
    with rewrite(model, dict.fromkeys(found, _let_positive_gradients_through)):
        return score_gradient(model, inputs, target)


def _let_positive_gradients_through(output: Tensor) -> Tensor:
    """ReLU for the gradient that comes back to a ReLU's output; the unit's own rule follows, and both make the guided one."""
    if output.requires_grad:
        output.register_hook(lambda gradient: gradient.clamp(min=0))
    return output
