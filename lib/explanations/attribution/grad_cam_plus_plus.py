"""Grad-CAM++: a map counts by where the score rises with it, not by the mean of its gradient."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from lib.core.targets import Target
from lib.explanations.attribution.grad_cam import enlarged, maps_and_gradient

__all__ = ["grad_cam_plus_plus"]


def grad_cam_plus_plus(
    model: nn.Module,
    inputs: Float[Tensor, "batch channels height width"],
    target: Target,
    *,
    layer: str,
    arguments: Sequence[Tensor] = (),
) -> Float[Tensor, "batch channels height width"]:
    """ReLU(Σ_k w_k A_k) with w_k = Σ_ij α_kij ReLU(g_kij), g = ∂f_c/∂A and α_kij = 1 / (2 + g_kij Σ_ab A_kab) where g > 0.

    Equation: eq-grad-cam-plus-plus. Chattopadhay et al. 2018, equations 10, 16 and 19, for the score exp(f_c) of a
    network that is piecewise linear above the layer: its derivatives are then exp(f_c) gⁿ. The common factor exp(f_c)
    is left out, so the unit is f_c's. ``layer`` is that of `grad_cam_map`, and so is the enlarging. Conserves nothing.

    >>> model = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> grad_cam_plus_plus(model, Tensor([[[[4.0, 8.0]]]]), 0, layer="0")
    tensor([[[[0.5000, 1.0000]]]])

    Raises:
        TypeError, ValueError: as `grad_cam`; maps whose sum is so negative (a layer before its ReLU) that 2 + g ΣA is not positive.
    """
    maps, gradient = maps_and_gradient(model, inputs, target, layer, arguments)
    rising = gradient.clamp(min=0)
    below = 2 + rising * maps.sum(dim=(2, 3), keepdim=True)
    if below.min() <= 0:  # the third derivative outweighs the second
        raise ValueError(
            f"2 + g ΣA must be positive, as it is for maps after a ReLU, got {below.min():.4g} at layer {layer!r}"
        )
    weights = (rising / below).sum(dim=(2, 3), keepdim=True)
    return enlarged((weights * maps).sum(dim=1).clamp(min=0).to(inputs.dtype), inputs)
