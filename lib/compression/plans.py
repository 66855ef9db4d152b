"""Plans for :func:`~lib.core.surgery.replaced`: which layers of a model a technique changes."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import nn

from lib.core.boundary import checked

from .layers import DENSE_AND_CONVOLUTION
from .packed import PackedLayer

__all__ = ["layers_of", "plan_for"]

Change = Callable[..., nn.Module]
Plan = dict[str, Callable[[nn.Module], nn.Module]]


@checked
def plan_for(
    model: nn.Module,
    change: Change,
    *,
    kinds: type | tuple[type, ...] = DENSE_AND_CONVOLUTION,
    only: Sequence[str] | None = None,
    except_: Sequence[str] = (),
    given: Mapping[str, Any] | None = None,
) -> Plan:
    """Name the layers that ``change`` is to replace: all of the given kinds, or ``only`` these, and not ``except_``.

    The kinds are dense layers and two-dimensional convolutions of :mod:`lib.architectures` and of torch, unless
    others are asked for. ``change`` gets the layer; with ``given``, such as masks or recorded inputs by layer, also
    what is given for it. A layer that stands in the model twice is named once.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    >>> list(plan_for(model, lambda layer: nn.Linear(4, 8), except_=["2"]))
    ['0']

    Raises:
        TypeError: arguments of another kind, a ``change`` that is a module.
        ValueError: no layer left, a name that is no such layer or stands twice, a layer within another, nothing
            given for a layer.
    """
    if isinstance(change, nn.Module):
        raise TypeError(f"change must be a function from the old layer to the new one, got {type(change).__name__}")
    layers = layers_of(model, kinds=kinds, only=only, except_=except_)
    if given is None:
        return dict.fromkeys(layers, change)
    missing = [name for name in layers if name not in given]
    if missing:
        raise ValueError(
            f"given must hold something for each layer, got nothing for {missing[0]!r}; it has {list(given)}"
        )
    return {name: partial(_with, change, given[name]) for name in layers}


@checked
def layers_of(
    model: nn.Module,
    *,
    kinds: type | tuple[type, ...] = DENSE_AND_CONVOLUTION,
    only: Sequence[str] | None = None,
    except_: Sequence[str] = (),
) -> dict[str, nn.Module]:
    """The layers that :func:`~lib.compression.plans.plan_for` would name, by name; what has been packed before counts as the layer that it was.

    >>> list(layers_of(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)), only=["2"]))
    ['2']

    Raises:
        TypeError: as :func:`~lib.compression.plans.plan_for`.
        ValueError: as :func:`~lib.compression.plans.plan_for`.
    """
    # Both names of a layer that stands in the model twice may be asked for.
    names = {name: layer for name, layer in model.named_modules(remove_duplicate=False) if name}
    layers = {name: layer for name, layer in names.items() if _is_one_of(layer, kinds)}
    for argument, asked in (("only", only or ()), ("except_", except_)):
        unknown = [name for name in asked if name not in layers]
        if unknown:
            raise ValueError(
                f"{argument} must name layers of the kinds {_words(kinds)}, got {unknown}; there are {list(layers)}"
            )
        twice = [name for name, count in Counter(id(layers[name]) for name in asked).items() if count > 1]
        if twice:
            named = [name for name in asked if id(layers[name]) in twice]
            raise ValueError(f"{argument} must name each layer once, got {named}")
    left_out = {id(layers[name]) for name in except_}
    chosen: dict[int, str] = {}
    for name in layers if only is None else only:
        if id(layers[name]) not in left_out:
            chosen.setdefault(id(layers[name]), name)
    if not chosen:
        raise ValueError(
            f"the plan must name a layer of the kinds {_words(kinds)}, got none; the model has {list(layers)}"
        )
    for name in chosen.values():
        inner = [other for other in chosen.values() if other.startswith(f"{name}.")]
        if inner:
            raise ValueError(f"the plan must not name a layer within another, got {name!r} and {inner[0]!r}")
    return {name: layers[name] for name in chosen.values()}


def _is_one_of(layer: nn.Module, kinds: type | tuple[type, ...]) -> bool:
    return isinstance(layer, kinds) or (isinstance(layer, PackedLayer) and kinds == DENSE_AND_CONVOLUTION)


def _with(change: Change, given: Any, layer: nn.Module) -> nn.Module:
    return change(layer, given)


def _words(kinds: type | tuple[type, ...]) -> str:
    return " or ".join(sorted({kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,))}))
