"""Shares inside what is known to decide, by hand and against chance."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from lib.core import seeded
from lib.explanations import localisation


@pytest.mark.equation("eq-localisation")
def test_three_shares_by_hand():
    values = torch.tensor([[4.0, -9.0, 1.0, 3.0, 2.0], [0.0, 1.0, 2.0, 3.0, 4.0]])
    inside = torch.tensor([[True, True, True, False, False], [False, False, False, True, True]])
    found = localisation(values, inside)
    # First: 5 of 10; highest three are 4, 3, 2, of which one is inside; the highest is. Second: 7 of 10, both, yes.
    assert_close(found.mass, torch.tensor([0.5, 0.7]))
    assert_close(found.rank, torch.tensor([1 / 3, 1.0]))
    assert_close(found.hit, torch.tensor([1.0, 1.0]))


def test_pictures_are_read_entry_by_entry():
    values = torch.zeros(1, 2, 3, 3)
    values[0, 1, 1] = 1.0
    inside = torch.zeros(1, 2, 3, 3, dtype=torch.bool)
    inside[0, 1, :, 0] = True
    found = localisation(values, inside)
    assert [value.item() for value in (found.mass, found.rank, found.hit)] == pytest.approx([1 / 3, 1 / 3, 1.0])


@given(seed=st.integers(0, 2**31), known=st.integers(1, 9))
def test_marking_the_rest_gives_the_rest(seed, known):
    values = torch.rand(3, 10, generator=seeded(seed)) + 0.01
    inside = torch.zeros(3, 10, dtype=torch.bool)
    inside[:, torch.randperm(10, generator=seeded(seed + 1))[:known]] = True
    found, rest = localisation(values, inside), localisation(values, ~inside)
    assert_close(found.mass + rest.mass, torch.ones(3))
    assert_close(found.hit + rest.hit, torch.ones(3))
    assert_close(found.rank, localisation(values.square() * 7, inside).rank)  # the ranking alone counts


def test_chance_gives_the_share_that_is_inside():
    values = torch.rand(4000, 10, generator=seeded(0))
    inside = (torch.arange(10) < 3).expand(4000, -1)
    found = localisation(values, inside)
    for share in (found.mass, found.rank, found.hit):
        assert abs(share.mean() - 0.3) < 0.03  # four standard errors of 4,000 hits


def test_where_nothing_is_positive_there_is_nothing_to_share():
    inside = torch.tensor([[True, False]] * 2)
    found = localisation(torch.tensor([[0.0, -1.0], [1.0, 0.0]]), inside)
    for share in (found.mass, found.rank, found.hit):
        assert share.isnan().tolist() == [True, False]
