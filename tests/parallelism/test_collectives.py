"""The ring adds up rightly, gives every rank the same bits, and sends exactly what the formula says."""

import math

import pytest
import torch
import torch.distributed as dist

from lib.core.sampling import seeded
from lib.parallelism import (
    Traffic,
    broadcast,
    ring_all_gather,
    ring_all_reduce,
    ring_all_reduce_cost,
    ring_reduce_scatter,
    run_ranks,
)

RANKS = [1, 2, 3, 4]
# No element, fewer than ranks, a prime number, divisible by 2, 3 and 4, and several axes.
SHAPES = [(0,), (1,), (2,), (7,), (12,), (3, 5), (), (2, 3, 4)]
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8]


def own(rank, shape, dtype):
    """What a rank holds: small whole numbers, so that any order of adding is exact in every dtype."""
    return torch.randint(0, 10, shape, generator=seeded(rank)).to(dtype)


@pytest.mark.parametrize("ranks", RANKS)
def test_every_collective_of_whole_numbers_is_exact(ranks):
    def all_cases():
        rank = dist.get_rank()
        answers = []
        for shape in SHAPES:
            for dtype in DTYPES:
                x = own(rank, shape, dtype)
                before = x.clone()
                total = ring_all_reduce(x)
                chunk = ring_reduce_scatter(x)
                answers.append((total, chunk, ring_all_gather(chunk), broadcast(x, source=ranks - 1)))
                assert torch.equal(x, before)
                # A new tensor, also where one rank has nothing to do.
                assert x.numel() == 0 or total.data_ptr() != x.data_ptr() != chunk.data_ptr()
        return answers

    for rank, answers in enumerate(run_ranks(all_cases, ranks)):
        cases = [(shape, dtype) for shape in SHAPES for dtype in DTYPES]
        for (shape, dtype), (total, chunk, gathered, sent) in zip(cases, answers, strict=True):
            expected = sum(own(r, shape, dtype) for r in range(ranks))
            torch.testing.assert_close(total, expected, rtol=0, atol=0)
            torch.testing.assert_close(chunk, expected.flatten().tensor_split(ranks)[rank], rtol=0, atol=0)
            torch.testing.assert_close(gathered, expected.flatten(), rtol=0, atol=0)
            torch.testing.assert_close(sent, own(ranks - 1, shape, dtype), rtol=0, atol=0)


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_all_ranks_hold_the_same_bits_and_the_engines_sum(ranks):
    def both():
        x = torch.randn(37, 5, generator=seeded(dist.get_rank()), dtype=torch.float64)
        expected = x.clone()
        dist.all_reduce(expected)
        # A transposed view is read in its own order.
        assert torch.equal(ring_all_reduce(x.T), ring_all_reduce(x.T.contiguous()))
        return ring_all_reduce(x), expected

    answers = run_ranks(both, ranks)
    for total, expected in answers:
        assert torch.equal(total, answers[0][0])
        # The engine adds in another order: a few roundings of numbers below ten.
        torch.testing.assert_close(total, expected, rtol=0, atol=1e-14)


@pytest.mark.equation("eq-ring-all-reduce-cost")
@pytest.mark.parametrize("ranks", RANKS)
def test_what_is_sent_is_what_the_formula_says(ranks):
    sizes = [0, 1, 5, 7, 12, 1200]

    def count():
        counted = []
        for size in sizes:
            x = torch.ones(size, dtype=torch.float64)
            counted.append(tuple(Traffic() for _ in range(3)))
            ring_all_reduce(x, traffic=counted[-1][0])
            ring_all_gather(ring_reduce_scatter(x, traffic=counted[-1][1]), traffic=counted[-1][2])
        return counted

    answers = run_ranks(count, ranks)
    for case, size in enumerate(sizes):
        chunk = [8 * len(part) for part in torch.empty(size).tensor_split(ranks)]
        for rank, counted in enumerate(answers):
            both, scatter, gather = counted[case]
            assert both.messages == 2 * (ranks - 1)
            assert scatter.messages == gather.messages == ranks - 1
            # Every chunk but one's own, then every chunk but the right neighbour's.
            assert scatter.bytes == 8 * size - chunk[rank]
            assert gather.bytes == 8 * size - chunk[(rank + 1) % ranks]
            assert both.bytes == scatter.bytes + gather.bytes
            if size % ranks == 0:
                assert both.bytes == 2 * (ranks - 1) * 8 * size // ranks
                time = ring_all_reduce_cost(8 * size, ranks, latency=2.0, seconds_per_byte=0.5)
                assert time == pytest.approx(2.0 * both.messages + 0.5 * both.bytes)
        # Uneven chunks shift bytes between the ranks, and add none.
        assert sum(counted[case][0].bytes for counted in answers) == 2 * (ranks - 1) * 8 * size


