"""Structured pruning: whole channels go, with what computes them and what reads them, and the layers get smaller."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.architectures import BatchNorm
from lib.core.boundary import checked
from lib.core.rules import Share

from .layers import CONVOLUTION, DENSE_AND_CONVOLUTION, check_layer
from .pruning import keep_largest

__all__ = ["channel_plan"]

BATCH_NORMS = (BatchNorm, nn.modules.batchnorm._BatchNorm)


@checked
def channel_plan(
    model: nn.Module,
    layer: str,
    readers: Sequence[str],
    share: Share,
    *,
    scores: Float[Tensor, " channels"] | None = None,
) -> dict[str, Callable[[nn.Module], nn.Module]]:
    """Plan to remove a share of one layer's outputs (filters, units) and what each reader of these has for them.

    Those of the lowest score go, by default of the smallest Euclidean norm of their weights (Li et al. 2017, section 3,
    who take the sum of magnitudes). ``readers`` are all layers that the outputs reach without another layer between
    them: convolutions, dense layers (also behind a flattening, where a channel is several columns), batch norms.

    >>> from lib.core import replaced
    >>> model = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2))
    >>> replaced(model, channel_plan(model, "0", ["2"], 0.5))[2]
    Linear(in_features=3, out_features=2, bias=True)

    Raises:
        TypeError: arguments of another kind, a reader that is none of these layers.
        ValueError: a name that the model does not list or one twice, no reader, a share outside 0 … 1 or one that
            removes every channel, columns that the channels do not divide, scores of another length, grouped convolutions.
    """
    modules = {name: module for name, module in model.named_modules(remove_duplicate=False) if name}
    names = [layer, *readers]
    unknown = [name for name in names if name not in modules]
    if unknown or not readers:
        raise ValueError(
            f"layer and readers must name modules of the model, got {unknown or 'no reader'}; it has {list(modules)}"
        )
    if len({id(modules[name]) for name in names}) < len(names):
        raise ValueError(f"layer and readers must be different modules, got {names}")
    for name in names:
        _check(name, modules[name], len(modules[layer].weight) if name != layer else None)
    weight = modules[layer].weight.detach().flatten(1)
    scores = weight.norm(dim=1) if scores is None else scores
    if len(scores) != len(weight):
        raise ValueError(f"scores must have one number for each of {len(weight)} channels, got {len(scores)}")
    kept = keep_largest(scores[None], share)[0].nonzero().flatten()
    if not len(kept):
        raise ValueError(f"share must leave at least one of {len(weight)} channels, got {share}")
    return {layer: lambda old: _with_outputs(old, kept)} | {
        name: lambda old: _with_inputs(old, kept, len(weight)) for name in readers
    }


def _check(name: str, module: nn.Module, channels: int | None) -> None:
    if channels is not None and isinstance(module, BATCH_NORMS):
        own = module.channels if isinstance(module, BatchNorm) else module.num_features
        if own != channels:
            raise ValueError(f"{name!r} must read {channels} channels, got a batch norm of {own}")
        return
    if not isinstance(module, DENSE_AND_CONVOLUTION):
        raise TypeError(
            f"{name!r} must be a Linear, a Conv2d{' or, reading, a batch norm' if channels else ''}, got {type(module).__name__}"
        )
    check_layer(module)
    if isinstance(module, CONVOLUTION) and module.groups > 1:
        raise ValueError(f"{name!r} must have one group, got {module.groups}")
    if channels is None:
        return
    inputs = module.weight.shape[1]
    if inputs != channels if isinstance(module, CONVOLUTION) else inputs % channels:
        raise ValueError(f"{name!r} must read {channels} channels, got {inputs} input{'s' if inputs > 1 else ''}")


def _with_outputs(layer: nn.Module, kept: Tensor) -> nn.Module:
    _narrow(layer, "weight", 0, kept)
    _narrow(layer, "bias", 0, kept)
    return _renamed(layer, "out", len(kept))


def _with_inputs(layer: nn.Module, kept: Tensor, channels: int) -> nn.Module:
    if isinstance(layer, BATCH_NORMS):
        for name in ("weight", "bias", "running_mean", "running_var"):
            _narrow(layer, name, 0, kept)
        setattr(layer, "channels" if isinstance(layer, BatchNorm) else "num_features", len(kept))
        return layer
    columns = layer.weight.shape[1] // channels  # of each channel, behind a flattening
    columns = (kept[:, None] * columns + torch.arange(columns, device=kept.device)).flatten()
    _narrow(layer, "weight", 1, columns)
    return _renamed(layer, "in", len(columns))


def _narrow(layer: nn.Module, name: str, axis: int, kept: Tensor) -> None:
    tensor = getattr(layer, name)
    if tensor is None:
        return
    narrow = tensor.detach().index_select(axis, kept)
    setattr(layer, name, nn.Parameter(narrow, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else narrow)


def _renamed(layer: nn.Module, side: str, size: int) -> nn.Module:
    """torch's layers also say their sizes."""
    for name in (f"{side}_features", f"{side}_channels"):
        if hasattr(layer, name):
            setattr(layer, name, size)
    return layer
