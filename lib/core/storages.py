"""The memory behind tensors: which storage a tensor lies in, and how many bytes some tensors take together."""

from collections.abc import Iterable

from torch import Tensor

__all__ = ["local_part", "storage_bytes", "storage_of"]


def storage_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of all storages that the tensors lie in, each counted once and whole; of a sharded tensor, the local part."""
    storages = [local_part(tensor).untyped_storage() for tensor in tensors]
    return sum({storage._cdata: storage.nbytes() for storage in storages}.values())


def storage_of(tensor: Tensor) -> int:
    """The identity of where the numbers lie, also where there are none: on the meta device every address is 0."""
    return local_part(tensor).untyped_storage()._cdata


def local_part(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor that is sharded over several."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor
