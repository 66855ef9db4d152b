"""Change a built model by a plan: tensor parallelism, quantization, low rank and ablation are such plans."""

import copy
from collections.abc import Callable, Mapping

from torch import nn

__all__ = ["replaced"]


def replaced(model: nn.Module, plan: Mapping[str, Callable[[nn.Module], nn.Module]]) -> nn.Module:
    """Return a copy of a model in which each module that the plan names is a function of the old one.

    ``replaced(model, {"head": low_rank})`` puts ``low_rank(head)`` where ``head`` stood, also inside wrappers and
    under every other name of a shared module. The function receives a copy, so the model stays as it was and
    the two share no parameter; parameters that were tied stay tied in the copy as long as the function keeps them.
    Where one name contains another, the inner module is replaced first. On the meta device copying costs nothing.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.Tanh())
    >>> replaced(model, {"1": lambda old: nn.ReLU()})[1]
    ReLU()

    Raises:
        TypeError: not a module, a plan that holds no functions, a function that returns no module.
        ValueError: a name that ``model.named_modules()`` does not list, no name at all, or two functions for one module.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module to have modules by name, got {type(model).__name__}")
    if not isinstance(plan, Mapping):
        raise TypeError(f"plan must be a dict from names to functions, got {type(plan).__name__}")
    modules = {name: module for name, module in model.named_modules(remove_duplicate=False) if name}
    unknown = [name for name in plan if name not in modules]
    if unknown or not plan:
        raise ValueError(f"the plan must name modules of the model, got {unknown or 'no name'}; it has {list(modules)}")
    changes = {}
    for name, change in plan.items():
        if isinstance(change, nn.Module) or not callable(change):
            raise TypeError(
                f"the plan must give {name!r} a function from the old module to the new one, got {change!r}"
            )
        if changes.setdefault(modules[name], change) is not change:
            raise ValueError(
                f"the plan must give one function for each module, got another one for {name!r}, which is shared"
            )
    copies: dict[int, nn.Module] = {}  # what deepcopy already has a copy of, by the original's id
    # A module has more modules inside it than any module within it has: the inner ones come first.
    for module, change in sorted(changes.items(), key=lambda item: sum(1 for _ in item[0].modules())):
        new = change(copy.deepcopy(module, copies))
        if not isinstance(new, nn.Module):
            names = [name for name, other in modules.items() if other is module]
            raise TypeError(f"the function for {names[0]!r} must return a torch.nn.Module, got {type(new).__name__}")
        copies[id(module)] = new
    return copy.deepcopy(model, copies)
