"""Rollout against its product, gradient-weighted attention against weights that are leaves of a graph, both where the answer is known."""

from contextlib import nullcontext

import pytest
import torch
from small_transformers import gpt, llama, tokens
from torch import nn
from torch.testing import assert_close

from lib.architectures import attention, merge_heads, rotary, split_heads
from lib.core import seeded
from lib.explanations import attention_patterns, attention_rollout, gradient_weighted_attention

LAYERS = ["blocks.0.attention", "blocks.1.attention"]


def score(z):
    return z[:, -1, 3] - z[:, -1, 5]


def some_patterns(layers=3, time=5):
    return torch.randn(layers, 2, 4, time, time, generator=seeded(0), dtype=torch.float64).softmax(-1)


@pytest.mark.equation("eq-attention-rollout")
def test_rollout_is_the_product_with_the_last_layer_on_the_left():
    patterns = some_patterns()
    first, second, third = (0.5 * pattern.mean(1) + 0.5 * torch.eye(5) for pattern in patterns)
    assert_close(attention_rollout(patterns), third @ second @ first)
    assert not torch.allclose(third @ second @ first, first @ second @ third, atol=1e-3)


def test_what_is_carried_on_is_found_only_in_the_order_of_the_layers():
    to_one, to_two = torch.eye(3), torch.eye(3)
    to_one[1], to_two[2] = torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 0])
    layers = torch.stack([to_one, to_two])[:, None, None]
    assert attention_rollout(layers)[0, 2].tolist() == [0.25, 0.25, 0.5]
    assert attention_rollout(layers.flip(0))[0, 2].tolist() == [0, 0.5, 0.5]


def test_identity_rows_and_causality_are_kept():
    identity = torch.eye(5).expand(3, 2, 4, 5, 5)
    assert torch.equal(attention_rollout(identity), torch.eye(5).expand(2, 5, 5))
    patterns = some_patterns()
    assert_close(attention_rollout(patterns).sum(-1), torch.ones(2, 5, dtype=torch.float64))
    causal = patterns.tril() / patterns.tril().sum(-1, keepdim=True)
    assert (attention_rollout(causal).triu(1) == 0).all()
    assert (attention_rollout(causal).tril() > 0).sum() == 2 * 15


def by_leaves(model, x, heads, kv_heads, turn):
    """Attention weights that a score depends on, made leaves of the graph by hand; Chefer's equations 5 and 6 by loops."""
    state = model.embedding(x)
    if hasattr(model, "positions"):
        state = model.positions(state)
    weights = []
    for block in model.blocks:
        y = block.attention_norm(state)
        q, k, v = (
            split_heads(part(y), count)
            for part, count in (
                (block.attention.query, heads),
                (block.attention.key, kv_heads),
                (block.attention.value, kv_heads),
            )
        )
        if turn:
            q, k = rotary(q), rotary(k)
        k, v = (part.repeat_interleave(heads // kv_heads, 1) for part in (k, v))
        unit = torch.eye(x.shape[1], dtype=y.dtype).expand(*q.shape[:2], -1, -1)
        a = attention(q, k, unit, causal=True)
        a.retain_grad()
        weights.append(a)
        state = state + block.attention.output(merge_heads(a @ v))
        state = state + block.mlp(block.mlp_norm(state))
    score(model.head(model.norm(state))).sum().backward()
    relevance = [torch.eye(x.shape[1], dtype=torch.float64) for _ in x]
    for a in weights:
        for row in range(len(x)):
            positive = sum((a.grad[row, h] * a[row, h]).clamp(min=0) for h in range(heads)) / heads
            relevance[row] = relevance[row] + positive @ relevance[row]
    return torch.stack(relevance).detach()


@pytest.mark.equation("eq-gradient-weighted-attention")
@pytest.mark.parametrize(("build", "heads", "kv_heads"), [(gpt, 2, 2), (llama, 4, 2)])
def test_gradients_by_results_and_values_are_those_by_the_weights(build, heads, kv_heads):
    model, x = build().double(), tokens()
    found = gradient_weighted_attention(model, x, LAYERS, heads=heads, score=score)
    by_hand = by_leaves(model, x, heads, kv_heads, build is llama)
    assert_close(found, by_hand)
    assert (found - torch.eye(7)).abs().max() > 0.05
    assert (found.triu(1) == 0).all()  # causal stays causal
    assert (found.diagonal(dim1=1, dim2=2) >= 1).all()
    alone = torch.cat(
        [gradient_weighted_attention(model, x[i : i + 1], LAYERS, heads=heads, score=score) for i in range(3)]
    )
    assert_close(alone, found)  # an example sees no other


class Planted(nn.Module):
    """One layer without a residual path: each position takes given shares of the inputs, of which the class is the sum."""

    SHARES = torch.tensor([[1.0, 0, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5]])

    def __init__(self):
        super().__init__()
        self.value, self.output = nn.Identity(), nn.Linear(3, 3, bias=False)
        nn.init.eye_(self.output.weight)

    def forward(self, x):
        return self.output(self.SHARES @ self.value(x))


def test_a_planted_layer_gives_what_speaks_for_the_class_and_nothing_of_what_speaks_against():
    x = torch.tensor([[[4.0, 0, 0], [-3.0, 0, 0], [0, 0, 7.0]]])
    found = gradient_weighted_attention(nn.Sequential(Planted()), x, ["0"], heads=1, score=lambda y: y[:, -1, 0])
    # 0.2 · 4 speaks for it, 0.3 · (−3) against, the third input is of another class; other positions are not read.
    assert_close(found[0], torch.tensor([[1.0, 0, 0], [0, 1, 0], [0.8, 0, 1]]))
    rollout = attention_rollout(attention_patterns(nn.Sequential(Planted()), x, ["0"], heads=1))
    assert_close(rollout[0, -1], torch.tensor([0.1, 0.15, 0.75]))  # the class is not asked


class ModelError(RuntimeError):
    """What a model raises in these tests."""


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("circumstance", [nullcontext, torch.no_grad, torch.inference_mode])
def test_nothing_is_left_behind(circumstance, fails):
    model, x = gpt().train().requires_grad_(False), tokens()  # frozen: the gradient is by the heads' results
    expected = gradient_weighted_attention(model, x, LAYERS, heads=2, score=score)
    before = [parameter.clone() for parameter in model.parameters()]

    def judged(z):
        if fails and z.requires_grad:
            raise ModelError
        return score(z)

    with circumstance(), pytest.raises(ModelError) if fails else nullcontext():
        found = gradient_weighted_attention(model, x + 0, LAYERS, heads=2, score=judged)
        assert torch.equal(found, expected)
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(module.training for module in model.modules())
    assert torch.is_grad_enabled()
    assert not expected.requires_grad
