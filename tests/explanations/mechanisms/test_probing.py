"""Probes of states whose labels are known to be there, or known not to be."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from lib.core import seeded
from lib.explanations import control_labels, linear_probe, lookup_labels


@pytest.mark.parametrize("penalty", [0.3, 0.01])
def test_the_optimum_is_that_of_scikit_learn(penalty):
    states = torch.randn(200, 4, generator=seeded(0)).double() * torch.tensor([1.0, 5.0, 0.1, 2.0]) + 3
    labels = (states @ torch.randn(4, 3, generator=seeded(1)).double()).argmax(1)
    probe = linear_probe(states, labels, penalty=penalty)
    scaled = ((states - states.mean(0)) / states.std(0, correction=0)).numpy()
    # Its objective is the sum of the losses times C, plus half the squared weights.
    reference = LogisticRegression(C=1 / (penalty * len(labels)), tol=1e-8, max_iter=1000).fit(scaled, labels.numpy())
    np.testing.assert_allclose(probe.weight.numpy(), reference.coef_, atol=1e-4)  # where the two searches stop
    assert (probe(states).numpy() == reference.predict(scaled)).all()


def test_what_is_there_is_read_and_a_shift_or_scale_does_not_matter():
    states = torch.randn(300, 5, generator=seeded(0))
    labels = (states[:, 2] > 0).long()
    probe, other = linear_probe(states, labels, penalty=0.001), linear_probe(states * 50 - 7, labels, penalty=0.001)
    fresh = torch.randn(300, 5, generator=seeded(1))
    assert (probe(fresh) == (fresh[:, 2] > 0).long()).float().mean() > 0.95
    assert torch.equal(probe(fresh), other(fresh * 50 - 7))


def test_what_is_not_there_is_not_read():
    states, labels = torch.randn(600, 5, generator=seeded(0)), torch.randint(3, (600,), generator=seeded(1))
    probe = linear_probe(states[:300], labels[:300], penalty=0.1)
    right = (probe(states[300:]) == labels[300:]).float().mean()
    assert 0.2 < right < 0.47  # a third, give or take five standard errors of 300 draws


def test_a_constant_feature_changes_nothing():
    states = torch.randn(100, 3, generator=seeded(0)).double()
    labels = (states[:, 0] > 0).long()
    with_constant = torch.cat([states, torch.full((100, 1), 4.0).double()], 1)
    probe, other = linear_probe(states, labels, penalty=0.1), linear_probe(with_constant, labels, penalty=0.1)
    assert torch.allclose(probe.weight, other.weight[:, :3], atol=1e-4)
    assert (other.weight[:, 3] == 0).all()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=40), st.integers(0, 99))
def test_control_labels_are_one_a_type_and_from_the_task(rows, seed):
    types, labels = torch.tensor(rows).T.contiguous()
    control = control_labels(types, labels, generator=seeded(seed))
    for token in types.unique():
        assert len(control[types == token].unique()) == 1
    assert set(control.tolist()) <= set(labels.tolist())


def test_control_labels_are_as_frequent_as_the_tasks():
    labels = torch.tensor([0] * 700 + [1] * 300)
    control = control_labels(torch.arange(1000), labels, generator=seeded(0))
    assert 0.23 < control.float().mean() < 0.37  # 0.3, give or take five standard errors
    assert not torch.equal(control, labels)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=30))
def test_no_function_of_the_type_is_right_more_often_than_the_table(rows):
    types, labels = torch.tensor(rows).T.contiguous()
    table = (lookup_labels(types, labels, types) == labels).sum()
    best = sum(max((labels[types == token] == label).sum() for label in range(3)) for token in types.unique())
    assert table == best
