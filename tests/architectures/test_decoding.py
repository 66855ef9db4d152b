"""Cached or not, a model writes the same; what is drawn follows the probabilities; beams find what greed misses."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from lib.architectures import (
    KVCache,
    MultiHeadAttention,
    Transformer,
    TransformerConfig,
    beam_search,
    candidates,
    generate,
)
from lib.core import seeded

CONFIG = TransformerConfig(layers=3, width=16, heads=4, vocabulary=11, context=24)


@pytest.fixture
def model():
    torch.manual_seed(0)
    made = Transformer(CONFIG).double()
    for parameter in made.parameters():  # at the usual first weights all tokens are nearly as probable
        nn.init.normal_(parameter, std=0.4)
    return made


@pytest.mark.parametrize("pieces", [[12], [1] * 12, [5, 4, 3], [1, 10, 1]])
def test_with_a_cache_logits_are_those_of_the_whole(model, pieces):
    tokens = torch.randint(11, (2, 12), generator=seeded(0))
    cache = KVCache(3, 12)
    with torch.no_grad():
        parts = [model(piece, cache=cache) for piece in tokens.split(pieces, 1)]
        assert cache.length == 12
        assert_close(torch.cat(parts, 1), model(tokens))


def test_grouped_heads_share_their_keys_and_values():
    layer = MultiHeadAttention(16, 4, kv_heads=2).double()
    whole = MultiHeadAttention(16, 4).double()
    whole.query, whole.output = layer.query, layer.output
    for name in ("key", "value"):
        small, large = getattr(layer, name), getattr(whole, name)
        large.weight.data = small.weight.data.view(2, 1, 4, 16).expand(2, 2, 4, 16).reshape(16, 16)
        large.bias.data = small.bias.data.view(2, 1, 4).expand(2, 2, 4).reshape(16)
    x = torch.randn(2, 5, 16, generator=seeded(0), dtype=torch.float64)
    assert_close(layer(x, causal=True), whole(x, causal=True))
    assert layer.key.weight.shape == (8, 16)


def test_keys_and_values_may_come_from_elsewhere():
    layer = MultiHeadAttention(16, 4).double()
    torchs = nn.MultiheadAttention(16, 4, batch_first=True).double()
    torchs.in_proj_weight.data = torch.cat([layer.query.weight, layer.key.weight, layer.value.weight]).detach()
    torchs.in_proj_bias.data = torch.cat([layer.query.bias, layer.key.bias, layer.value.bias]).detach()
    torchs.out_proj.load_state_dict(layer.output.state_dict())
    x, context = (torch.randn(2, n, 16, generator=seeded(n), dtype=torch.float64) for n in (5, 7))
    padding = torch.arange(7) >= torch.tensor([7, 3])[:, None]
    expected, _ = torchs(x, context, context, key_padding_mask=padding)
    assert_close(layer(x, context, mask=~padding[:, None, None]), expected)


def test_the_counts_of_gpt_2_small():
    with torch.device("meta"):
        model = Transformer(
            TransformerConfig(layers=12, width=768, heads=12, vocabulary=50_257, context=1024, tied=True)
        )
    assert sum(parameter.numel() for parameter in model.parameters()) == 124_439_808
    assert model.head.weight is model.embedding.weight


def test_generation_is_the_same_with_and_without_a_cache(model):
    prompt = torch.randint(11, (3, 4), generator=seeded(0))
    for options in ({}, {"generator": 1, "temperature": 0.8, "top_k": 5}, {"generator": 2, "top_p": 0.7}):
        drawn = [
            generate(
                model,
                prompt,
                20,
                cached=cached,
                **options | {"generator": seeded(options["generator"])} if options else {},
            )
            for cached in (True, False)
        ]
        assert torch.equal(*drawn)
        assert torch.equal(drawn[0][:, :4], prompt)
        assert drawn[0].shape == (3, 24)
    greedy = generate(model, prompt, 1)[:, -1]
    assert torch.equal(greedy, model(prompt)[:, -1].argmax(1))


def test_a_sequence_that_has_ended_is_filled_up(model):
    def count(tokens):
        return torch.eye(5)[(tokens + 1) % 5]

    assert generate(count, torch.tensor([[0], [2]]), 9, end=3).tolist() == [[0, 1, 2, 3], [2, 3, 3, 3]]


def test_candidates_are_the_largest_and_their_probabilities_are_scaled():
    probabilities = torch.tensor([[0.4, 0.1, 0.3, 0.2]])
    logits = probabilities.log()
    assert_close(candidates(logits), probabilities)
    assert_close(candidates(logits, top_k=2), torch.tensor([[4 / 7, 0, 3 / 7, 0]]))
    # 0.4 and 0.3 reach 0.65 together; 0.4 alone does not.
    assert_close(candidates(logits, top_p=0.65), torch.tensor([[4 / 7, 0, 3 / 7, 0]]))
    assert_close(candidates(logits, top_p=0.75), torch.tensor([[4 / 9, 0, 3 / 9, 2 / 9]]))
    assert_close(candidates(logits, top_p=0.0), torch.tensor([[1.0, 0, 0, 0]]))
    assert_close(candidates(logits, temperature=0.5), probabilities**2 / (probabilities**2).sum())
    assert_close(candidates(logits, top_k=9, top_p=1.0), probabilities)
    # Temperature comes first: cold enough, one token is the whole nucleus.
    assert_close(candidates(logits, temperature=0.1, top_p=0.9), torch.tensor([[1.0, 0, 0, 0]]))


def test_a_nucleus_is_cut_by_the_probabilities_and_not_by_their_rounding():
    logits = 3 * torch.randn(4, 50_000, generator=seeded(0))
    assert (candidates(logits, top_p=1.0) > 0).all()  # a float32 sum reaches 1 before the last 1,491
    assert_close(candidates(logits, top_p=0.99) > 0, candidates(logits.double(), top_p=0.99) > 0)


def test_what_is_drawn_follows_the_probabilities():
    logits = torch.tensor([0.4, 0.1, 0.3, 0.2]).log()
    drawn = generate(
        lambda tokens: logits.expand(*tokens.shape, 4),
        torch.zeros(4000, 1, dtype=torch.int64),
        1,
        generator=seeded(0),
        top_k=3,
    )
    shares = drawn[:, 1].bincount(minlength=4) / 4000
    # Four standard errors of a share of 4,000 are 0.032.
    assert_close(shares, torch.tensor([4 / 9, 0, 3 / 9, 2 / 9]), rtol=0, atol=0.032)
    assert shares[1] == 0


def table_model(table):
    """The next token depends on the last one alone: rows of log-probabilities."""
    return lambda tokens: table[tokens]


def all_sequences(table, begin, end, longest):
    """Every sequence that ends, or is cut, with its log-probability, by trying all."""
    others = [token for token in range(len(table)) if token != end]
    for length in range(1, longest + 1):
        for middle in itertools.product(others, repeat=length - 1):
            for last in range(len(table)) if length == longest else [end]:
                sequence = [begin, *middle, last]
                yield sequence, sum(table[a, b].item() for a, b in itertools.pairwise(sequence))


def test_a_beam_wide_enough_finds_the_best_of_all():
    table = torch.randn(4, 4, generator=seeded(3), dtype=torch.float64).log_softmax(1)
    ranked = sorted(all_sequences(table, 0, 3, 4), key=lambda one: -one[1])
    # 27 beams hold all beginnings of three tokens; the search stops when that many have ended.
    found = beam_search(table_model(table), torch.tensor([0]), beams=27, end=3, longest=4)
    for (sequence, score), (best, total) in zip(found[:5], ranked[:5], strict=True):
        assert sequence.tolist() == best
        assert score == pytest.approx(total)


def test_two_beams_find_what_greed_misses():
    # 0 → 1 is likelier than 0 → 2, but after 1 all is open and after 2 nothing is.
    rows = [[0.0, 0.6, 0.4, 0.0], [0.3, 0.3, 0.1, 0.3], [0.0, 0.0, 0.0, 1.0], [0.25] * 4]
    table = torch.tensor(rows).log()
    (greedy, _), *_ = beam_search(table_model(table), torch.tensor([0]), beams=1, end=3, longest=5)
    (best, score), *_ = beam_search(table_model(table), torch.tensor([0]), beams=2, end=3, longest=5)
    assert greedy.tolist()[:2] == [0, 1]
    assert best.tolist() == [0, 2, 3]
    assert score == pytest.approx(math.log(0.4))


def test_what_a_model_rules_out_is_written_by_no_beam():
    # After 0 only 2 may stand, and after 2 only 2: of three beams one has something to follow.
    table = torch.full((4, 4), -math.inf)
    table[:, 2] = 0.0
    assert [found.tolist() for found, _ in beam_search(table_model(table), torch.tensor([0]), beams=3, end=3, longest=2)] == [[0, 2, 2]]  # fmt: skip


def test_a_length_penalty_lets_longer_sequences_win():
    # End at once with probability 0.3, or go on for three sure steps after one of 0.2.
    table = (
        torch.tensor(
            [
                [0.0, 0.2, 0.0, 0.0, 0.3, 0.5],
                [0, 0, 1, 0, 0, 0],
                [0, 0, 0, 1, 0, 0],
                [0, 0, 0, 0, 1, 0],
                [0.2] * 5 + [0],
                [0, 0, 0, 0, 0, 1.0],
            ]
        )
        .clamp(1e-12)
        .log()
    )
    short = beam_search(table_model(table), torch.tensor([0]), beams=3, end=4, longest=8)[0]
    long = beam_search(table_model(table), torch.tensor([0]), beams=3, end=4, longest=8, length_penalty=1.0)[0]
    assert short[0].tolist() == [0, 4]
    assert short[1] == pytest.approx(math.log(0.3), abs=1e-4)
    assert long[0].tolist() == [0, 1, 2, 3, 4]
    assert long[1] == pytest.approx(math.log(0.2) / (9 / 6), abs=1e-4)


K = torch.zeros(1, 2, 3, 4)


def used(**options):
    cache = KVCache(layers=1, capacity=4)
    cache.extend(0, K, K)
    return cache


WRONG = {
    "capacity": (lambda: used().extend(0, K, K), ValueError, "capacity 4 cannot hold 6 positions"),
    "another batch": (lambda: used().extend(0, K[:, :, :1].expand(2, 2, 1, 4), K[:, :, :1].expand(2, 2, 1, 4)), ValueError, r"keeps \(batch, heads, …, head_dim\) = \(1, 2, '…', 4\), got \(2, 2"),
    "another dtype": (lambda: used().extend(0, K[:, :, :1].double(), K[:, :, :1].double()), TypeError, "the cache keeps torch.float32, got torch.float64"),
    "no such layer": (lambda: used().extend(1, K, K), ValueError, "layer must lie in 0 … 0, got 1"),
    "gradients": (lambda: used().extend(0, K[:, :, :1].requires_grad_(), K[:, :, :1]), ValueError, "a cache keeps no gradients"),
    "no room": (lambda: KVCache(1, 0), ValueError, "capacity must be at least 1, got 0"),
    "kv_heads": (lambda: MultiHeadAttention(8, 4, kv_heads=3), ValueError, "heads 4 must be divisible by kv_heads 3"),
    "context": (lambda: generate(Transformer(CONFIG), torch.zeros(1, 20, dtype=torch.int64), 6), ValueError, "must fit the context of 24 and one more, got 20 and 6"),
    "both ways": (lambda: Transformer(TransformerConfig(layers=1, width=8, heads=2, vocabulary=5, context=8, causal=False))(torch.zeros(1, 2, dtype=torch.int64), cache=KVCache(1, 8)), ValueError, "a cache needs a causal model"),
    "temperature": (lambda: candidates(torch.zeros(1, 3), temperature=0.0), ValueError, "temperature must be positive and finite, got 0.0"),
    "top_k": (lambda: candidates(torch.zeros(1, 3), top_k=0), ValueError, "top_k must be at least 1, got 0"),
    "top_p": (lambda: candidates(torch.zeros(1, 3), top_p=1.5), ValueError, "top_p must be from 0 to 1, got 1.5"),
    "end": (lambda: beam_search(lambda t: torch.zeros(*t.shape, 3), torch.tensor([0]), beams=1, end=3, longest=2), ValueError, "end must lie in 0 … 2, the vocabulary, got 3"),
    "beams": (lambda: beam_search(lambda t: torch.zeros(*t.shape, 3), torch.tensor([0]), beams=0, end=1, longest=2), ValueError, "beams must be at least 1, got 0"),
}  # fmt: skip


def test_a_cache_tells_its_bytes():
    cache = KVCache(layers=2, capacity=8)
    assert cache.nbytes == 0
    cache.extend(1, torch.zeros(3, 2, 1, 5), torch.zeros(3, 2, 1, 5, dtype=torch.float32))
    # Keys and values of one layer so far: batch · heads · capacity · head_dim numbers each, of four bytes.
    assert cache.nbytes == 2 * 3 * 2 * 8 * 5 * 4
