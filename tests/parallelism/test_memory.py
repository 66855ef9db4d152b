"""Bytes of training state: the formula against hand counts, the measurement against tensors of known size."""

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from lib.parallelism.launch import run_ranks
from lib.parallelism.memory import HeldBytes, MemoryTimeline, held_bytes, state_bytes


def network():
    return nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 4))


PARAMETERS = 6 * 10 + 10 + 10 * 4 + 4


def stepped(model, inputs, labels):
    optimizer = torch.optim.Adam(model.parameters())
    F.cross_entropy(model(inputs), labels).backward()
    optimizer.step()
    return held_bytes(model, optimizer)


@pytest.mark.equation("eq-training-state-bytes")
@pytest.mark.parametrize(
    ("sharded", "expected"),
    [
        # Rajbhandari et al. 2020, figure 1: 7.5 billion parameters, mixed precision, 64 devices.
        ("nothing", 120e9),
        ("optimizer", 31.4e9),
        ("gradients", 16.6e9),
        ("parameters", 1.9e9),
    ],
)
def test_the_papers_own_example(sharded, expected):
    mixed = {"parameter_bytes": 2, "gradient_bytes": 2, "optimizer_bytes": 12}
    value = state_bytes(7_500_000_000, 64, sharded=sharded, **mixed)
    assert value == pytest.approx(expected, rel=0.015)  # the paper prints three digits at most


@pytest.mark.equation("eq-training-state-bytes")
def test_each_part_is_divided_by_itself():
    costs = {"parameter_bytes": 3, "gradient_bytes": 5, "optimizer_bytes": 7}
    assert state_bytes(12, 4, sharded="nothing", **costs) == 12 * (3 + 5 + 7)
    assert state_bytes(12, 4, sharded="optimizer", **costs) == 12 * (3 + 5 + 7 / 4)
    assert state_bytes(12, 4, sharded="gradients", **costs) == 12 * (3 + 5 / 4 + 7 / 4)
    assert state_bytes(12, 4, sharded="parameters", **costs) == 12 * (3 + 5 + 7) / 4


def test_what_one_process_holds_is_the_formula():
    held = stepped(network(), torch.randn(8, 6), torch.randint(0, 4, (8,)))
    assert held.parameters == held.gradients == 4 * PARAMETERS
    assert held.optimizer == 8 * PARAMETERS
    assert held.state == state_bytes(PARAMETERS)
    assert HeldBytes(1, 20, 300, 4000).state == 321
    assert HeldBytes(1, 20, 300, 4000).total == 4321


def test_shared_parameters_count_once_and_an_idle_model_holds_only_them():
    model = nn.Sequential(nn.Linear(5, 5, bias=False), nn.Linear(5, 5, bias=False))
    model[1].weight = model[0].weight
    assert held_bytes(model, torch.optim.Adam(model.parameters())) == HeldBytes(100, 0, 0)


def test_momentum_is_optimizer_state_too():
    model = nn.Linear(6, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.randn(3, 6)).sum().backward()
    optimizer.step()
    assert held_bytes(model, optimizer).optimizer == 4 * 14


def _sharded(inputs, labels):
    torch.manual_seed(0)
    model = network()
    fully_shard(model)
    mine = slice(4 * dist.get_rank(), 4 * dist.get_rank() + 4)
    return stepped(model, inputs[mine], labels[mine])


def test_of_a_sharded_model_the_local_part_counts():
    first, second = run_ranks(_sharded, 2, torch.randn(8, 6), torch.randint(0, 4, (8,)))
    # 10 rows of W1 and 4 of W2 divide evenly by two ranks.
    assert first.state == second.state == state_bytes(PARAMETERS, 2, sharded="parameters")


def test_on_the_meta_device_bytes_count_as_they_would_elsewhere():
    with torch.device("meta"):
        model = network()
        held = stepped(model, torch.empty(8, 6), torch.zeros(8, dtype=torch.int64))
    assert held == stepped(network(), torch.randn(8, 6), torch.randint(0, 4, (8,)))


def timeline(model, inputs, labels):
    """One step of Adam, and what it holds, moment by moment."""
    optimizer = torch.optim.Adam(model.parameters())
    with MemoryTimeline(model, optimizer) as memory:
        memory.mark("before")
        loss = F.cross_entropy(model(inputs), labels)
        memory.mark("after forward")
        loss.backward()
        del loss
        memory.mark("after backward")
        optimizer.step()
        memory.mark("after step")
    return memory


def test_a_timeline_shows_that_the_parts_of_a_step_do_not_meet():
    batch = 8
    memory = timeline(network(), torch.randn(batch, 6), torch.randint(0, 4, (batch,)))
    names = ["before", "after forward", "after backward", "after step"]
    assert list(memory.marks) == names
    state = [(held.parameters, held.gradients, held.optimizer) for held in memory.marks.values()]
    weights = 4 * PARAMETERS
    assert state == [(weights, 0, 0), (weights, 0, 0), (weights, weights, 0), (weights, weights, 2 * weights)]
    activations = [memory.marks[name].activations for name in names]
    # ReLU's output, log-probabilities, the loss and the total weight that it keeps.
    assert activations == [0, 4 * batch * (10 + 4) + 4 + 4, 0, 0]
    assert memory.peak.total >= max(held.total for held in memory.marks.values())
    assert memory.peak == max(memory.moments, key=lambda held: held.total)
    # The largest moment holds temporary copies, and is none that a mark shows.
    assert memory.peak.total > memory.marks["after step"].total


class Deep(nn.Module):
    def __init__(self, recompute):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh()) for _ in range(4)
        )
        self.recompute = recompute

    def forward(self, x):
        for layer in self.layers:
            x = checkpoint(layer, x, use_reentrant=False) if self.recompute else layer(x)
        return x


def test_activations_that_are_made_again_are_not_held_after_forward_and_come_back_in_backward():
    inputs, labels = torch.randn(1000, 16), torch.randint(0, 16, (1000,))
    kept, made_again = (timeline(Deep(recompute), inputs, labels) for recompute in (False, True))
    activation = 1000 * 16 * 4
    held = [memory.marks["after forward"].activations for memory in (kept, made_again)]
    # Of each block's two results only the one that the next block begins with stays; and the loss's probabilities.
    assert held == [(8 + 1) * activation + 8, (3 + 1) * activation + 8]
    # In backward one block at a time is made again: its inner result comes back.
    backward = [held.activations for held in made_again.moments]
    assert max(backward) > made_again.marks["after forward"].activations + activation
    assert made_again.peak.total < kept.peak.total


@pytest.mark.bad_input
def test_a_timeline_in_which_nothing_happens_has_no_peak():
    model = network()
    with MemoryTimeline(model, torch.optim.Adam(model.parameters())) as memory:
        pass
    with pytest.raises(ValueError, match="a peak needs at least one operation"):
        memory.peak  # noqa: B018


BAD = [
    (lambda: state_bytes(-1), ValueError, "parameters must be at least 0, got -1"),
    (lambda: state_bytes(1.5), TypeError, "parameters must be an int, got float 1.5"),
    (lambda: state_bytes(10, 0), ValueError, "ranks must be at least 1, got 0"),
    (lambda: state_bytes(10, 2, sharded="weights"), ValueError, "sharded must be one of nothing, optimizer, gradients, parameters, got 'weights'"),
    (lambda: state_bytes(10, optimizer_bytes=-8), ValueError, "optimizer_bytes must be at least 0, got -8"),
]  # fmt: skip


@pytest.mark.bad_input
@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
