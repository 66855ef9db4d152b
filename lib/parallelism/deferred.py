"""A model that is built without memory, and drawn afterwards by each rank in its own part.

torch draws first weights in the order in which layers are built. Under the meta device nothing is drawn; so each draw is
noted, with the state of the random numbers at that moment, and can be repeated for one parameter alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lib.core import fixed_seed

from .sharded_state import WHOLE, own_part, placements

__all__ = ["Draws", "deferred"]


@contextmanager
def deferred(seed: int) -> Iterator["Draws"]:
    """Inside, models are built on the meta device, and what ``seed`` would have drawn for them is noted.

    ``with deferred(0) as draws: whole = Transformer(config)`` and then ``draws.fill(tensor_parallel(whole), whole)``
    gives each rank its part of the model that ``with fixed_seed(0): Transformer(config)`` builds in one process. At
    no time is more than one parameter whole. (The caller's random numbers stay as they were.)

    >>> with deferred(0) as draws:
    ...     layer = nn.Linear(3, 2)
    >>> layer.weight.is_meta
    True

    Raises:
        ValueError: a negative seed.
    """
    draws = Draws()
    with fixed_seed(seed), torch.device("meta"), draws:
        yield draws


class Draws(TorchDispatchMode):
    """What made each tensor of a construction, operation by operation."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[int, list[tuple]] = {}
        self._kept: list[Tensor] = []  # so that no storage's address is given out twice

    def __torch_dispatch__(self, operation: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        made = operation(*args, **kwargs)
        if not isinstance(made, Tensor) or not made.is_meta:
            return made
        in_place = operation._schema.name.endswith("_")
        if in_place or not any(isinstance(leaf, Tensor) for leaf in tree_leaves((args, kwargs))):
            state = torch.get_rng_state() if torch.Tag.nondeterministic_seeded in operation.tags else None
            place = (made.shape, made.stride(), made.storage_offset()) if in_place else None
            self._made.setdefault(_storage(made), []).append((operation, args[in_place:], kwargs, state, place))
            self._kept.append(made)
            if state is not None:  # the random numbers go on from where this draw leaves them
                on_cpu = torch.empty(made.shape, dtype=made.dtype, device="cpu")
                operation(on_cpu, *args[1:], **kwargs) if in_place else operation(*args, **{**kwargs, "device": "cpu"})
        return made

    def fill(self, model: nn.Module, whole: nn.Module) -> nn.Module:
        """Give ``model``, made of ``whole`` by a plan, this rank's parts of what was drawn for ``whole``; the model.

        Raises:
            ValueError: a tensor that was made of others, and not drawn or set.
        """
        where, own = placements(model), model.state_dict(keep_vars=True)
        parts: dict[int, nn.Parameter | Tensor] = {}
        state = {}
        for name, tensor in whole.state_dict(keep_vars=True).items():
            if (key := _storage(tensor)) not in self._made:
                raise ValueError(
                    f"{name} must have been drawn or set where the model was built, got one made of other tensors"
                )
            if key not in parts:  # tied parameters stay tied
                with torch.random.fork_rng():
                    part = own_part(self._repeat(self._made[key]), where.get(own[name], WHOLE))
                parts[key] = nn.Parameter(part, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else part
            state[name] = parts[key]
        model.load_state_dict(state, assign=True)
        return model

    @staticmethod
    def _repeat(steps: list[tuple]) -> Tensor:
        """Make a tensor once more, on the CPU."""
        made = None
        for operation, args, kwargs, state, place in steps:
            if state is not None:
                torch.set_rng_state(state)
            if place is None:
                made = operation(*args, **{**kwargs, "device": "cpu"})
            else:
                operation(made.as_strided(*place), *args, **kwargs)
        return made


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
