"""Softmax, its logarithm and the loss: known answers, shift invariance, the far tails, gradients."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck
from torch.nn import functional as F
from torch.testing import assert_close

from lib.architectures import cross_entropy, log_softmax, softmax
from lib.core import seeded

# The same examples in every run, and no deadline: a busy machine is no bug.
reproducible = settings(max_examples=60, deadline=None, derandomize=True, database=None)
scores = st.lists(st.floats(-50, 50), min_size=1, max_size=6)


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=seeded(seed))


@pytest.mark.equation("eq-softmax")
def test_softmax_normalises_the_exponentials():
    logits = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64).log()
    assert_close(softmax(logits), torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64) / 8)
    # At temperature 1/2 the weights are squared: 1, 4, 25.
    assert_close(softmax(logits, temperature=0.5), torch.tensor([1.0, 4.0, 25.0], dtype=torch.float64) / 30)
    x = random(2, 3, 4)
    assert_close(softmax(x, dim=1, temperature=3.0), F.softmax(x / 3, dim=1))


@pytest.mark.equation("eq-log-softmax")
def test_log_softmax_keeps_what_softmax_rounds_to_zero():
    logits = torch.tensor([[0.0, -1000.0]])
    assert softmax(logits).tolist() == [[1.0, 0.0]]
    assert log_softmax(logits).tolist() == [[0.0, -1000.0]]
    x = random(2, 3, 4)
    assert_close(log_softmax(x, dim=1), softmax(x, dim=1).log())
    assert_close(log_softmax(x, dim=0), F.log_softmax(x, dim=0))


@pytest.mark.equation("eq-cross-entropy")
def test_cross_entropy_is_the_mean_surprise_at_the_labels():
    labels = torch.tensor([2, 0, 1, 1])
    assert cross_entropy(torch.zeros(4, 10), labels).item() == pytest.approx(math.log(10))
    logits = torch.tensor([[1.0, 2.0, 5.0]], dtype=torch.float64).log()
    assert cross_entropy(logits, torch.tensor([1])).item() == pytest.approx(math.log(4))  # p = 2/8
    logits = random(4, 3)
    assert_close(cross_entropy(logits, labels), F.cross_entropy(logits, labels))


@reproducible
@given(values=scores, shift=st.floats(-1e6, 1e6), temperature=st.floats(0.1, 10))
def test_probabilities_sum_to_one_keep_their_order_and_ignore_a_shift(values, shift, temperature):
    logits = torch.tensor(values, dtype=torch.float64)
    p = softmax(logits, temperature=temperature)
    assert_close(p.sum().item(), 1.0)
    assert (p >= 0).all()
    assert (p[logits.argsort()].diff() >= 0).all()
    # Adding 1e6 costs the logits ten of their sixteen digits, and dividing by 0.1 one more.
    assert_close(softmax(logits + shift, temperature=temperature), p, rtol=1e-7, atol=1e-9)
    assert_close(log_softmax(logits + shift), log_softmax(logits), rtol=1e-7, atol=1e-9)


def test_scores_that_overflow_exp_are_harmless_and_minus_infinity_means_never():
    logits = torch.tensor([[1e4, 1e4, -torch.inf]], requires_grad=True)
    p = softmax(logits)
    assert p.tolist() == [[0.5, 0.5, 0.0]]
    (slope,) = torch.autograd.grad(p[0, 0], logits)
    assert slope.tolist() == [[0.25, -0.25, 0.0]]


def test_the_gradient_of_the_loss_is_probability_minus_truth():
    logits = random(5, 3).requires_grad_()
    labels = torch.tensor([0, 2, 1, 1, 0])
    (gradient,) = torch.autograd.grad(cross_entropy(logits, labels), logits)
    assert_close(gradient, (softmax(logits) - F.one_hot(labels, 3)) / 5)


def test_gradients_pass_a_numerical_check():
    logits = random(3, 4).requires_grad_()
    assert gradcheck(lambda z: softmax(z, dim=0, temperature=2.0), logits)
    assert gradcheck(log_softmax, logits)
    assert gradcheck(lambda z: cross_entropy(z, torch.tensor([3, 0, 1])), logits)
