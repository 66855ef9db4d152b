"""Kneser–Ney: the formula, counted with dictionaries; probabilities that sum to 1; what is refused."""

import math
from collections import Counter, defaultdict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from lib.architectures import KneserNey, generate
from lib.core import seeded

WRONG = {
    "counts of floats": (lambda: KneserNey(torch.zeros(4), order=2, vocabulary=3), TypeError, "tokens must have dtype"),
    "counts of nothing": (
        lambda: KneserNey(torch.zeros(0).long(), order=2, vocabulary=3),
        ValueError,
        "tokens must hold at least one element",
    ),
    "counts beyond": (
        lambda: KneserNey(torch.tensor([0, 3]), order=2, vocabulary=3),
        ValueError,
        "tokens must lie in 0 … 2, the vocabulary, got 3",
    ),
    "order 0": (lambda: KneserNey(torch.tensor([0]), order=0, vocabulary=3), ValueError, "order must be at least 1"),
    "asked beyond": (lambda: fitted()(torch.tensor([[5]])), ValueError, "tokens must lie in 0 … 4"),
    "asked for a batch": (lambda: fitted().log_probabilities(torch.zeros(1, 2).long()), ValueError, "must have 1 axis"),
    "asked for one text": (lambda: fitted()(torch.zeros(2).long()), ValueError, "must have 2 axes"),
}


def fitted(order=3):
    return KneserNey(torch.tensor([0, 1, 2, 0, 1, 3, 0, 1, 2, 2]), order=order, vocabulary=5)


def by_dictionaries(tokens, order, vocabulary):
    """Equation of the class, token by token: a function of a context (a tuple) and a token."""
    order = min(order, len(tokens))
    grams = [Counter(zip(*(tokens[i:] for i in range(k)), strict=False)) for k in range(1, order + 1)]
    counts = [Counter(gram[1:] for gram in longer) for longer in grams[1:]] + [grams[-1]]
    totals, discounts = [], []
    for table in counts:
        n = Counter(table.values())
        estimates = [0.0]
        for j in (1, 2, 3):
            share = n[1] / (n[1] + 2 * n[2]) if n[1] + n[2] else math.nan
            d = j - (j + 1) * share * n[j + 1] / n[j] if n[j] else math.nan
            estimates.append(d if 0 < d < j else 0.5)
        discounts.append(estimates)
        followers = defaultdict(list)
        for gram, count in table.items():
            followers[gram[:-1]].append(count)
        totals.append(followers)

    def probability(context, token):
        p = 1 / vocabulary
        for k in range(order):
            past = context[len(context) - k :] if k else ()
            if len(context) < k or past not in totals[k]:
                continue
            found, d = totals[k][past], discounts[k]
            count = counts[k][(*past, token)]
            left = sum(d[min(c, 3)] for c in found)
            p = (count - d[min(count, 3)] + left * p) / sum(found)
        return p

    return probability


@pytest.mark.equation("eq-kneser-ney")
@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=40),
    st.integers(1, 5),
    st.lists(st.integers(0, 4), min_size=1, max_size=9),
)
def test_probabilities_are_those_of_the_formula(tokens, order, text):
    model = KneserNey(torch.tensor(tokens), order=order, vocabulary=5)
    reference = by_dictionaries(tokens, order, 5)
    each = model.log_probabilities(torch.tensor(text))
    expected = [math.log(reference(tuple(text[:i]), token)) for i, token in enumerate(text)]
    assert_close(each, torch.tensor(expected, dtype=torch.float64))
    following = model(torch.tensor([text, text[::-1]])).exp()
    assert_close(following.sum(-1), torch.ones(2, len(text), dtype=torch.float64))
    table = [[reference(tuple(text[: i + 1]), token) for token in range(5)] for i in range(len(text))]
    assert_close(following[0], torch.tensor(table, dtype=torch.float64))


def test_a_word_of_one_context_is_not_expected_in_others():
    """Chen & Goodman 1999, section 2.7: Francisco is frequent, but only after San."""
    san, francisco, glass, other = 0, 1, 2, 3
    text = [san, francisco] * 20 + [glass, other, san, glass, glass, glass, other, glass] * 2
    model = KneserNey(torch.tensor(text), order=2, vocabulary=5)
    after_unknown = model(torch.tensor([[4]]))[0, 0].exp()
    assert text.count(francisco) > text.count(glass)
    assert after_unknown[glass] > 1.5 * after_unknown[francisco]


def test_it_can_write():
    model = fitted()
    written = generate(model, torch.tensor([[0]]), 5)
    assert written[0, :3].tolist() == [0, 1, 2]
    drawn = generate(model, torch.zeros(400, 1).long(), 1, generator=seeded(0))[:, 1]
    share = model(torch.tensor([[0]]))[0, 0, 1].exp()
    assert abs((drawn == 1).double().mean() - share) < 0.08  # 3 standard errors of 400 draws


def test_an_order_beyond_the_text_is_that_of_the_text():
    assert_close(fitted(10)(torch.tensor([[0, 1]])), fitted(99)(torch.tensor([[0, 1]])))
