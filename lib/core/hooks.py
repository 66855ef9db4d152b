"""Look inside a model while it runs, step in if need be, and leave no trace."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

__all__ = ["capture", "evaluation_mode", "module_mode", "rewrite"]


@contextmanager
def capture(model: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Record the outputs of named layers during forward passes inside the block.

    Yields a dict, layer name → output of the latest call, still attached to the graph. What follows the
    layer receives a copy, so that an operation in place further on does not change the record. The hooks
    are removed at the end of the block, also when the model raises.

    Raises:
        TypeError: not a module.
        ValueError: a name that ``model.named_modules()`` does not list, or none at all.
    """
    outputs: dict[str, Tensor] = {}

    def keeper(name: str) -> Callable:
        def keep(output):
            outputs[name] = output
            return output.clone() if isinstance(output, Tensor) else output

        return keep

    with rewrite(model, {name: keeper(name) for name in layers}):
        yield outputs


@contextmanager
def rewrite(model: nn.Module, changes: Mapping[str, Callable[[Tensor], Tensor]]) -> Iterator[None]:
    """Replace the outputs of named layers by a function of them, inside the block.

    The hooks are removed at the end of the block, also when the model raises.

    Raises:
        TypeError: not a module.
        ValueError: a name that ``model.named_modules()`` does not list, or none at all.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module to have layers by name, got {type(model).__name__}")
    modules = {name: module for name, module in model.named_modules() if name}
    unknown = [name for name in changes if name not in modules]
    if unknown or not changes:
        raise ValueError(f"layers must name modules of the model, got {list(changes)}; it has {list(modules)}")
    handles = []
    try:
        for name, change in changes.items():
            # The default argument binds this round's change; a bare closure would see the last one.
            def hook(_module, _inputs, output, change=change):
                return change(output)

            handles.append(modules[name].register_forward_hook(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def module_mode(model: nn.Module, *, training: bool) -> Iterator[None]:
    """Set train or eval mode inside the block, then give every submodule its own mode back."""
    before = {module: module.training for module in model.modules()}
    try:
        # Assigning to a module's attribute is slow, and most models that are explained are in evaluation mode already.
        if any(was_training != training for was_training in before.values()):
            model.train(training)
        yield
    finally:
        for module, was_training in before.items():
            if module.training != was_training:
                module.training = was_training


@contextmanager
def evaluation_mode(model: Callable) -> Iterator[None]:
    """Evaluation mode inside the block, for a module or a method of one.

    Any other callable has no mode of its own and is left alone.
    """
    module = getattr(model, "__self__", model)
    if not isinstance(module, nn.Module):
        yield
        return
    with module_mode(module, training=False):
        yield
