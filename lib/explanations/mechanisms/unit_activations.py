"""How active one unit of a layer is, or one direction in the layer, on each input."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.hooks import evaluation_mode
from lib.core.rules import PositiveInt
from lib.core.validation import check_finite

from .runs import outputs_once

__all__ = ["activation_of", "unit_activations"]


@checked
def unit_activations(
    model: nn.Module,
    inputs: Tensor,
    *,
    layer: str,
    unit: int | Tensor,
    over: Literal["max", "mean"] = "max",
    batch_size: PositiveInt = 256,
) -> Float[Tensor, " examples"]:
    """The activation of a unit on each input: ``h_u(x)``, or ``h(x) · v`` where ``unit`` is a direction ``v [features]``.

    The layer's features lie on axis 1 of ``[batch, features]`` and ``[batch, channels, height, width]``, on the last axis of
    ``[batch, time, features]``. ``over`` says which number stands for several positions. Evaluation mode, no gradients.

    >>> model = nn.Sequential(nn.Linear(2, 2, bias=False))
    >>> _ = nn.init.eye_(model[0].weight)
    >>> unit_activations(model, torch.tensor([[3.0, 4.0]]), layer="0", unit=torch.tensor([1.0, 1.0]))
    tensor([7.])

    Raises:
        TypeError: not a module, no tensors, a unit that is neither an int nor floating point.
        ValueError: no input, NaN, an unknown layer or one that does not run once, a unit that the layer does not have.
    """
    if not len(inputs):
        raise ValueError(f"inputs must hold at least one example, got shape {tuple(inputs.shape)}")
    if inputs.is_floating_point():
        check_finite("inputs", inputs)
    with evaluation_mode(model), torch.no_grad():
        return torch.cat([activation_of(model, rows, layer, unit, over) for rows in inputs.split(batch_size)])


def activation_of(
    model: nn.Module, inputs: Tensor, layer: str, unit: int | Tensor, over: str
) -> Float[Tensor, " examples"]:
    """The activations of one batch, with a graph if gradients are on.

    Raises:
        TypeError, ValueError: as `unit_activations`.
    """
    output = outputs_once(model, inputs, [layer])[0][layer]
    if not isinstance(output, Tensor) or output.ndim not in (2, 3, 4) or len(output) != len(inputs):
        got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(
            f"layer {layer!r} must give [batch, features], [batch, time, features] or [batch, channels, height, width] "
            f"for the {len(inputs)} examples, got {got}"
        )
    features = output if output.ndim == 3 else output.movedim(1, -1)
    width = features.shape[-1]
    if isinstance(unit, Tensor):
        if not unit.is_floating_point():
            raise TypeError(f"unit must be an int or a floating-point direction, got {unit.dtype}")
        if unit.shape != (width,):
            raise ValueError(f"unit must be a direction of {layer!r}'s {width} features, got shape {tuple(unit.shape)}")
        check_finite("unit", unit)
        values = features @ unit.to(features)
    else:
        if not 0 <= unit < width:
            raise ValueError(f"unit must lie in 0 … {width - 1}, the features of {layer!r}, got {unit}")
        values = features[..., unit]
    check_finite(f"the activations of {layer!r}", values)
    values = values.flatten(1) if values.ndim > 1 else values[:, None]
    return values.amax(1) if over == "max" else values.mean(1)
