"""Collective operations on a ring, from nothing but messages between neighbours.

Every rank sends to its right neighbour and receives from its left one, at the same time. No rank is special and no
link idles, which is why the bytes that a rank sends hardly depend on how many ranks there are. These are for
learning, and count what they send; models in this package use the engine's own collectives.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from jaxtyping import Num, Shaped
from torch import Tensor

from lib.core.validation import check_non_negative_int, check_positive_int

from .agreement import announce, check_agreement, check_tensor, place_in_group

__all__ = [
    "Traffic",
    "broadcast",
    "ring_all_gather",
    "ring_all_reduce",
    "ring_all_reduce_cost",
    "ring_reduce_scatter",
]


@dataclass
class Traffic:
    """What one rank has sent; with ``run_ranks(check=True)`` also what it sends to compare notes."""

    messages: int = 0
    bytes: int = 0

    def count(self, message: Tensor) -> None:
        """Add one message."""
        self.messages += 1
        self.bytes += message.numel() * message.element_size()


def ring_all_reduce(
    x: Num[Tensor, "*shape"], *, group: dist.ProcessGroup | None = None, traffic: Traffic | None = None
) -> Num[Tensor, "*shape"]:
    """The sum of all ranks' ``x`` on every rank, bit for bit the same: reduce-scatter, then all-gather.

    Of n bytes, in p chunks, a rank sends every chunk but one in each of the two halves: 2(p−1) messages and
    2(p−1)/p · n bytes, the least that is possible (Patarasuk & Yuan 2009). Where p does not divide
    the number of elements, the first chunks are one longer, nothing is padded, and rank r sends
    2n − c(r) − c(r+1) bytes with c(i) those of chunk i. No gradient flows through.

    >>> from lib.parallelism import run_ranks
    >>> run_ranks(lambda: ring_all_reduce(torch.tensor([1, 2])).tolist(), 2)
    [[2, 4], [2, 4]]

    Raises:
        TypeError: not a tensor of numbers.
        ValueError: ranks differ in shape or dtype; no process group, or one without this rank.
    """
    neighbours = _greet("ring_all_reduce", x, group, traffic)
    own = x.detach().reshape(-1)
    if neighbours.ranks == 1:
        return own.clone().view(x.shape)
    total = torch.empty_like(own)
    chunks = total.tensor_split(neighbours.ranks)
    _reduce_scatter(own.tensor_split(neighbours.ranks), chunks, neighbours)
    _all_gather(chunks, neighbours)
    return total.view(x.shape)


def ring_reduce_scatter(
    x: Num[Tensor, "*shape"], *, group: dist.ProcessGroup | None = None, traffic: Traffic | None = None
) -> Num[Tensor, " chunk"]:
    """Chunk r of the flattened sum of all ranks' ``x``, on rank r: p−1 messages, (p−1)/p · n bytes.

    The flattened sum is cut into p chunks; where p does not divide it, the first ones are one longer.

    >>> from lib.parallelism import run_ranks
    >>> run_ranks(lambda: ring_reduce_scatter(torch.tensor([1, 2])).tolist(), 2)
    [[2], [4]]

    Raises:
        TypeError: as :func:`ring_all_reduce`.
        ValueError: as :func:`ring_all_reduce`.
    """
    neighbours = _greet("ring_reduce_scatter", x, group, traffic)
    own = x.detach().reshape(-1).tensor_split(neighbours.ranks)
    if neighbours.ranks == 1:
        return own[0].clone()
    sums = [torch.empty_like(chunk) for chunk in own]
    _reduce_scatter(own, sums, neighbours)
    return sums[neighbours.rank]


def ring_all_gather(
    chunk: Shaped[Tensor, "length *rest"], *, group: dist.ProcessGroup | None = None, traffic: Traffic | None = None
) -> Shaped[Tensor, "total *rest"]:
    """All ranks' chunks on every rank, one behind the other in rank order: p−1 messages.

    Chunks may differ in length along the first axis; the engine tells the lengths, uncounted, before. A rank
    passes on every chunk but its right neighbour's.

    >>> from lib.parallelism import run_ranks
    >>> run_ranks(lambda: ring_all_gather(torch.tensor([dist.get_rank()])).tolist(), 2)
    [[0, 1], [0, 1]]

    Raises:
        TypeError: not a tensor.
        ValueError: a tensor without axes; ranks differ in dtype or in any axis but the first; as
            :func:`ring_all_reduce`.
    """
    check_tensor("ring_all_gather", chunk)
    if chunk.ndim == 0:
        raise ValueError("chunk must have at least one axis to be joined along, got shape ()")
    axes = ", ".join(["length", *map(str, chunk.shape[1:])])
    sent = announce(f"ring_all_gather of {chunk.dtype} ({axes})", group=group, device=chunk.device)
    neighbours = _Neighbours(group, traffic, sent)
    length = torch.tensor([len(chunk)], device=chunk.device)
    lengths = [torch.empty_like(length) for _ in range(neighbours.ranks)]
    dist.all_gather(lengths, length, group=group)
    lengths = torch.cat(lengths).tolist()
    whole = torch.empty(sum(lengths), *chunk.shape[1:], dtype=chunk.dtype, device=chunk.device)
    chunks = whole.split(lengths)
    chunks[neighbours.rank].copy_(chunk.detach())
    _all_gather(chunks, neighbours)
    return whole


def broadcast(
    x: Shaped[Tensor, "*shape"],
    *,
    source: int = 0,
    group: dist.ProcessGroup | None = None,
    traffic: Traffic | None = None,
) -> Shaped[Tensor, "*shape"]:
    """The ``x`` of rank ``source`` on every rank. The others' ``x`` give only shape and dtype.

    In each round every rank that has the numbers sends them to one that has not, so that p ranks are
    served in ⌈log₂ p⌉ rounds and p−1 messages. ``source`` counts within the group.

    >>> from lib.parallelism import run_ranks
    >>> run_ranks(lambda: broadcast(torch.tensor([dist.get_rank()]), source=1).tolist(), 2)
    [[1], [1]]

    Raises:
        TypeError: not a tensor; a source that is not an int.
        ValueError: a source outside the group; ranks differ in source, shape or dtype; as :func:`ring_all_reduce`.
    """
    rank, ranks = place_in_group(group)
    check_non_negative_int("source", source)
    if source >= ranks:
        raise ValueError(f"source must be below the number of ranks {ranks}, got {source}")
    sent = check_agreement(f"broadcast from rank {source}", x, group=group)
    traffic = _Neighbours(group, traffic, sent).traffic
    y = x.detach().clone(memory_format=torch.contiguous_format)
    steps_away = (rank - source) % ranks
    served = 1
    while served < ranks:
        if steps_away < served and steps_away + served < ranks:
            dist.send(y, group=group, group_dst=(rank + served) % ranks)
            traffic.count(y)
        elif served <= steps_away < 2 * served:
            dist.recv(y, group=group, group_src=(rank - served) % ranks)
        served *= 2
    return y


def ring_all_reduce_cost(size: float, ranks: int, *, latency: float, seconds_per_byte: float) -> float:
    """Seconds that a ring all-reduce of ``size`` = S bytes takes: T = 2(p−1) α + 2(p−1)/p · S/B.

    Equation: eq-ring-all-reduce-cost

    α, the ``latency``, is paid for each message in seconds; 1/B, ``seconds_per_byte``, for each byte on one link. The
    model holds while every rank has a core and a link of its own (Patarasuk & Yuan 2009).

    >>> ring_all_reduce_cost(1e6, 4, latency=1e-3, seconds_per_byte=1e-9)
    0.0075

    Raises:
        TypeError: ranks is not an int.
        ValueError: ranks below 1, a size or a time below 0 or infinite.
    """
    check_positive_int("ranks", ranks)
    for name, value in {"size": size, "latency": latency, "seconds_per_byte": seconds_per_byte}.items():
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} must be finite and at least 0, got {value}")
    messages = 2 * (ranks - 1)
    return messages * latency + messages / ranks * size * seconds_per_byte


class _Neighbours:
    """The two ranks that a rank on a ring talks to."""

    def __init__(self, group: dist.ProcessGroup | None, traffic: Traffic | None, greeting: int) -> None:
        self.rank, self.ranks = place_in_group(group)
        self.group, self.traffic = group, Traffic() if traffic is None else traffic
        if greeting:  # an all-gather, in which a rank sends what it has to each of the others
            self.traffic.messages += self.ranks - 1
            self.traffic.bytes += greeting

    def exchange(self, outgoing: Tensor, incoming: Tensor) -> None:
        """Send to the right while receiving from the left. One after the other, all would wait for ever."""
        right, left = (self.rank + 1) % self.ranks, (self.rank - 1) % self.ranks
        both = [
            dist.P2POp(dist.isend, outgoing, group=self.group, group_peer=right),
            dist.P2POp(dist.irecv, incoming, group=self.group, group_peer=left),
        ]
        for work in dist.batch_isend_irecv(both):
            work.wait()
        self.traffic.count(outgoing)


def _reduce_scatter(own: Sequence[Tensor], sums: Sequence[Tensor], neighbours: _Neighbours) -> None:
    """Chunk j starts at rank j+1, goes round, and collects each rank's share until rank j has the whole sum."""
    rank, ranks = neighbours.rank, neighbours.ranks
    outgoing = own[(rank - 1) % ranks]
    for step in range(ranks - 1):
        index = (rank - step - 2) % ranks
        # Received where the sum is wanted: no buffer in between, and no copy.
        neighbours.exchange(outgoing, sums[index])
        outgoing = sums[index].add_(own[index])


def _all_gather(chunks: Sequence[Tensor], neighbours: _Neighbours) -> None:
    """Chunk j starts at rank j and goes round, until every rank has every chunk."""
    rank, ranks = neighbours.rank, neighbours.ranks
    for step in range(ranks - 1):
        neighbours.exchange(chunks[(rank - step) % ranks], chunks[(rank - step - 1) % ranks])


def _greet(call: str, x: Tensor, group: dist.ProcessGroup | None, traffic: Traffic | None) -> _Neighbours:
    check_tensor(call, x)
    if x.dtype is torch.bool:
        raise TypeError(f"{call} adds numbers, got {x.dtype}; convert it with x.int()")
    return _Neighbours(group, traffic, check_agreement(call, x, group=group))
