"""What the layers of a model see while calibration data pass through it."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.hooks import module_mode, watched_inputs
from lib.core.validation import check_finite

from .layers import Geometry

__all__ = ["record_inputs"]


@checked
@torch.no_grad()
def record_inputs(
    model: nn.Module,
    layers: Sequence[str],
    data: Tensor | Iterable,
    *,
    keep: Literal["inputs", "second moments", "mean squares"] = "inputs",
) -> dict[str, Float[Tensor, "..."]]:
    """Pass calibration data through a model once and keep what named dense or convolutional layers receive.

    ``data`` is one batch, or batches; of a tuple or list, such as (inputs, labels), the first is taken. By layer:
    ``"inputs"`` the rows x that its matrix of ``features`` columns is multiplied with, ``[samples, features]`` (of a
    convolution its patches); ``"second moments"`` the mean of x xᵀ, ``[features, features]``; ``"mean squares"`` the
    diagonal of it, ``[features]``, both at least in float32. The model runs in evaluation mode, and each of its
    modules keeps its own mode; no hook is left.

    >>> model = nn.Sequential(nn.ReLU(), nn.Linear(2, 3))
    >>> record_inputs(model, ["1"], torch.tensor([[1.0, -2.0], [3.0, 4.0]]), keep="mean squares")
    {'1': tensor([5., 8.])}

    Raises:
        TypeError: a layer of another kind, data or inputs that are no tensors.
        ValueError: unknown names or one twice, no data, NaN or infinity before a layer, a layer that no data reach,
            a grouped convolution, which has one matrix for each group.
    """
    if len(set(layers)) < len(layers):
        raise ValueError(f"layers must be named once each, got {list(layers)}")
    found = dict(model.named_modules(remove_duplicate=False))
    recorders = {name: _Recorder(name, found.get(name), keep) for name in layers}
    watchers = {name: recorder.see for name, recorder in recorders.items()}
    with watched_inputs(model, watchers), module_mode(model, training=False):
        for batch in (data,) if isinstance(data, Tensor) else data:
            model(_inputs_of(batch))
    return {name: recorder.result() for name, recorder in recorders.items()}


class _Recorder:
    """What one layer has received so far."""

    def __init__(self, name: str, layer: Any, keep: str) -> None:
        self.name, self.keep = name, keep
        # An unknown name is left for the hooks to refuse.
        self.geometry = None if layer is None else Geometry.of(layer)
        if self.geometry and self.geometry.groups > 1:
            raise ValueError(f"layer {name!r} must have one matrix, got a convolution of {layer.groups} groups")
        self.kept: list[Tensor] = []
        self.samples = 0

    def see(self, x: Any) -> None:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            received = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise TypeError(f"the input of layer {self.name!r} must be a floating-point tensor, got {received}")
        check_finite(f"the input of layer {self.name!r}", x)
        rows = self.geometry.rows(x)
        self.samples += len(rows)
        if self.keep == "inputs":
            self.kept.append(rows.clone())
            return
        rows = rows.to(torch.promote_types(x.dtype, torch.float32))
        summed = rows.T @ rows if self.keep == "second moments" else rows.square().sum(0)
        self.kept = [self.kept[0] + summed] if self.kept else [summed]

    def result(self) -> Tensor:
        if not self.samples:
            raise ValueError(f"calibration data must reach every layer, got no example at {self.name!r}")
        return torch.cat(self.kept) if self.keep == "inputs" else self.kept[0] / self.samples


def _inputs_of(batch: Any) -> Tensor:
    inputs = batch[0] if isinstance(batch, tuple | list) and batch else batch
    if not isinstance(inputs, Tensor):
        raise TypeError(f"each batch must be a tensor of inputs or begin with one, got {type(inputs).__name__}")
    return inputs
