"""Folding a batch norm into the layer before it: two affine maps in a row are one."""

import copy
from collections.abc import Mapping

import torch
from torch import nn

from lib.core.boundary import checked
from lib.core.surgery import replaced

from .channel_normalization import BatchNorm
from .convolution import Conv1d, Conv2d
from .dense import Linear

__all__ = ["fold_batch_norms", "folded"]


@checked
@torch.no_grad()
def folded(layer: Conv2d | Conv1d | Linear, norm: BatchNorm) -> nn.Module:
    """Return a copy of a layer that computes what the layer and a batch norm after it compute in evaluation mode.

    Equation: eq-fold-batch-norm

    With ``s = weight / √(running_var + eps)`` of the norm, one number a channel, each filter becomes ``s`` times what it
    was, and the bias ``s · (bias − running_mean)`` plus the norm's.

    >>> folded(Linear(3, 2), BatchNorm(2).eval())(torch.zeros(1, 3)).shape
    torch.Size([1, 2])

    Raises:
        TypeError: another kind of layer or norm.
        ValueError: a norm in training mode, which is not affine, or of another number of channels.
    """
    if norm.training:
        raise ValueError(
            "norm must be in evaluation mode, since only its running statistics can be folded; call eval()"
        )
    if norm.channels != len(layer.weight):
        raise ValueError(f"norm must have the {len(layer.weight)} channels of the layer, got {norm.channels}")
    new = copy.deepcopy(layer)
    wide = torch.promote_types(layer.weight.dtype, torch.float32)  # half precision is rounded once, at the end
    scale = torch.rsqrt(norm.running_var.to(wide) + norm.eps)
    scale = scale if norm.weight is None else scale * norm.weight
    bias = -norm.running_mean.to(wide) if layer.bias is None else layer.bias.to(wide) - norm.running_mean
    bias = bias * scale if norm.bias is None else bias * scale + norm.bias
    new.weight.copy_(layer.weight * scale.view(-1, *[1] * (layer.weight.ndim - 1)))
    new.bias = nn.Parameter(bias.to(layer.weight.dtype))
    return new


@checked
def fold_batch_norms(model: nn.Module, pairs: Mapping[str, str]) -> nn.Module:
    """Return a copy of a model in evaluation mode without the batch norms that ``pairs`` names.

    ``pairs`` gives each layer, by name, the norm that reads its output, and its output only. A model's names do not
    say what reads what, so the caller does; compare outputs afterwards. An ``Identity`` stands where a norm stood.

    >>> model = nn.Sequential(Linear(3, 2), BatchNorm(2)).eval()
    >>> fold_batch_norms(model, {"0": "1"})[1]
    Identity()

    Raises:
        TypeError: modules of another kind than :func:`folded` takes.
        ValueError: names that the model does not have, a module in two pairs; as :func:`folded`.
    """
    names = [*pairs, *pairs.values()]
    modules = dict(model.named_modules(remove_duplicate=False))
    unknown = [name for name in names if name not in modules]
    if unknown or not names:
        raise ValueError(f"pairs must name modules of the model, got {unknown or 'no name'}; it has {[*modules][1:]}")
    if len({id(modules[name]) for name in names}) < len(names):
        raise ValueError(f"each layer and each norm must stand in one pair, got {dict(pairs)}")
    layers = {name: folded(modules[name], modules[norm]) for name, norm in pairs.items()}
    plan = {name: lambda _, new=layer: new for name, layer in layers.items()}
    return replaced(model, plan | {name: lambda _: nn.Identity() for name in pairs.values()})
