"""Bad input is refused with the value received and the rule, on every rank that is concerned, and nobody hangs."""

import re
import threading

import pytest
import torch
import torch.distributed as dist

from lib.parallelism import (
    average_gradients,
    broadcast,
    copy_to_ranks,
    gather_from_ranks,
    reduce_from_ranks,
    ring_all_gather,
    ring_all_reduce,
    ring_all_reduce_cost,
    ring_reduce_scatter,
    run_ranks,
    split_to_ranks,
    weigh_by_examples,
)

X = torch.zeros(2, 4)


def cost(size=1.0, ranks=2, latency=0.0, seconds_per_byte=0.0):
    return ring_all_reduce_cost(size, ranks, latency=latency, seconds_per_byte=seconds_per_byte)


BEFORE_ANY_PROCESS = [
    (lambda: run_ranks(len, 0), ValueError, "world_size must be at least 1, got 0"),
    (lambda: run_ranks(len, -2), ValueError, "world_size must be at least 1, got -2"),
    (lambda: run_ranks(len, 65), ValueError, "world_size must be at most 64, got 65: every rank is a process"),
    (lambda: run_ranks(len, 10**9), ValueError, "world_size must be at most 64, got 1000000000"),
    (lambda: run_ranks(len, True), TypeError, "world_size must be an int, got bool True"),
    (lambda: run_ranks(len, 2.0), TypeError, "world_size must be an int, got float 2.0"),
    (lambda: run_ranks(len, "2"), TypeError, "world_size must be an int, got str '2'"),
    (lambda: run_ranks(len, None), TypeError, "world_size must be an int, got NoneType None"),
    (lambda: run_ranks("len", 2), TypeError, "fn must be callable, got str 'len'"),
    (lambda: run_ranks(threading.Lock().acquire, 2), TypeError, "fn and its arguments must be picklable to reach another process: cannot pickle"),
    (lambda: run_ranks(len, 2, threading.Lock()), TypeError, "fn and its arguments must be picklable to reach another process: cannot pickle"),
    (lambda: run_ranks(len, 2, timeout=0), ValueError, "timeout must be positive and finite, at most 1e+06 s, got 0 s"),
    (lambda: run_ranks(len, 2, timeout=-1.5), ValueError, "timeout must be positive and finite, at most 1e+06 s, got -1.5 s"),
    (lambda: run_ranks(len, 2, timeout=float("nan")), ValueError, "timeout must be positive and finite, at most 1e+06 s, got nan s"),
    (lambda: run_ranks(len, 2, timeout=float("inf")), ValueError, "timeout must be positive and finite, at most 1e+06 s, got inf s"),
    (lambda: run_ranks(len, 2, timeout=1e300), ValueError, "timeout must be positive and finite, at most 1e+06 s, got 1e+300 s"),
    (lambda: run_ranks(len, 2, check=1), TypeError, "check must be a bool, got int 1"),
    (lambda: run_ranks(len, 2, seed=-1), ValueError, "seed must be at least 0, got -1"),
    (lambda: run_ranks(len, 2, seed=2**63), ValueError, "seed must be below 2**63, got 9223372036854775808"),
    (lambda: run_ranks(len, 2, seed=0.5), TypeError, "seed must be an int, got float 0.5"),
    (lambda: run_ranks(len, 2, timeout="60"), TypeError, "timeout must be a number of seconds, got str '60'"),
    (lambda: run_ranks(len, 2, timeout=None), TypeError, "timeout must be a number of seconds, got NoneType None"),
    (lambda: run_ranks(len, 2, timeout=True), TypeError, "timeout must be a number of seconds, got bool True"),
    (lambda: run_ranks(len, 2, backend="pigeon"), ValueError, "backend must be 'gloo', 'nccl' or None, got 'pigeon'"),
    (lambda: run_ranks(len, 2, backend=5), ValueError, "backend must be 'gloo', 'nccl' or None, got 5"),
    (lambda: ring_all_reduce(X), ValueError, "a process group must exist, got none: call this inside a function given to run_ranks"),
    (lambda: ring_all_gather(X), ValueError, "a process group must exist, got none"),
    (lambda: broadcast(X), ValueError, "a process group must exist, got none"),
    (lambda: copy_to_ranks(X), ValueError, "a process group must exist, got none"),
    (lambda: reduce_from_ranks(X), ValueError, "a process group must exist, got none"),
    (lambda: split_to_ranks(X), ValueError, "a process group must exist, got none"),
    (lambda: gather_from_ranks(X), ValueError, "a process group must exist, got none"),
    (lambda: cost(ranks=0), ValueError, "ranks must be at least 1, got 0"),
    (lambda: cost(ranks=2.0), TypeError, "ranks must be an int, got float 2.0"),
    (lambda: cost(size=-1), ValueError, "size must be finite and at least 0, got -1"),
    (lambda: cost(ranks=1, size=float("inf")), ValueError, "size must be finite and at least 0, got inf"),
    (lambda: cost(latency=-1.0), ValueError, "latency must be finite and at least 0, got -1.0"),
    (lambda: cost(seconds_per_byte=float("nan")), ValueError, "seconds_per_byte must be finite and at least 0, got nan"),
]  # fmt: skip


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "error", "message"), BEFORE_ANY_PROCESS, ids=[message for *_, message in BEFORE_ANY_PROCESS]
)
def test_bad_input_is_refused_before_any_process_starts(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_nccl_is_refused_where_not_every_rank_has_a_device():
    devices = torch.cuda.device_count()
    message = f"backend 'nccl' needs a CUDA device for each of {devices + 1} ranks, got {devices}"
    with pytest.raises(ValueError, match=message):
        run_ranks(len, devices + 1, backend="nccl")


def rank():
    return dist.get_rank()


def of_length(first, second):
    """A tensor whose length depends on the rank."""
    return torch.zeros((first, second)[rank()])


def outside():
    """A group that rank 1 is not a member of; to rank 0, which is alone in it, nothing is wrong."""
    group = dist.new_group([0])
    return group if rank() == 1 else dist.new_group([0])


ON_EVERY_RANK = [
    (lambda: ring_all_reduce([1.0]), TypeError, "ring_all_reduce needs a torch.Tensor, got list"),
    (lambda: ring_reduce_scatter(None), TypeError, "ring_reduce_scatter needs a torch.Tensor, got NoneType"),
    (lambda: ring_all_gather(3), TypeError, "ring_all_gather needs a torch.Tensor, got int"),
    (lambda: broadcast("x"), TypeError, "broadcast from rank 0 needs a torch.Tensor, got str"),
    (lambda: copy_to_ranks([1.0]), TypeError, "copy_to_ranks needs a torch.Tensor, got list"),
    (lambda: reduce_from_ranks([1.0]), TypeError, "reduce_from_ranks needs a torch.Tensor, got list"),
    (lambda: split_to_ranks([1.0]), TypeError, "split_to_ranks needs a torch.Tensor, got list"),
    (lambda: gather_from_ranks([1.0]), TypeError, "gather_from_ranks needs a torch.Tensor, got list"),
    (lambda: ring_all_reduce(X > 0), TypeError, "ring_all_reduce adds numbers, got torch.bool; convert it with x.int()"),
    (lambda: ring_reduce_scatter(X > 0), TypeError, "ring_reduce_scatter adds numbers, got torch.bool"),
    (lambda: ring_all_gather(X[0, 0]), ValueError, "chunk must have at least one axis to be joined along, got shape ()"),
    (lambda: broadcast(X, source=2), ValueError, "source must be below the number of ranks 2, got 2"),
    (lambda: broadcast(X, source=-1), ValueError, "source must be at least 0, got -1"),
    (lambda: broadcast(X, source=1.0), TypeError, "source must be an int, got float 1.0"),
    (lambda: split_to_ranks(torch.zeros(2, 5)), ValueError, "size of axis -1 5 must be divisible by ranks 2"),
    (lambda: split_to_ranks(X, dim=2), ValueError, "dim must name one of the 2 axes of x, got 2"),
    (lambda: split_to_ranks(X[0, 0]), ValueError, "dim must name one of the 0 axes of x, got -1"),
    (lambda: gather_from_ranks(X, dim=-3), ValueError, "dim must name one of the 2 axes of x, got -3"),
    # Ranks that disagree: each of them is told, with who has what.
    (lambda: ring_all_reduce(of_length(3, 4)), ValueError, "ranks must agree on call, shape and dtype, got rank 0: ring_all_reduce of torch.float32 (3,), rank 1: ring_all_reduce of torch.float32 (4,)"),
    (lambda: ring_all_reduce(X.view(8) if rank() else X), ValueError, "rank 0: ring_all_reduce of torch.float32 (2, 4), rank 1: ring_all_reduce of torch.float32 (8,)"),
    (lambda: ring_all_reduce(X.double() if rank() else X), ValueError, "rank 0: ring_all_reduce of torch.float32 (2, 4), rank 1: ring_all_reduce of torch.float64 (2, 4)"),
    (lambda: ring_reduce_scatter(of_length(3, 4)), ValueError, "rank 1: ring_reduce_scatter of torch.float32 (4,)"),
    (lambda: ring_all_gather(X.T if rank() else X), ValueError, "rank 0: ring_all_gather of torch.float32 (length, 4), rank 1: ring_all_gather of torch.float32 (length, 2)"),
    (lambda: ring_all_gather(X.long() if rank() else X), ValueError, "rank 1: ring_all_gather of torch.int64 (length, 4)"),
    (lambda: broadcast(of_length(3, 4)), ValueError, "rank 0: broadcast from rank 0 of torch.float32 (3,), rank 1: broadcast from rank 0 of torch.float32 (4,)"),
    (lambda: broadcast(X, source=rank()), ValueError, "rank 0: broadcast from rank 0 of torch.float32 (2, 4), rank 1: broadcast from rank 1"),
    (lambda: reduce_from_ranks(of_length(3, 4)), ValueError, "rank 0: reduce_from_ranks of torch.float32 (3,), rank 1: reduce_from_ranks of torch.float32 (4,)"),
    (lambda: gather_from_ranks(of_length(3, 4)), ValueError, "rank 1: gather_from_ranks along axis -1 of torch.float32 (4,)"),
    (lambda: gather_from_ranks(X, dim=rank()), ValueError, "rank 0: gather_from_ranks along axis 0 of torch.float32 (2, 4), rank 1: gather_from_ranks along axis 1"),
    (lambda: copy_to_ranks(of_length(3, 4).requires_grad_()).sum().backward(), ValueError, "rank 0: reduce_from_ranks of torch.float32 (3,), rank 1: reduce_from_ranks of torch.float32 (4,)"),
    (lambda: split_to_ranks((torch.zeros(2, 4) if rank() else torch.zeros(2, 2)).requires_grad_()).sum().backward(), ValueError, "rank 0: gather_from_ranks along axis -1 of torch.float32 (2, 1), rank 1: gather_from_ranks along axis -1 of torch.float32 (2, 2)"),
    (lambda: weigh_by_examples(torch.ones(()), 1) if rank() else ring_all_reduce(X), ValueError, "rank 0: ring_all_reduce of torch.float32 (2, 4), rank 1: weigh_by_examples"),
    (lambda: (reduce_from_ranks if rank() else ring_all_reduce)(X), ValueError, "rank 0: ring_all_reduce of torch.float32 (2, 4), rank 1: reduce_from_ranks of torch.float32 (2, 4)"),
]  # fmt: skip

ON_RANK_ONE = [
    (lambda: ring_all_reduce(X, group=outside()), ValueError, "group must include the rank that calls, got one without rank 1"),
    (lambda: copy_to_ranks(X, group=outside()), ValueError, "group must include the rank that calls, got one without rank 1"),
]  # fmt: skip


@pytest.fixture(scope="module")
def refusals():
    """Two ranks make every bad call of the tables, one after the other; what each rank was told each time."""

    def make_them_all():
        told = []
        for call, *_ in ON_EVERY_RANK + ON_RANK_ONE:
            try:
                told.append(call())
            except Exception as error:
                told.append(error)
            # Whoever was refused has sent nothing, so the ranks go on in step.
            assert ring_all_reduce(torch.ones(3)).tolist() == [2, 2, 2]
        return [(type(answer).__name__, str(answer)) for answer in told]

    return run_ranks(make_them_all, 2, timeout=30, check=True)


@pytest.mark.parametrize("row", range(len(ON_EVERY_RANK)), ids=[message for *_, message in ON_EVERY_RANK])
def test_every_rank_is_told(refusals, row):
    _, error, message = ON_EVERY_RANK[row]
    for told in refusals:
        name, text = told[row]
        assert name == error.__name__
        assert message in text


DIFFERENT = [
    (ring_all_reduce, ring_all_gather),
    (broadcast, ring_all_gather),
    (reduce_from_ranks, ring_all_reduce),
    (lambda x: average_gradients(with_gradients()), ring_all_reduce),
    (lambda x: None, ring_all_reduce),
]


def with_gradients():
    layer = torch.nn.Linear(2, 2)
    layer(torch.ones(1, 2)).sum().backward()
    return layer


@pytest.mark.parametrize("calls", DIFFERENT, ids=range(len(DIFFERENT)))
def test_ranks_that_do_not_check_each_other_are_told_apart_by_their_notes(calls):
    with pytest.raises(
        RuntimeError, match=r"ranks must agree on call, shape and dtype, got rank 0: .*, rank 1: ring_all_"
    ):
        run_ranks(lambda: calls[rank()](torch.ones(3)), 2)


@pytest.mark.parametrize("row", range(len(ON_RANK_ONE)))
def test_a_rank_outside_the_group_is_told_and_the_members_go_on(refusals, row):
    _, error, message = ON_RANK_ONE[row]
    member, outsider = (told[len(ON_EVERY_RANK) + row] for told in refusals)
    assert outsider[0] == error.__name__
    assert message in outsider[1]
    assert member[0] == "Tensor"
