"""What a model weighs: the bytes that its file holds."""

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from lib.core.boundary import checked
from lib.core.storages import storage_bytes

__all__ = ["bytes_of"]


@checked
def bytes_of(model: nn.Module) -> int:
    """Count the bytes of all tensors in a model's state dict: what is saved, in the form in which it is saved.

    Equation: eq-model-bytes

    Parameters and persistent buffers count as they lie in memory, so a packed form counts packed: two codes of four
    bits in a byte, with their scales. A storage counts once, however many names (tied weights, views) lead to it, and
    whole, also where only a view of it is kept. Names and the file's own format, a few hundred bytes, are left out.

    >>> bytes_of(nn.Linear(3, 2))
    32

    Raises:
        TypeError: not a module.
    """
    with torch.no_grad():
        return storage_bytes(
            tensor for tensor in tree_leaves(dict(model.state_dict(keep_vars=True))) if isinstance(tensor, Tensor)
        )
