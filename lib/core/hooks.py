"""Look inside a model while it runs, step in if need be, and leave no trace."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor, jit, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.utils.hooks import RemovableHandle

from .boundary import checked
from .validation import check_callable

__all__ = ["capture", "evaluation_mode", "module_mode", "rewrite", "rewrite_inputs", "watched_inputs"]

_LOCKS: WeakKeyDictionary[nn.Module, threading.RLock] = WeakKeyDictionary()
_ONE_AT_A_TIME = threading.Lock()


@checked
@contextmanager
def capture(model: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Record the outputs of named layers during forward passes inside the block.

    Yields a dict, layer name → output of the latest call, still attached to the graph. What follows the
    layer receives a copy, so that an operation in place further on does not change the record. The hooks
    are removed at the end of the block, also when the model raises.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> with capture(model, ["0"]) as seen:
    ...     output = model(torch.ones(1, 2))
    >>> torch.equal(seen["0"].relu(), output)
    True

    Raises:
        TypeError: as :func:`rewrite`, or one name where a list of names is asked for.
        ValueError: as :func:`rewrite`.
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

    The hooks are removed at the end of the block, also when the model raises. Until then other threads that come
    here, or to a change of mode, with the same model wait; a plain call of the model in another thread meets the hooks.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> with rewrite(model, {"1": torch.zeros_like}):
    ...     model(torch.ones(1, 2))
    tensor([[0., 0., 0.]])

    Raises:
        TypeError: not a module, or a function that returns None.
        ValueError: a name that ``model.named_modules()`` does not list, none at all, or a compiled model, whose
            code would run past the hooks.
    """

    def hook_for(name: str) -> Callable:
        def hook(_module, _inputs, output):
            changed = changes[name](output)
            if changed is None:  # torch would take that for "unchanged"
                raise TypeError(f"the function for {name!r} must return the layer's new output, got None")
            return changed

        return hook

    with _hooked(model, changes, lambda name, module: module.register_forward_hook(hook_for(name))):
        yield


@contextmanager
def rewrite_inputs(model: nn.Module, changes: Mapping[str, Callable[[Tensor], Tensor]]) -> Iterator[None]:
    """Replace the input of named layers, the first argument of a call, by a function of it, inside the block.

    The hooks are removed at the end of the block, as those of :func:`rewrite`.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> with rewrite_inputs(model, {"1": torch.ones_like}):
    ...     model(torch.ones(1, 2))
    tensor([[1., 1., 1.]])

    Raises:
        TypeError: not a module, or a function that returns None.
        ValueError: as :func:`rewrite`; a layer that is called without an argument.
    """

    def hook_for(name: str) -> Callable:
        def hook(_module, inputs, named):
            if not inputs and not named:
                raise ValueError(f"layer {name!r} must be called with an input to rewrite, got none")
            changed = changes[name](inputs[0] if inputs else next(iter(named.values())))
            if changed is None:
                raise TypeError(f"the function for {name!r} must return the layer's new input, got None")
            return ((changed, *inputs[1:]), named) if inputs else ((), named | {next(iter(named)): changed})

        return hook

    with _hooked(
        model, changes, lambda name, module: module.register_forward_pre_hook(hook_for(name), with_kwargs=True)
    ):
        yield


@contextmanager
def watched_inputs(model: nn.Module, watchers: Mapping[str, Callable[[Any], None]]) -> Iterator[None]:
    """Show each input of named layers, the first argument of a call, to a function, inside the block.

    The hooks are removed at the end of the block, as those of :func:`rewrite`.

    >>> model, shapes = nn.Sequential(nn.Linear(2, 3), nn.ReLU()), []
    >>> with watched_inputs(model, {"1": lambda x: shapes.append(x.shape)}):
    ...     output = model(torch.ones(1, 2))
    >>> shapes
    [torch.Size([1, 3])]

    Raises:
        TypeError: not a module.
        ValueError: as :func:`rewrite`.
    """

    def hook_for(name: str) -> Callable:
        def hook(_module, inputs, named):
            watchers[name](inputs[0] if inputs else next(iter(named.values()), None))

        return hook

    with _hooked(
        model,
        watchers,
        lambda name, module: module.register_forward_pre_hook(hook_for(name), with_kwargs=True),
    ):
        yield


