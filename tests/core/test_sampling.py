"""Random numbers repeat, and nobody else's change."""

import pytest
import torch
from torch import nn

from lib.core import fixed_seed, seeded
from lib.core.sampling import shuffled, stratified_split


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


def test_a_stratified_split_gives_each_part_its_share_of_each_class():
    labels = torch.tensor([0, 1, 2]).repeat_interleave(torch.tensor([9, 6, 3]))[torch.randperm(18)]
    parts = stratified_split(labels, lambda count: (count // 3, count - count // 3), generator=seeded(0))
    assert [labels[part].bincount().tolist() for part in parts] == [[3, 2, 1], [6, 4, 2]]
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(18))
    again = stratified_split(labels, lambda count: (count // 3, count - count // 3), generator=seeded(0))
    assert all(torch.equal(one, other) for one, other in zip(parts, again, strict=True))
    # Drawn, not taken from the front.
    other = stratified_split(labels, lambda count: (count // 3, count - count // 3), generator=seeded(1))
    assert not torch.equal(parts[0], other[0])


def test_shuffled_rows_are_the_same_rows_in_another_order():
    rows = torch.arange(10, 30)
    mixed = shuffled(rows, seeded(0))
    assert not torch.equal(mixed, rows)
    assert torch.equal(mixed.sort().values, rows)


@pytest.mark.parametrize("sizes", [(1, 2), (3, 3), (-1, 5)])
def test_parts_that_do_not_add_up_to_the_class_are_refused(sizes):
    with pytest.raises(ValueError, match=r"the parts must add up to the 4 rows of class 0, got \["):
        stratified_split(torch.zeros(4, dtype=torch.int64), lambda _: sizes, generator=seeded(0))
