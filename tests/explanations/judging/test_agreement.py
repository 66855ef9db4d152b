"""What two explanations have in common, by hand and by chance."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from lib.core import seeded
from lib.explanations import agreement


@pytest.mark.equation("eq-agreement")
def test_by_hand():
    first = torch.tensor([[5.0, -4.0, 3.0, 0.1], [1.0, 2.0, 3.0, 4.0]])
    second = torch.tensor([[-1.0, -7.0, 0.2, 6.0], [1.0, 2.0, -3.0, 4.0]])
    found = agreement(first, second, top=2)
    assert_close(found.entries, torch.tensor([0.5, 1.0]))  # {0, 1} and {1, 3}; {2, 3} twice
    assert_close(found.signs, torch.tensor([0.5, 0.5]))
    assert_close(agreement(first, second, top=3).entries, torch.tensor([2 / 3, 1.0]))
    assert_close(agreement(first, second, top=3).signs, torch.tensor([1 / 3, 2 / 3]))


@given(seed=st.integers(0, 2**31), top=st.integers(1, 12))
def test_it_is_symmetric_between_0_and_1_and_signs_never_exceed_entries(seed, top):
    first, second = torch.randn(2, 5, 12, generator=seeded(seed))
    one, other = agreement(first, second, top=top), agreement(second, first, top=top)
    assert torch.equal(one.entries, other.entries)
    assert torch.equal(one.signs, other.signs)
    assert ((one.signs >= 0) & (one.signs <= one.entries) & (one.entries <= 1)).all()
    assert (agreement(first, 3 * first, top=top).signs == 1).all()
    assert (agreement(first, -first, top=top).signs == 0).all()
    assert (agreement(first, -first, top=top).entries == 1).all()
    if top == 12:
        assert (one.entries == 1).all()


def test_unrelated_rankings_share_k_of_n():
    first, second = torch.randn(2, 4000, 10, generator=seeded(0))
    assert abs(agreement(first, second, top=3).entries.mean() - 0.3) < 0.015  # five standard errors
    assert abs(agreement(first, second, top=3).signs.mean() - 0.15) < 0.015


def test_ties_go_to_the_front_in_both():
    zeros = torch.zeros(1, 4, 2)
    assert agreement(zeros, zeros, top=3).entries == 1
    assert agreement(zeros, torch.arange(8.0).reshape(1, 4, 2), top=4).entries == 0
