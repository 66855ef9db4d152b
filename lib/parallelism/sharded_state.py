"""A state dict in pieces: a checkpoint of one process becomes that of p ranks, and back.

A layer whose parameters are cut says so in ``sharded``, a dict from the parameter's name to the axis.
"""

from collections.abc import Mapping

import torch.distributed as dist
from torch import Tensor, nn

from .agreement import place_in_group
from .conjugate_pairs import gather_from_ranks, split_to_ranks

__all__ = ["gather_state_dict", "shard_state_dict"]

Group = dist.ProcessGroup | None


def shard_state_dict(state: Mapping[str, Tensor], model: nn.Module, *, group: Group = None) -> dict[str, Tensor]:
    """This rank's part of an unsharded state dict, for a ``model`` whose layers are cut.

    What the model does not cut is handed on as it is. Names are the same in both.

    Raises:
        ValueError: ranks that do not divide an axis that is cut; no process group.
    """
    place_in_group(group)
    cut = _sharded(model)
    return {
        name: split_to_ranks(value, dim=cut[name], group=group) if name in cut else value
        for name, value in state.items()
    }


def gather_state_dict(model: nn.Module, *, group: Group = None) -> dict[str, Tensor]:
    """The unsharded state dict, on every rank: undoes :func:`shard_state_dict`. All ranks must call it.

    Raises:
        ValueError: ranks whose models differ; no process group.
    """
    cut = _sharded(model)
    return {
        name: gather_from_ranks(value, dim=cut[name], group=group) if name in cut else value.clone()
        for name, value in model.state_dict().items()
    }


def _sharded(model: nn.Module) -> dict[str, int]:
    """Full names of the parameters that are cut, with the axis."""
    return {
        f"{prefix}.{name}".lstrip("."): axis
        for prefix, module in model.named_modules()
        for name, axis in getattr(module, "sharded", {}).items()
    }
