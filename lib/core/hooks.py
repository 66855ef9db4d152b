"""Look inside a model while it runs, and leave no trace."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

__all__ = ["capture"]


@contextmanager
def capture(model: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Record the outputs of named layers during forward passes inside the block.

    Yields a dict, layer name → output of the latest call, still attached to the graph. The hooks are
    removed at the end of the block, also when the model raises.

    Raises:
        ValueError: a name that ``model.named_modules()`` does not list, or none at all.
    """
    modules = {name: module for name, module in model.named_modules() if name}
    unknown = [name for name in layers if name not in modules]
    if unknown or not layers:
        raise ValueError(f"layers must name modules of the model, got {list(layers)}; it has {list(modules)}")
    outputs: dict[str, Tensor] = {}
    handles = []
    try:
        for name in layers:
            # The default argument binds this round's name; a bare closure would see the last one.
            def keep(_module, _inputs, output, name=name):
                outputs[name] = output

            handles.append(modules[name].register_forward_hook(keep))
        yield outputs
    finally:
        for handle in handles:
            handle.remove()
