"""Bytes of training state: the formula against hand counts, the measurement against tensors of known size."""

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.nn import functional as F

from lib.parallelism.launch import run_ranks
from lib.parallelism.memory import HeldBytes, held_bytes, saved_activations, state_bytes


def network():
    return nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 4))


PARAMETERS = 6 * 10 + 10 + 10 * 4 + 4


def stepped(model, inputs, labels):
    optimizer = torch.optim.Adam(model.parameters())
    with saved_activations(model) as saved:
        loss = F.cross_entropy(model(inputs), labels)
    loss.backward()
    optimizer.step()
    return held_bytes(model, optimizer, activations=saved.bytes)


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
    assert held.total == held.state + held.activations


def test_samples_are_counted_to_the_byte():
    batch = 8
    held = stepped(network(), torch.randn(batch, 6), torch.randint(0, 4, (batch,)))
    # Inputs, ReLU's output, log-probabilities; labels of 8 bytes; the total weight that the loss keeps.
    assert held.activations == 4 * batch * (6 + 10 + 4) + 8 * batch + 4


def test_a_batch_cut_from_a_data_set_counts_as_a_batch():
    data, labels = torch.randn(100, 6), torch.randint(0, 4, (100,))
    assert stepped(network(), data[:8], labels[:8]) == stepped(network(), data[:8].clone(), labels[:8].clone())


def test_what_is_kept_twice_counts_once():
    x = torch.randn(5, 3, requires_grad=True)
    with saved_activations(nn.Identity()) as saved:
        y = (x * x) + (x * x)
    assert saved.bytes == x.nbytes
    y.sum().backward()
    torch.testing.assert_close(x.grad, 4 * x)


def test_shared_parameters_count_once_and_an_idle_model_holds_only_them():
    model = nn.Sequential(nn.Linear(5, 5, bias=False), nn.Linear(5, 5, bias=False))
    model[1].weight = model[0].weight
    assert held_bytes(model, torch.optim.Adam(model.parameters())) == HeldBytes(100, 0, 0, 0)


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
    assert first.activations == 4 * 4 * (6 + 10 + 4) + 8 * 4 + 4


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
