"""Where the last feature maps speak for a class: CAM, and Grad-CAM for any network with such maps."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from lib.core.hooks import capture, evaluation_mode, rewrite
from lib.core.targets import target_classes, target_score
from lib.core.validation import check_rank

from .gradients import check_inputs, gradient_of, model_outputs

__all__ = ["class_activation_map", "grad_cam", "grad_cam_map"]


def grad_cam(
    model: nn.Module,
    inputs: Float[Tensor, "batch channels height width"],
    target: int | Int64[Tensor, " batch"],
    *,
    layer: str,
    relu: bool = True,
) -> Float[Tensor, "batch channels height width"]:
    """`grad_cam_map`, enlarged bilinearly to the image; every colour channel carries the same map.

    Raises:
        TypeError: a model that is not a module, inputs that are not floating point.
        ValueError: inputs that are no image batch, and what `grad_cam_map` refuses.
    """
    coarse = grad_cam_map(model, inputs, target, layer=layer, relu=relu)
    fine = F.interpolate(coarse[:, None], size=inputs.shape[2:], mode="bilinear", align_corners=False)
    return fine.repeat(1, inputs.shape[1], 1, 1)


def grad_cam_map(
    model: nn.Module,
    inputs: Float[Tensor, "batch channels height width"],
    target: int | Int64[Tensor, " batch"],
    *,
    layer: str,
    relu: bool = True,
) -> Float[Tensor, "batch rows columns"]:
    """ReLU(Σ_k α_k A_k) with α_k the mean of ∂f_c/∂A_k over the positions of feature map A_k.

    Equation: eq-grad-cam. Selvaraju et al. 2017, equations 1 and 2. ``layer`` names the convolutional layer
    whose maps A are read, at whose resolution the answer stays. Without ``relu``, evidence against the class
    is kept as negative values. Units: score per position. Conserves nothing in general; for a head that pools
    globally and is linear, the number of positions times this map is `class_activation_map`.

    Raises:
        TypeError: a model that is not a module, inputs that are not floating point.
        ValueError: a layer that is not in the model, was not run, has no spatial map or does not reach the score.
    """
    check_rank("inputs", inputs, "batch channels height width")
    check_inputs(inputs)
    target = target_classes(target, len(inputs), inputs.device)
    seen = {}

    def begin_the_graph(output: Tensor) -> Tensor:
        # From here on only: what lies below the layer is run without a graph, and faster.
        torch.set_grad_enabled(True)
        seen[layer] = _feature_maps(output, layer).detach().requires_grad_()
        return seen[layer].clone()  # a copy, which the next layer may change in place

    with evaluation_mode(model), torch.inference_mode(False), torch.no_grad(), rewrite(model, {layer: begin_the_graph}):
        # The copy: what was made in inference mode may take no part in a graph.
        scores = target_score(model_outputs(model, inputs.detach()), target.clone())
        gradient = gradient_of(scores, _seen(seen, layer), f"layer {layer!r}")
    weights = gradient.mean(dim=(2, 3), keepdim=True)  # α: batch × maps × 1 × 1
    total = (weights * seen[layer].detach()).sum(dim=1)
    return total.clamp(min=0) if relu else total


@torch.no_grad()
def class_activation_map(
    model: nn.Module,
    inputs: Float[Tensor, "batch channels height width"],
    target: int | Int64[Tensor, " batch"],
    *,
    layer: str,
    head: str,
) -> Float[Tensor, "batch rows columns"]:
    """Σ_k w_ck A_k, with the weights of the linear ``head`` that follows the global average of ``layer``.

    Equation: eq-class-activation-map. Zhou et al. 2016, equation 2. Units: score. Its mean over the positions
    is the score less the head's bias.

    Raises:
        TypeError: a model that is not a module, inputs that are not floating point, a head without a weight matrix.
        ValueError: a layer that is not in the model or has no spatial map, a head that does not fit the layer.
    """
    check_rank("inputs", inputs, "batch channels height width")
    check_inputs(inputs)
    with evaluation_mode(model), capture(model, [layer, head]) as seen:
        outputs = model_outputs(model, inputs.detach())
    target_score(outputs, target)  # the target must be one of the classes
    maps = _feature_maps(_seen(seen, layer), layer)
    _seen(seen, head)
    weight = getattr(model.get_submodule(head), "weight", None)
    if weight is None or weight.ndim != 2:
        raise TypeError(f"head must name a linear layer, got {head!r}, a {type(model.get_submodule(head)).__name__}")
    if weight.shape != (outputs.shape[1], maps.shape[1]):
        raise ValueError(
            f"head {head!r} must map the {maps.shape[1]} feature maps of {layer!r} to the {outputs.shape[1]} classes, "
            f"got a weight of shape {tuple(weight.shape)}"
        )
    return torch.einsum("bk,bkhw->bhw", weight[target_classes(target, len(inputs), weight.device)], maps)


def _seen(seen: dict[str, Tensor], layer: str) -> Tensor:
    if layer not in seen:
        raise ValueError(f"{layer!r} was not run when the model classified the inputs")
    return seen[layer]


def _feature_maps(output: Tensor, layer: str) -> Float[Tensor, "batch maps rows columns"]:
    if not isinstance(output, Tensor) or output.ndim != 4:
        got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(f"layer {layer!r} must put out maps [batch, maps, rows, columns], got {got}")
    return output
