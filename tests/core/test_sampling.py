"""Random numbers repeat, and nobody else's change."""

import pytest
import torch
from torch import nn

from lib.core import fixed_seed, seeded


def test_a_seed_repeats_and_another_seed_differs():
    draw = [torch.rand(5, generator=seeded(seed)).tolist() for seed in (3, 3, 4)]
    assert draw[0] == draw[1] != draw[2]


def test_a_fixed_seed_repeats_a_layers_first_weights():
    weights = []
    for _ in range(2):
        with fixed_seed(7):
            weights.append(nn.Linear(3, 4).weight)
    assert torch.equal(*weights)


@pytest.mark.parametrize("fails", [False, True])
def test_the_callers_random_numbers_go_on_as_if_nothing_had_happened(fails):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    try:
        with fixed_seed(99):
            torch.rand(10)
            if fails:
                raise KeyError
    except KeyError:
        pass
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("use", [seeded, lambda seed: fixed_seed(seed).__enter__()])
def test_a_negative_seed_is_refused(use):
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        use(-1)
