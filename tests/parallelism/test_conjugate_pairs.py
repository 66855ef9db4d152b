"""Forward communicates or backward does; every gradient is that of one process that holds everything."""

import pytest
import torch
import torch.distributed as dist
from torch import nn

from lib.core.sampling import seeded
from lib.parallelism import copy_to_ranks, gather_from_ranks, reduce_from_ranks, run_ranks, split_to_ranks

RANKS = [1, 2, 3]


def random(seed, *shape, grad=True):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64).requires_grad_(grad)


@pytest.mark.parametrize("ranks", RANKS)
def test_what_communicates_forward_and_what_backward(ranks):
    shapes = {"copy": (2, 6), "reduce": (2, 3), "split": (2, 6), "gather": (2 * ranks, 3)}

    def all_four():
        rank = dist.get_rank()
        alike, mine = random(99, 2, 6), random(rank, 2, 3)
        weights = {name: random(100 + rank, *shape, grad=False) for name, shape in shapes.items()}
        outputs = {
            "copy": copy_to_ranks(alike),
            "reduce": reduce_from_ranks(mine),
            "split": split_to_ranks(alike, dim=1),
            "gather": gather_from_ranks(mine, dim=0),
        }
        inputs = {"copy": alike, "reduce": mine, "split": alike, "gather": mine}
        gradients = {
            name: torch.autograd.grad((output * weights[name][tuple(map(slice, output.shape))]).sum(), inputs[name])[0]
            for name, output in outputs.items()
        }
        return {name: output.detach() for name, output in outputs.items()}, gradients

    width = 6 // ranks
    alike, parts = random(99, 2, 6).detach(), [random(r, 2, 3).detach() for r in range(ranks)]
    weights = [{name: random(100 + r, *shape, grad=False) for name, shape in shapes.items()} for r in range(ranks)]
    for rank, (outputs, gradients) in enumerate(run_ranks(all_four, ranks)):
        here = slice(rank * width, (rank + 1) * width)
        exactly = {"rtol": 0, "atol": 1e-14}  # the order of a few additions
        torch.testing.assert_close(outputs["copy"], alike, rtol=0, atol=0)
        torch.testing.assert_close(outputs["reduce"], sum(parts), **exactly)
        torch.testing.assert_close(outputs["split"], alike[:, here], rtol=0, atol=0)
        torch.testing.assert_close(outputs["gather"], torch.cat(parts), rtol=0, atol=0)
        torch.testing.assert_close(gradients["copy"], sum(w["copy"] for w in weights), **exactly)
        torch.testing.assert_close(gradients["reduce"], weights[rank]["reduce"], rtol=0, atol=0)
        joined = torch.cat([w["split"][:, :width] for w in weights], dim=1)
        torch.testing.assert_close(gradients["split"], joined, rtol=0, atol=0)
        own_rows = weights[rank]["gather"][2 * rank : 2 * rank + 2]
        torch.testing.assert_close(gradients["gather"], own_rows, rtol=0, atol=0)


@pytest.mark.parametrize("ranks", RANKS)
def test_gradcheck_of_each_pair_also_of_the_second_derivative(ranks):
    # All ranks move the same entry of x at the same time, so x is one variable, as the convention has it.
    # Between the two of a pair each rank does work of its own: only then are wrong sums seen.
    def check():
        rank = dist.get_rank()
        weight, x = random(rank, 6, 3, grad=False), random(9, 2, 6)
        directions = random(5, 2, 6), random(6, 2, 3)

        def f_then_g(x):
            return reduce_from_ranks(torch.tanh(copy_to_ranks(x) @ weight))

        def split_then_gather(x):
            return gather_from_ranks(torch.sin((rank + 2) * split_to_ranks(x, dim=1)), dim=1)

        return [
            torch.autograd.gradcheck(f_then_g, x),
            torch.autograd.gradgradcheck(f_then_g, x, directions[1]),
            torch.autograd.gradcheck(split_then_gather, x),
            torch.autograd.gradgradcheck(split_then_gather, x, directions[0]),
        ]

    assert run_ranks(check, ranks) == [[True] * 4] * ranks


