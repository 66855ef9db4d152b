"""Where the last feature maps speak for a class: CAM, and Grad-CAM for any network with such maps."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lib.core.hooks import rewrite
from lib.core.targets import Target
from lib.core.validation import check_rank, check_switch
from lib.explanations.calls import Score, at_least_single, explaining, gradient_of

__all__ = ["class_activation_map", "grad_cam", "grad_cam_map"]


def grad_cam(
    model: nn.Module,
    inputs: Float[Tensor, "batch channels height width"],
    target: Target,
    *,
    layer: str,
    relu: bool = True,
    arguments: Sequence[Tensor] = (),
) -> Float[Tensor, "batch channels height width"]:
    """`grad_cam_map`, enlarged bilinearly to the image; every colour channel carries the same map.

    >>> model = torch.nn.Sequential(torch.nn.Identity(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    >>> grad_cam(model, torch.tensor([[[[4.0, -8.0]]]]), 0, layer="0")
    tensor([[[[2., 0.]]]])

    Raises:
        TypeError: a model that is not a module, inputs that are not floating point.
        ValueError: inputs that are no image batch, and what `grad_cam_map` refuses.
    """
    return enlarged(grad_cam_map(model, inputs, target, layer=layer, relu=relu, arguments=arguments), inputs)


def grad_cam_map(
    model: nn.Module,
    inputs: Float[Tensor, "batch channels height width"],
    target: Target,
    *,
    layer: str,
    relu: bool = True,
    arguments: Sequence[Tensor] = (),
) -> Float[Tensor, "batch rows columns"]:
    """ReLU(Σ_k β_k A_k) with β_k (α in the paper) the mean of ∂f_c/∂A_k over the positions of feature map A_k.

    Equation: eq-grad-cam. Selvaraju et al. 2017, equations 1 and 2. ``layer`` names the convolutional layer
    whose maps A are read, at whose resolution the answer stays; of a layer that runs several times, the last run
    that put out maps counts. Without ``relu``, evidence against the class is kept as negative values. Units: score
    per position. Conserves nothing in general; for a head that pools globally and is linear, the number of positions
    times this map is `class_activation_map`.

    >>> model = torch.nn.Sequential(torch.nn.Identity(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    >>> grad_cam_map(model, torch.tensor([[[[4.0, -8.0]]]]), 0, layer="0", relu=False)
    tensor([[[ 2., -4.]]])

    Raises:
        TypeError: a model that is not a module, inputs that are not floating point.
        ValueError: a layer that is not in the model, was not run, has no spatial map or does not reach the score.
    """
    check_switch(relu=relu)
    maps, gradient = maps_and_gradient(model, inputs, target, layer, arguments)
    weights = gradient.mean(dim=(2, 3), keepdim=True)  # β: batch × maps × 1 × 1
    total = (weights * maps).sum(dim=1).to(inputs.dtype)
    return total.clamp(min=0) if relu else total


def maps_and_gradient(
    model: nn.Module,
    inputs: Float[Tensor, "batch channels height width"],
    target: Target,
    layer: str,
    arguments: Sequence[Tensor],
) -> tuple[Float[Tensor, "batch maps rows columns"], Float[Tensor, "batch maps rows columns"]]:
    """The maps of a layer and the score's gradient by them, at least in single precision.

    Raises:
        TypeError, ValueError: as `grad_cam_map`.
    """
    check_rank("inputs", inputs, "batch channels height width")
    with explaining(model, inputs, target, arguments=arguments) as score:
        # At first a graph begins at the layer only, which is faster. A model that enters and leaves no_grad itself
        # switches it off again on the way; then the whole is recorded.
        for record_all in (False, True):
            with torch.set_grad_enabled(record_all):
                maps, scores = _maps_and_scores(score, layer, graph=True)
            if scores.requires_grad:
                break
        gradient = gradient_of(scores, maps, f"layer {layer!r}")
    precision = at_least_single(maps.dtype)
    return maps.detach().to(precision), gradient.to(precision)


def enlarged(
    coarse: Float[Tensor, "batch rows columns"], inputs: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, "batch channels height width"]:
    """A coarse map in the form of the images: bilinear, and the same for every colour channel."""
    fine = F.interpolate(coarse[:, None], size=inputs.shape[2:], mode="bilinear", align_corners=False)
    return fine.repeat(1, inputs.shape[1], 1, 1)


def class_activation_map(
    model: nn.Module,
    inputs: Float[Tensor, "batch channels height width"],
    target: Target,
    *,
    layer: str,
    head: str,
    arguments: Sequence[Tensor] = (),
) -> Float[Tensor, "batch rows columns"]:
    """Σ_k w_ck A_k, with the weights of the linear ``head`` that follows the global average of ``layer``.

    Equation: eq-class-activation-map. Zhou et al. 2016, equation 2. Units: score. Its mean over the positions
    is the score less the head's bias, which is checked: it holds for no other pooling and no other head.

    >>> head = torch.nn.Linear(1, 1)
    >>> _ = torch.nn.init.constant_(head.weight, 3.0)
    >>> model = torch.nn.Sequential(torch.nn.Identity(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), head)
    >>> class_activation_map(model, torch.tensor([[[[4.0, -8.0]]]]), 0, layer="0", head="3")
    tensor([[[ 12., -24.]]])

    Raises:
        TypeError: a model that is not a module, inputs that are not floating point, a head without a weight matrix.
        ValueError: a layer that is not in the model or has no spatial map, a head that does not fit the layer, or a
            model that computes its score in another way.
    """
    check_rank("inputs", inputs, "batch channels height width")
    with explaining(model, inputs, target, arguments=arguments) as score:
        maps, scores = _maps_and_scores(score, layer, head, graph=False)
        last = score.model.get_submodule(head)
        weight, bias = getattr(last, "weight", None), getattr(last, "bias", None)
        if weight is None or weight.ndim != 2:
            raise TypeError(f"head must name a linear layer, got {head!r}, a {type(last).__name__}")
        if weight.shape != (score.classes, maps.shape[1]):
            raise ValueError(
                f"head {head!r} must map the {maps.shape[1]} feature maps of {layer!r} to the {score.classes} classes, "
                f"got a weight of shape {tuple(weight.shape)}"
            )
        precision = at_least_single(maps.dtype)
        terms = weight[score.target].to(precision)[:, :, None, None] * maps.to(precision)
        total = terms.sum(dim=1)
        constant = 0 if bias is None else bias[score.target].to(precision)
        missed = (total.mean(dim=(1, 2)) + constant - scores).abs()
        # Rounding: a thousandth of the terms, or a few units in the last place of the halves that the model works in.
        allowed = max(1e-3, 8 * torch.finfo(scores.dtype).eps, 8 * torch.finfo(maps.dtype).eps)
        if (missed > allowed * (terms.abs().sum(dim=1).mean(dim=(1, 2)) + abs(constant))).any():
            raise ValueError(
                f"the score must be the head {head!r} of the mean of the maps of {layer!r}, "
                f"got scores that differ from it by up to {missed.max():.4g}; use grad_cam"
            )
        return total.to(inputs.dtype)


def _maps_and_scores(
    score: Score, layer: str, *others: str, graph: bool
) -> tuple[Float[Tensor, "batch maps rows columns"], Float[Tensor, " batch"]]:
    """Run the model once; with ``graph``, one begins at the maps of ``layer``.

    Raises:
        TypeError: a model that is not a module, a layer that is no name.
        ValueError: a layer that is not in the model, did not run, or put out no maps; one of ``others`` likewise.
    """
    for name in (layer, *others):
        if not isinstance(name, str):
            raise TypeError(
                f"layer and head must be names, as model.named_modules() has them, got {type(name).__name__}"
            )
    ran, maps = {}, []

    def keep(output: Tensor) -> Tensor:
        ran[layer] = output
        if not isinstance(output, Tensor) or output.ndim != 4:
            return output  # the layer serves elsewhere too, as a shared ReLU does in the dense head
        with torch.inference_mode(False):  # the model may run the layer in there, too
            output = output.clone() if output.is_inference() else output
            maps.append(output.detach().requires_grad_(graph))
            output = maps[-1].clone()  # which the next layer may change in place
        if graph:
            torch.set_grad_enabled(True)
        return output

    def note(name: str) -> Callable:
        def see(output):
            ran[name] = output
            return output

        return see

    with rewrite(score.model, {name: note(name) for name in (layer, *others)} | {layer: keep}):
        scores = score.of(score.inputs, score.rows)
    for name in (layer, *others):
        if name not in ran:
            raise ValueError(f"{name!r} was not run when the model classified the inputs")
    if not maps:
        output = ran[layer]
        got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(f"layer {layer!r} must put out maps [batch, maps, rows, columns], got {got}")
    return maps[-1], scores
