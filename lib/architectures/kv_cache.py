"""Keys and values that are kept: a model that writes token by token computes those of each token once."""

from jaxtyping import Float, Int64
from torch import Tensor

from lib.core.boundary import checked
from lib.core.rules import PositiveInt
from lib.core.validation import check_indices

__all__ = ["KVCache", "position_of_next"]


class KVCache:
    """Keys and values of the positions that a model has read, for each of its layers (Pope et al. 2023, section 2.1).

    Room for ``capacity`` positions is taken when a layer first brings some, and is filled in place: what is kept
    carries no gradient. Its size is 2 · layers · batch · heads · capacity · head_dim numbers.

    >>> cache = KVCache(layers=1, capacity=8)
    >>> keys, values = cache.extend(0, torch.ones(1, 2, 3, 4), torch.ones(1, 2, 3, 4))
    >>> keys.shape, cache.length
    (torch.Size([1, 2, 3, 4]), 3)

    Raises:
        TypeError: sizes that are not ints.
        ValueError: sizes below 1.
    """

    @checked
    def __init__(self, layers: PositiveInt, capacity: PositiveInt) -> None:
        self.capacity = capacity
        self._kept: list[tuple[Tensor, Tensor] | None] = [None] * layers
        self._lengths = [0] * layers

    @property
    def length(self) -> int:
        """How many positions have been read by all layers."""
        return min(self._lengths)

    @property
    def nbytes(self) -> int:
        """Bytes of the room that has been taken, filled or not."""
        return sum(room.nbytes for kept in self._kept if kept is not None for room in kept)

    @checked
    def extend(
        self,
        layer: int,
        key: Float[Tensor, "batch heads new head_dim"],
        value: Float[Tensor, "batch heads new value_dim"],
    ) -> tuple[Float[Tensor, "batch heads keys head_dim"], Float[Tensor, "batch heads keys value_dim"]]:
        """Keep the keys and values of new positions, and return those of all positions so far.

        Raises:
            TypeError: tensors that are not floating point, or of another dtype than what is kept.
            ValueError: another batch or shape than what is kept, more positions than the capacity, a layer that
                is not there, tensors that require a gradient.
        """
        if not 0 <= layer < len(self._kept):
            raise ValueError(f"layer must lie in 0 … {len(self._kept) - 1}, got {layer}")
        if key.requires_grad or value.requires_grad:
            raise ValueError(
                "a cache keeps no gradients, got keys or values that require one: call under torch.no_grad()"
            )
        begin, end = self._lengths[layer], self._lengths[layer] + key.shape[2]
        if end > self.capacity:
            raise ValueError(f"a cache of capacity {self.capacity} cannot hold {end} positions")
        kept = self._kept[layer]
        if kept is None:
            kept = tuple(new.new_empty(*new.shape[:2], self.capacity, new.shape[3]) for new in (key, value))
            self._kept[layer] = kept
        for room, new in zip(kept, (key, value), strict=True):
            if new.dtype != room.dtype:
                raise TypeError(f"the cache keeps {room.dtype}, got {new.dtype}")
            if (new.shape[:2], new.shape[3]) != (room.shape[:2], room.shape[3]):
                raise ValueError(
                    f"the cache keeps (batch, heads, …, head_dim) = {(*room.shape[:2], '…', room.shape[3])}, "
                    f"got {(*new.shape[:2], '…', new.shape[3])}"
                )
            room[:, :, begin:end] = new
        self._lengths[layer] = end
        return kept[0][:, :, :end], kept[1][:, :, :end]


def position_of_next(
    tokens: Int64[Tensor, "batch time"], cache: KVCache | None, *, context: int, vocabulary: int
) -> int:
    """Return the position of the first of these tokens, behind those that a cache has read.

    Raises:
        ValueError: tokens that end beyond the context, or are outside the vocabulary.
    """
    start = 0 if cache is None else cache.length
    if start + tokens.shape[1] > context:
        raise ValueError(f"tokens must be at most {context} long, the context, got {start + tokens.shape[1]}")
    check_indices("tokens", tokens, vocabulary, "the vocabulary")
    return start