@pytest.mark.parametrize("ranks", [2, 4])
def test_a_network_cut_in_two_ways_has_the_gradients_of_the_whole(ranks):
    def network():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5)).double()

    def cut():
        rank = dist.get_rank()
        first, _, second = network()
        rows = first.weight.chunk(ranks)[rank].detach().requires_grad_()
        bias = first.bias.chunk(ranks)[rank].detach().requires_grad_()
        columns = second.weight.chunk(ranks, dim=1)[rank].detach().requires_grad_()
        x = random(1, 3, 6)
        hidden = torch.tanh(copy_to_ranks(x) @ rows.T + bias)
        y = reduce_from_ranks(hidden @ columns.T) + second.bias
        loss = y.square().sum()
        return loss.item(), torch.autograd.grad(loss, [x, rows, bias, columns])

    model, x = network(), random(1, 3, 6)
    loss = model(x).square().sum()
    whole = torch.autograd.grad(loss, [x, model[0].weight, model[0].bias, model[2].weight])
    for rank, (value, gradients) in enumerate(run_ranks(cut, ranks)):
        expected = [
            whole[0],
            whole[1].chunk(ranks)[rank],
            whole[2].chunk(ranks)[rank],
            whole[3].chunk(ranks, dim=1)[rank],
        ]
        assert value == pytest.approx(loss.item(), rel=1e-12)
        # The same sums in another order, in float64.
        for gradient, right in zip(gradients, expected, strict=True):
            torch.testing.assert_close(gradient, right, rtol=1e-12, atol=1e-12)


def test_split_and_gather_undo_each_other_on_any_axis_of_any_layout():
    def there_and_back():
        x = torch.arange(24.0).view(2, 4, 3).transpose(0, 1)  # axes of 4, 2 and 3, not contiguous
        for dim in (0, 1, -3, -2):
            part = split_to_ranks(x, dim=dim)
            assert part.is_contiguous()
            assert torch.equal(gather_from_ranks(part, dim=dim), x)
            assert torch.equal(split_to_ranks(gather_from_ranks(x, dim=dim), dim=dim), x)
        labels = gather_from_ranks(torch.tensor([dist.get_rank()]))
        return labels.tolist(), reduce_from_ranks(x.T).shape

    assert run_ranks(there_and_back, 2) == [([0, 1], (3, 2, 4))] * 2


@pytest.mark.parametrize("ranks", [1, 2])
def test_what_is_handed_in_stays_as_it_is_and_what_comes_out_is_new(ranks):
    def change_the_output():
        x = torch.ones(2, 4)
        for function in (reduce_from_ranks, split_to_ranks, gather_from_ranks):
            function(x).zero_()
        return x.sum().item()

    assert run_ranks(change_the_output, ranks) == [8.0] * ranks


def test_pairs_may_work_among_some_of_the_ranks():
    def in_pairs():
        rank = dist.get_rank()
        group = [dist.new_group([0, 2]), dist.new_group([1, 3])][rank % 2]
        # The two groups agree in nothing, which ranks that check each other would tell.
        own = torch.full((1 + rank % 2,), rank + 1.0, requires_grad=True)

        def slope(y, x, **options):
            return torch.autograd.grad((y * (rank + 1)).sum(), x, **options)[0]

        total = reduce_from_ranks(own, group=group)
        first = slope(total.square() / 2, own, create_graph=True)
        joined = gather_from_ranks(own, group=group)
        weights = torch.tensor([1.0, 10.0]).repeat_interleave(len(own))
        part = split_to_ranks(joined, group=group)
        # Of each the answer, the gradient, and of what hides its group behind the first derivative the second.
        return {
            "reduce": [total, first, slope(first, own)],
            "copy": [slope(copy_to_ranks(own, group=group), own)],
            "gather": [joined, slope(joined * weights, own, retain_graph=True)],
            "split": [part, slope(part, joined)],
        }

    for rank, found in enumerate(run_ranks(in_pairs, 4, check=True)):
        numbers, own, length = [[1, 3], [2, 4]][rank % 2], rank + 1, 1 + rank % 2
        both = [number for number in numbers for _ in range(length)]
        expected = {
            "reduce": [[sum(numbers)] * length, [own * sum(numbers)] * length, [own * sum(numbers)] * length],
            "copy": [[sum(numbers)] * length],
            "gather": [both, [own * [1, 10][rank // 2]] * length],
            "split": [[own] * length, both],
        }
        assert {name: [tensor.tolist() for tensor in tensors] for name, tensors in found.items()} == expected
