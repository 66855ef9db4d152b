"""What one step of training keeps in memory: counted from the parameters, and measured."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from lib.core.validation import check_non_negative_int, check_positive_int

__all__ = ["HeldBytes", "held_bytes", "saved_activations", "state_bytes"]

# What each strategy divides among the ranks, from the left: the stages 0 to 3 of ZeRO.
_SHARDED = {"nothing": 0, "optimizer": 1, "gradients": 2, "parameters": 3}


@dataclass(frozen=True)
class HeldBytes:
    """Bytes that one process holds in the middle of a training step."""

    parameters: int
    gradients: int
    optimizer: int
    activations: int

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


def held_bytes(model: nn.Module, optimizer: torch.optim.Optimizer, *, activations: int = 0) -> HeldBytes:
    """Measure what this process holds for a model and its optimizer, in bytes.

    Storage that two tensors share counts once; of a sharded tensor, the local part counts. Numbers that an
    optimizer keeps once a tensor, such as Adam's step count, are left out. ``activations`` comes from
    `saved_activations`.
    """
    parameters = list(model.parameters())
    states = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
    return HeldBytes(
        parameters=_bytes(parameters),
        gradients=_bytes(parameter.grad for parameter in parameters if parameter.grad is not None),
        optimizer=_bytes(value for value in states if value.ndim > 0),
        activations=activations,
    )


class _Counter:
    """Bytes counted so far."""

    def __init__(self) -> None:
        self.bytes = 0


@contextmanager
def saved_activations(model: nn.Module) -> Iterator[_Counter]:
    """Count, in ``.bytes``, what forward passes inside the block keep for the backward pass.

    Parameters are kept anyway and do not count; what several operations keep counts once; of a view into
    something larger, such as a batch cut from a data set, only the view counts. Keep the outputs alive until the
    block ends: memory that is freed may be given out again and look like an old one.
    """
    counter, seen = _Counter(), set()

    def count(tensor: Tensor) -> Tensor:
        kept = _local(tensor)
        place = (kept.data_ptr(), kept.nbytes)
        # Asked each time: a sharded model swaps its parameters while it runs.
        own = {_local(parameter).untyped_storage().data_ptr() for parameter in model.parameters()}
        if kept.untyped_storage().data_ptr() not in own and place not in seen:
            seen.add(place)
            counter.bytes += kept.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        yield counter


def _bytes(tensors: Iterable[Tensor]) -> int:
    storages = [_local(tensor).untyped_storage() for tensor in tensors]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def _local(tensor: Tensor) -> Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor.detach()
