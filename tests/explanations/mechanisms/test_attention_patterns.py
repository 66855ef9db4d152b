"""Weights read off planted values against the softmax of queries and keys by hand."""

import pytest
import torch
from small_transformers import gpt, llama, tokens
from torch.testing import assert_close

from lib.architectures import rotary, split_heads
from lib.explanations import attention_patterns, induction_scores

ATTENTIONS = ["blocks.0.attention", "blocks.1.attention"]


def by_hand(model, x, heads, kv_heads, turn):
    """Softmax of scaled products, block by block."""
    state = model.embedding(x)
    if hasattr(model, "positions"):
        state = model.positions(state)
    patterns = []
    for block in model.blocks:
        y = block.attention_norm(state)
        q, k = split_heads(block.attention.query(y), heads), split_heads(block.attention.key(y), kv_heads)
        if turn:
            q, k = rotary(q), rotary(k)
        scores = q @ k.repeat_interleave(heads // kv_heads, 1).mT / q.shape[-1] ** 0.5
        future = torch.ones_like(scores).triu(1) > 0
        patterns.append(scores.masked_fill(future, -torch.inf).softmax(-1))
        state = block(state) if turn else block(state, causal=True)
    return torch.stack(patterns)


@pytest.mark.parametrize(("build", "heads", "kv_heads"), [(gpt, 2, 2), (llama, 4, 2)])
@pytest.mark.parametrize("time", [3, 4, 7])  # heads have four features: one run, one run, two runs
def test_by_hand(build, heads, kv_heads, time):
    model, x = build(), tokens(time=time)
    patterns = attention_patterns(model, x, ATTENTIONS, heads=heads)
    assert_close(patterns, by_hand(model, x, heads, kv_heads, build is llama))
    alone = attention_patterns(model, x, ATTENTIONS[1:], heads=heads)
    assert torch.equal(alone[0], patterns[1])  # planting in a layer does not reach the next one


def test_rows_are_means_and_see_no_future():
    patterns = attention_patterns(gpt(), tokens(), ATTENTIONS, heads=2)
    assert_close(patterns.sum(-1), torch.ones(2, 3, 2, 7))
    assert (patterns.triu(1) == 0).all()
    assert (patterns.tril() > 0).sum() == 2 * 3 * 2 * 28


@pytest.mark.equation("eq-induction-score")
@pytest.mark.parametrize("period", [1, 2, 4])
def test_scores_by_hand(period):
    patterns = torch.rand(2, 3, 4, 7, 7).softmax(-1)
    scores = induction_scores(patterns, period)
    for layer, head, row in ((0, 0, 0), (1, 3, 2)):
        terms = [patterns[layer, row, head, t, t - period + 1] for t in range(period, 7)]
        assert_close(scores[layer, head, row], sum(terms) / len(terms))


def test_a_perfect_head_scores_one_and_its_neighbours_none():
    perfect = torch.zeros(1, 1, 1, 8, 8)
    for t in range(8):  # what has not stood before looks at the beginning
        perfect[..., t, max(t - 3, 0)] = 1
    assert induction_scores(perfect, 4) == 1
    assert induction_scores(perfect, 3) == 0
    assert induction_scores(perfect, 5) == 0
