"""Units whose activation on each input is known."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from lib.core import seeded
from lib.explanations import dataset_examples, unit_activations

X = torch.randn(40, 3, 5, 6, generator=seeded(0))


def spy():
    """A layer that hands its input through, inside a model in training mode."""
    return nn.Sequential(nn.Dropout(0.5), nn.Identity(), nn.Flatten(), nn.Linear(90, 2)).train()


@pytest.mark.parametrize("over", ["max", "mean"])
@pytest.mark.parametrize("batch_size", [1, 7, 256])
def test_a_channel_is_read_at_all_positions(over, batch_size):
    found = unit_activations(spy(), X, layer="1", unit=2, over=over, batch_size=batch_size)
    expected = X[:, 2].amax((1, 2)) if over == "max" else X[:, 2].mean((1, 2))
    assert_close(found, expected)  # means of another batch may add in another order


def test_a_direction_is_the_weighted_sum_of_the_features_at_each_position():
    direction = torch.tensor([1.0, -2.0, 0.5])
    expected = (X * direction[:, None, None]).sum(1).amax((1, 2))
    assert_close(unit_activations(spy(), X, layer="1", unit=direction), expected)
    unit = unit_activations(spy(), X, layer="1", unit=torch.tensor([0.0, 1.0, 0.0]))
    assert torch.equal(unit, unit_activations(spy(), X, layer="1", unit=1))


def test_features_of_a_sequence_are_on_its_last_axis():
    x = torch.randn(4, 7, 3, generator=seeded(0))
    found = unit_activations(nn.Sequential(nn.Identity()), x, layer="0", unit=2, over="mean")
    assert_close(found, x[:, :, 2].mean(1))


def test_token_ids_are_inputs_too():
    table = nn.Embedding(5, 2)
    found = unit_activations(nn.Sequential(table), torch.tensor([[0, 3], [1, 1]]), layer="0", unit=1)
    assert_close(found, torch.stack([table.weight[[0, 3], 1].max(), table.weight[1, 1]]).detach())


def test_the_top_are_the_greatest_in_order_and_ties_go_to_the_earlier_input():
    x = torch.tensor([2.0, 9.0, 5.0, 9.0, 7.0])[:, None]
    found = dataset_examples(nn.Sequential(nn.Identity()), x, layer="0", unit=0, count=4, generator=seeded(0))
    assert found.top.tolist() == [1, 3, 4, 2]
    assert torch.equal(found.activations, x[:, 0])


def test_each_interval_of_the_range_that_holds_inputs_gives_one_of_them():
    x = torch.cat([torch.linspace(0, 0.9, 10), torch.tensor([2.5, 4.0])])[
        :, None
    ]  # nothing between 1 and 2, nor 3 and 4
    model, drawn = nn.Sequential(nn.Identity()), set()
    for seed in range(60):
        found = dataset_examples(model, x, layer="0", unit=0, count=4, generator=seeded(seed))
        assert found.spread[:2].tolist() == [11, 10]
        assert len(found.spread) == 3
        drawn.add(found.spread[2].item())
    assert drawn == set(range(10))  # any of an interval's inputs; one is missed in 60 draws with probability 0.02


def test_a_unit_that_is_equal_everywhere_has_one_interval():
    found = dataset_examples(
        nn.Sequential(nn.Identity()), torch.ones(6, 1), layer="0", unit=0, count=3, generator=seeded(0)
    )
    assert found.top.tolist() == [0, 1, 2]
    assert len(found.spread) == 1


def test_the_same_generator_draws_the_same_and_the_model_is_as_it_was():
    model = spy()
    model[1].eval()
    before = torch.get_rng_state(), X.clone()
    first, second = (dataset_examples(model, X, layer="1", unit=0, count=9, generator=seeded(4)) for _ in range(2))
    assert torch.equal(first.spread, second.spread)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.equal(X, before[1])
    assert model.training
    assert not model[1].training
    assert not any(module._forward_hooks for module in model.modules())
