"""What one step of training keeps in memory: counted from the parameters, and measured."""

import weakref
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lib.core.storages import local_part, storage_bytes, storage_of
from lib.core.validation import check_non_negative_int, check_positive_int

__all__ = ["HeldBytes", "MemoryTimeline", "held_bytes", "state_bytes"]

# What each strategy divides among the ranks, from the left: the stages 0 to 3 of ZeRO.
_SHARDED = {"nothing": 0, "optimizer": 1, "gradients": 2, "parameters": 3}


@dataclass(frozen=True)
class HeldBytes:
    """Bytes that one process holds at one moment of a training step."""

    parameters: int
    gradients: int
    optimizer: int
    activations: int = 0

    @property
    def state(self) -> int:
        """The sum of parameters, gradients and optimizer state, which stays however small the batch."""
        return self.parameters + self.gradients + self.optimizer

    @property
    def total(self) -> int:
        """The state and what the forward pass keeps for the backward pass."""
        return self.state + self.activations


def state_bytes(
    parameters: int,
    ranks: int = 1,
    *,
    sharded: str = "nothing",
    parameter_bytes: int = 4,
    gradient_bytes: int = 4,
    optimizer_bytes: int = 8,
) -> float:
    """Bytes of training state on each rank, for Ψ parameters.

    Equation: eq-training-state-bytes. Rajbhandari et al. 2020, section 3. Adam keeps two numbers a
    parameter, so float32 costs 4 + 4 + 8 bytes; mixed precision costs 2 + 2 + 12, with a float32 copy.
    ``sharded`` says what the ranks divide: "nothing" (plain data parallelism), "optimizer" (ZeRO-1),
    also "gradients" (ZeRO-2), also "parameters" (ZeRO-3, FSDP).

    >>> state_bytes(7_000_000_000, 8, sharded="optimizer") / 1e9
    63.0

    Raises:
        TypeError: a count that is not an int.
        ValueError: a negative count, no rank, or another word for ``sharded``.
    """
    check_non_negative_int("parameters", parameters)
    check_positive_int("ranks", ranks)
    for name, value in (("parameter", parameter_bytes), ("gradient", gradient_bytes), ("optimizer", optimizer_bytes)):
        check_non_negative_int(f"{name}_bytes", value)
    if sharded not in _SHARDED:
        raise ValueError(f"sharded must be one of {', '.join(_SHARDED)}, got {sharded!r}")
    stage = _SHARDED[sharded]
    shares = (ranks if stage >= 3 else 1, ranks if stage >= 2 else 1, ranks if stage >= 1 else 1)
    costs = (parameter_bytes, gradient_bytes, optimizer_bytes)
    return sum(parameters * cost / share for cost, share in zip(costs, shares, strict=True))


def held_bytes(model: nn.Module, optimizer: torch.optim.Optimizer) -> HeldBytes:
    """Measure what this process holds for a model and its optimizer, in bytes, without activations.

    Storage that two tensors share counts once; of a sharded tensor, the local part counts. Numbers that an
    optimizer keeps once a tensor, such as Adam's step count, are left out.

    >>> layer = nn.Linear(3, 2)
    >>> held_bytes(layer, torch.optim.SGD(layer.parameters(), lr=0.1)).parameters
    32
    """
    parameters = list(model.parameters())
    states = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
    return HeldBytes(
        parameters=storage_bytes(parameters),
        gradients=storage_bytes(parameter.grad for parameter in parameters if parameter.grad is not None),
        optimizer=storage_bytes(value for value in states if value.ndim > 0),
    )


class MemoryTimeline(TorchDispatchMode):
    """What a training step holds from moment to moment: ``with MemoryTimeline(model, optimizer) as memory:``.

    ``memory.mark("after forward")`` notes under a name what is held now; ``memory.marks`` has them, ``memory.peak`` is
    the moment that held most, and ``memory.moments`` all of them, one after each operation. Activations are here all
    tensors that the block has made and that live, beside the model's and the optimizer's own: what forward keeps for
    backward (or makes again, under :func:`torch.utils.checkpoint.checkpoint`), results, and temporary copies. What was
    there before, such as the batch, does not count.

    >>> layer = nn.Linear(3, 2)
    >>> with MemoryTimeline(layer, torch.optim.SGD(layer.parameters(), lr=0.1)) as memory:
    ...     y = layer(torch.ones(5, 3))
    ...     memory.mark("after forward")
    >>> memory.marks["after forward"].parameters
    32
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        super().__init__()
        self.model, self.optimizer = model, optimizer
        self.moments: list[HeldBytes] = []
        self.marks: dict[str, HeldBytes] = {}
        self._live: dict[int, weakref.ref] = {}
        self._older: dict[int, weakref.ref] = {}

    def __torch_dispatch__(self, operation: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        self._note((args, kwargs), self._older)
        made = operation(*args, **(kwargs or {}))
        self._note(made, self._live)
        self.moments.append(self._held())
        return made

    def mark(self, name: str) -> None:
        """Note what is held now."""
        self.marks[name] = self._held()

    @property
    def peak(self) -> HeldBytes:
        """The moment that held most.

        Raises:
            ValueError: nothing has happened in the block.
        """
        if not self.moments:
            raise ValueError("a peak needs at least one operation in the block, got none")
        return max(self.moments, key=lambda held: held.total)

    def _note(self, tensors: Any, found: dict[int, weakref.ref]) -> None:
        """Remember storages that are met for the first time, as long as they live."""
        for tensor in tree_leaves(tensors):
            if isinstance(tensor, Tensor) and (key := storage_of(tensor)) not in {*self._live, *self._older}:
                found[key] = weakref.ref(local_part(tensor).untyped_storage(), lambda _, key=key: found.pop(key, None))

    def _held(self) -> HeldBytes:
        held = held_bytes(self.model, self.optimizer)
        owned = {storage_of(tensor) for tensor in _owned(self.model, self.optimizer)}
        storages = [reference() for key, reference in list(self._live.items()) if key not in owned]
        return replace(held, activations=sum(storage.nbytes() for storage in storages if storage is not None))


def _owned(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[Tensor]:
    for parameter in model.parameters():
        yield parameter
        if parameter.grad is not None:
            yield parameter.grad
    for state in optimizer.state.values():
        yield from (value for value in state.values() if isinstance(value, Tensor))