@contextmanager
def _hooked(
    model: nn.Module, functions: Mapping[str, Callable], register: Callable[[str, nn.Module], RemovableHandle]
) -> Iterator[None]:
    """Hooks on named layers inside the block: what names are refused, who waits, and that none is left."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module to have layers by name, got {type(model).__name__}")
    if not isinstance(functions, Mapping) or not all(map(callable, functions.values())):
        raise TypeError(f"layers must be given functions, in a dict by name, got {functions!r}")
    layers = list(functions)
    # A layer that stands in the model twice answers to both names.
    every = dict(model.named_modules(remove_duplicate=False))
    modules = {name: module for name, module in every.items() if name}
    unknown = [name for name in layers if name not in modules]
    if unknown or not layers:
        raise ValueError(f"layers must name modules of the model, got {layers}; it has {list(modules)}")
    compiled = [name or "the model" for name, module in every.items() if _is_compiled(module)]
    if compiled:
        raise ValueError(f"layers of a compiled model run past hooks, got {compiled[0]} compiled: give it uncompiled")
    handles = []
    with one_at_a_time(model):
        try:
            for name in layers:
                handles.append(register(name, modules[name]))
            yield
        finally:
            for handle in handles:
                handle.remove()


@contextmanager
def module_mode(model: nn.Module, *, training: bool) -> Iterator[None]:
    """Set train or eval mode inside the block, then give every submodule its own mode back.

    A model that is in training mode already keeps the modules that somebody has frozen in evaluation mode.
    """
    before = {}
    with one_at_a_time(model):
        try:
            if not (training and model.training):
                _set_modes(model, training, before)
            yield
        finally:
            _restore(before)


@contextmanager
def evaluation_mode(model: Callable) -> Iterator[None]:
    """Evaluation mode inside the block, for a module, a method of one, or whatever modules another callable runs.

    A lambda, a partial or an object that holds modules does not say which: each module that this thread calls
    inside the block is switched, with all that it holds, just before it runs. (What runs only as
    ``module.forward(x)``, without its hooks, is not seen.) Afterwards every module has its own mode again.

    >>> model = nn.Dropout(0.5)
    >>> with evaluation_mode(model):
    ...     model(torch.ones(3))
    tensor([1., 1., 1.])
    >>> model.training
    True
    """
    check_callable("model", model)
    module, before, thread = getattr(model, "__self__", model), {}, threading.get_ident()
    if isinstance(module, nn.Module):
        with module_mode(module, training=False):
            yield
        return

    def switch(module: nn.Module, _inputs) -> None:
        if threading.get_ident() == thread:
            _set_modes(module, False, before)

    handle = register_module_forward_pre_hook(switch)
    try:
        yield
    finally:
        handle.remove()
        _restore(before)


@contextmanager
def one_at_a_time(model: nn.Module) -> Iterator[None]:
    """Let one thread at a time change a model: a second one would take the first one's hooks and modes for the model's own."""
    with _ONE_AT_A_TIME:
        lock = _LOCKS.setdefault(model, threading.RLock())
    with lock:
        yield


def _is_compiled(module: nn.Module) -> bool:
    if isinstance(module, jit.ScriptModule):  # by TorchScript, whose modules take no hooks
        return True
    return type(module).__name__ == "OptimizedModule" or module._compiled_call_impl is not None


def _set_modes(model: nn.Module, training: bool, before: dict[nn.Module, bool]) -> None:
    """Give every module of ``model`` one mode, and note the mode of each that had another."""
    # Flag by flag: an exported program refuses train() and eval(), and most models are in the right mode already.
    for module in model.modules():
        if module.training != training:
            before.setdefault(module, module.training)
            module.training = training


def _restore(before: dict[nn.Module, bool]) -> None:
    for module, was_training in before.items():
        module.training = was_training