def test_the_cost_of_a_ring_known_by_hand():
    # Four ranks, 1 MB: 6 messages at 1 ms; each rank sends one and a half megabytes at 1 ns a byte.
    assert ring_all_reduce_cost(1e6, 4, latency=1e-3, seconds_per_byte=1e-9) == pytest.approx(6e-3 + 1.5e-3)
    assert ring_all_reduce_cost(1e6, 1, latency=1e-3, seconds_per_byte=1e-9) == 0


def test_traffic_adds_up_over_calls_and_tells_bytes_from_elements():
    def count():
        traffic = Traffic()
        ring_all_reduce(torch.ones(8), traffic=traffic)
        ring_all_reduce(torch.ones(8, dtype=torch.float16), traffic=traffic)
        return traffic

    assert run_ranks(count, 2) == [Traffic(messages=4, bytes=32 + 16)] * 2


def test_notes_that_ranks_compare_are_counted_and_are_sent_only_where_asked_for():
    def count():
        counted = [Traffic() for _ in range(3)]
        ring_all_reduce(torch.ones(8), traffic=counted[0])
        ring_all_gather(torch.ones(8), traffic=counted[1])
        broadcast(torch.ones(8), traffic=counted[2])
        return [(traffic.messages, traffic.bytes) for traffic in counted]

    plain, checked = (run_ranks(count, 3, check=check) for check in (False, True))
    for without, compared in zip(plain, checked, strict=True):
        # An all-gather among three ranks: two more messages of 512 bytes each.
        assert [(messages + 2, size + 1024) for messages, size in without] == compared


@pytest.mark.parametrize("ranks", RANKS)
def test_a_broadcast_serves_all_from_any_source_with_one_message_each(ranks):
    def from_everyone():
        rank, answers = dist.get_rank(), []
        for source in range(ranks):
            traffic = Traffic()
            sent = broadcast(own(rank, (3, 2), torch.float32), source=source, traffic=traffic)
            expected = own(rank, (3, 2), torch.float32)
            dist.broadcast(expected, source)
            assert torch.equal(sent, expected)
            answers.append(traffic)
        return answers

    answers = run_ranks(from_everyone, ranks)
    for source in range(ranks):
        assert sum(counted[source].messages for counted in answers) == ranks - 1
        assert answers[source][source].messages == math.ceil(math.log2(ranks))
        assert all(counted[source].bytes == 24 * counted[source].messages for counted in answers)


def test_chunks_of_different_length_are_joined_in_rank_order():
    def gather():
        rank = dist.get_rank()
        return ring_all_gather(torch.full((rank, 2), float(rank)))

    for whole in run_ranks(gather, 3):
        assert whole.tolist() == [[1, 1], [2, 2], [2, 2]]


def test_a_ring_may_be_closed_among_some_of_the_ranks():
    def in_pairs():
        rank = dist.get_rank()
        groups = [dist.new_group([0, 2]), dist.new_group([1, 3])]
        x, group = torch.tensor([float(rank), 10.0 * rank, 1.0]), groups[rank % 2]
        traffic = Traffic()
        total = ring_all_reduce(x, group=group, traffic=traffic)
        # The source counts within the group: rank 2 or rank 3 of all.
        return total, ring_all_gather(x[:1], group=group), broadcast(x, source=1, group=group), traffic.messages

    for rank, (total, gathered, sent, messages) in enumerate(run_ranks(in_pairs, 4)):
        members = [rank % 2, rank % 2 + 2]
        assert total.tolist() == [sum(members), 10 * sum(members), 2]
        assert gathered.tolist() == members
        assert sent.tolist() == [members[1], 10 * members[1], 1]
        assert messages == 2


def test_only_neighbours_exchange_numbers_and_no_collective_of_the_engine_helps():
    def spy():
        peers, batched = set(), dist.batch_isend_irecv

        def record(operations):
            peers.update((operation.op.__name__, operation.group_peer) for operation in operations)
            return batched(operations)

        def refuse(*_arguments, **_options):
            raise AssertionError("a collective of the engine was called")

        dist.batch_isend_irecv = record
        for name in ("all_reduce", "reduce", "reduce_scatter", "reduce_scatter_tensor", "broadcast", "all_to_all"):
            setattr(dist, name, refuse)
        total = ring_all_reduce(torch.ones(8))
        broadcast(total)
        return peers

    for rank, peers in enumerate(run_ranks(spy, 4)):
        assert peers == {("isend", (rank + 1) % 4), ("irecv", (rank - 1) % 4)}


def test_no_gradient_passes_through_the_ring():
    def total():
        x = torch.ones(3, requires_grad=True)
        return ring_all_reduce(x).requires_grad, ring_all_gather(x).requires_grad, broadcast(x).requires_grad

    assert run_ranks(total, 2) == [(False, False, False)] * 2
