"""Data parallelism whose messages travel while the backward pass goes on: gradients are collected in buckets."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Variable

from lib.core.validation import check_positive_int

from .agreement import announce
from .data_parallel import Bucket, check_replicas

__all__ = ["BucketedDataParallel"]


class BucketedDataParallel(nn.Module):
    """A model whose ``loss.backward()`` returns when every gradient is the mean over the ranks.

    Rank 0's parameters and buffers are copied to all ranks at the start, and its buffers after each backward pass. That
    pass reaches the last layers first, so gradients are collected from the last parameter to the first, in buckets of
    ``bucket_bytes``; a full bucket's all-reduce runs while backward goes on (Li et al. 2020, section 3.2). Shared
    parameters count once, frozen ones not at all, unused ones as in
    :func:`~lib.parallelism.data_parallel.average_gradients`. A checkpoint has the model's own names. A copy is data
    parallel too. ``torch.autograd.grad`` is not averaged.

    >>> from lib.parallelism import run_ranks
    >>> def step():
    ...     model = BucketedDataParallel(nn.Linear(1, 1, bias=False))
    ...     model(torch.tensor([[float(dist.get_rank())]])).sum().backward()
    ...     return [parameter.grad.item() for parameter in model.parameters()]
    >>> run_ranks(step, 2)  # of the inputs 0 and 1
    [[0.5], [0.5]]

    Raises:
        TypeError: the model is not a module, bucket_bytes not an int.
        ValueError: no parameter needs a gradient, bucket_bytes below 1; as :func:`~lib.parallelism.data_parallel.average_gradients`.
        RuntimeError: in backward, a second gradient for a parameter whose bucket has left.
    """

    # At 1 MiB the fixed cost of a message and the time of its bytes are about equal on a laptop's loopback.
    def __init__(self, model: nn.Module, *, bucket_bytes: int = 2**20, group: dist.ProcessGroup | None = None) -> None:
        super().__init__()
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
        check_positive_int("bucket_bytes", bucket_bytes)
        check_replicas(model, group)
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise ValueError("model must have a parameter that needs a gradient, got none")
        _copy_from_first_rank([*model.parameters(), *model.buffers()], group)
        self.model = model
        self._bucket_bytes, self._group, self._communicates = bucket_bytes, group, True
        self._attach()

    def _attach(self) -> None:
        """Fill the buckets and hang a hook on each parameter."""
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self._buckets = _fill_buckets(parameters[::-1], self._bucket_bytes)
        self._bucket_of = {parameter: bucket for bucket in self._buckets for parameter in bucket.parameters}
        self._hooks = [p.register_post_accumulate_grad_hook(self._gradient_is_ready) for p in parameters]
        self._begin()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own forward pass on this rank's shard; nothing is sent.

        Raises:
            ValueError: a parameter has been added, replaced or unfrozen since construction.
        """
        if self._hooks and torch.is_grad_enabled():
            for name, parameter in self.model.named_parameters():
                if parameter.requires_grad and parameter not in self._bucket_of:
                    raise ValueError(
                        f"parameters must stay those of the construction, got a new or unfrozen {name!r}: wrap the model anew"
                    )
            # Only a backward pass that broke off can have left anything to forget.
            self._begin()
        return self.model(*args, **kwargs)

    @contextmanager
    def accumulating(self) -> Iterator[None]:
        """Inside, ``backward`` adds to the local gradients and sends nothing; the first one outside averages the sum."""
        before, self._communicates = self._communicates, False
        try:
            yield
        finally:
            self._communicates = before

    def close(self) -> None:
        """Take the hooks off the model's parameters; from then on ``backward`` is local. May be called twice."""
        while self._hooks:
            self._hooks.pop().remove()

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The model's own, with the model's own keys: a checkpoint does not show how it was trained."""
        return self.model.state_dict(*args, **kwargs)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Give the model's own keys, also those of a part of something larger, the names that torch expects."""
        for name in [name for name in state_dict if name.startswith(prefix)]:
            state_dict[f"{prefix}model.{name.removeprefix(prefix)}"] = state_dict.pop(name)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def __getstate__(self) -> dict[str, Any]:
        derived = ("_buckets", "_bucket_of", "_hooks", "_waiting", "_will_finish")
        state = {name: value for name, value in self.__dict__.items() if name not in derived}
        return state | {"_attached": bool(self._hooks)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        attached = state.pop("_attached")
        super().__setstate__(state)
        self._attach()
        if not attached:
            self.close()

    def __deepcopy__(self, memo: dict[int, Any]) -> "BucketedDataParallel":
        memo[id(self._group)] = self._group  # a group is a place to meet, and not a thing to be copied
        memo[id(self)] = twin = type(self).__new__(type(self))
        twin.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return twin

    def _begin(self) -> None:
        self._waiting = list(self._buckets)
        self._will_finish = False
        for bucket in self._buckets:
            bucket.reset()

    def _gradient_is_ready(self, parameter: nn.Parameter) -> None:
        if not self._communicates:
            return
        if not self._will_finish:
            # Called when this backward pass is complete: nobody can forget the wait.
            Variable._execution_engine.queue_callback(self._finish)
            self._will_finish = True
        bucket = self._bucket_of[parameter]
        if bucket.work is not None:
            raise RuntimeError(self._second_gradient(parameter))
        bucket.missing.discard(parameter)
        # In one order on all ranks, whatever is ready first: a message has no name.
        while self._waiting and not self._waiting[0].missing:
            self._waiting.pop(0).start(self._group)

    def _second_gradient(self, parameter: nn.Parameter) -> str:
        name = next(name for name, other in self.model.named_parameters() if other is parameter)
        return (
            f"{name!r} has got a second gradient in one backward pass after the first was sent: where it is used under "
            f"torch.utils.checkpoint and also elsewhere, checkpoint with use_reentrant=False"
        )

    def _finish(self) -> None:
        for bucket in self._waiting:  # for parameters that were not used
            bucket.start(self._group)
        for bucket in self._buckets:
            bucket.finish()
        _copy_from_first_rank(list(self.model.buffers()), self._group)
        self._begin()


def _fill_buckets(parameters: list[nn.Parameter], bucket_bytes: int) -> list[Bucket]:
    """Cut a list of parameters into runs, each closed once it holds ``bucket_bytes``."""
    runs: list[list[nn.Parameter]] = []
    room = 0
    for parameter in parameters:
        if room <= 0:
            runs.append([])
            room = bucket_bytes
        runs[-1].append(parameter)
        room -= parameter.numel() * parameter.element_size()
    return [Bucket(run) for run in runs]


def _copy_from_first_rank(tensors: list[Tensor], group: dist.ProcessGroup | None) -> None:
    if tensors:
        announce(f"broadcast of {len(tensors)} tensors", group=group)
    for tensor in tensors:
        message = tensor.detach().clone(memory_format=torch.contiguous_format)
        dist.broadcast(message, group=group, group_src=0)
        tensor.detach().copy_(message)
