"""Llama beside a second writing of it with torch's own functions, with and without a cache; what it refuses."""

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from lib.architectures import KVCache, Llama, LlamaConfig, RotaryAttention, SwiGLU, generate
from lib.core import fixed_seed, seeded

SIZES = {"layers": 2, "width": 24, "heads": 6, "kv_heads": 2, "mlp_width": 20, "vocabulary": 11, "context": 32}


def built(**changes):
    """A small Llama in float64 in which also the norms' weights differ from 1."""
    with fixed_seed(0):
        model = Llama(LlamaConfig(**SIZES | {"base": 50.0, "eps": 1e-2} | changes)).double()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, mean=parameter.ndim == 1, std=0.4)
    return model


def tokens(*shape):
    return torch.randint(0, SIZES["vocabulary"], shape, generator=seeded(0))


def turned(x, base):
    """Neighbouring features as complex numbers, times a number of length 1 (Touvron et al.'s own way)."""
    time, width = x.shape[-2:]
    angles = torch.outer(torch.arange(time).double(), base ** -(torch.arange(0, width, 2).double() / width))
    turns = torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous()) * turns).flatten(-2)


def by_torch(model, text):
    """The whole model, from its state by name, with nothing of the library."""
    c, state = model.config, model.state_dict()
    x = state["embedding.weight"][text]
    for layer in range(c.layers):
        part = {
            name.removeprefix(f"blocks.{layer}."): weight
            for name, weight in state.items()
            if name.startswith(f"blocks.{layer}.")
        }
        y = F.rms_norm(x, (c.width,), part["attention_norm.weight"], c.eps)
        q, k, v = (
            (y @ part[f"attention.{name}.weight"].T).unflatten(-1, (heads, -1)).transpose(1, 2)
            for name, heads in (("query", c.heads), ("key", c.kv_heads), ("value", c.kv_heads))
        )
        y = F.scaled_dot_product_attention(turned(q, c.base), turned(k, c.base), v, is_causal=True, enable_gqa=True)
        x = x + y.transpose(1, 2).flatten(2) @ part["attention.output.weight"].T
        y = F.rms_norm(x, (c.width,), part["mlp_norm.weight"], c.eps)
        x = x + (F.silu(y @ part["mlp.gate.weight"].T) * (y @ part["mlp.up.weight"].T)) @ part["mlp.down.weight"].T
    return F.rms_norm(x, (c.width,), state["norm.weight"], c.eps) @ state["head.weight"].T


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kv_heads", [1, 2, 6])
def test_logits_are_those_of_torchs_own_functions(tied, kv_heads):
    model, text = built(tied=tied, kv_heads=kv_heads), tokens(3, 9)
    assert_close(model(text), by_torch(model, text))


def test_gradients_are_those_of_torchs_own_functions():
    model, text = built(tied=False), tokens(2, 7)
    by_name = dict(model.named_parameters())
    ours = torch.autograd.grad(model(text).sin().sum(), by_name.values())
    leaves = {name: weight.detach().clone().requires_grad_() for name, weight in by_name.items()}
    model.state_dict = lambda: leaves  # the same formula, differentiated with respect to leaves of its own
    theirs = torch.autograd.grad(by_torch(model, text).sin().sum(), leaves.values())
    for mine, other in zip(ours, theirs, strict=True):
        assert_close(mine, other)


@pytest.mark.equation("eq-swiglu")
def test_the_gated_mlp_by_hand():
    layer = SwiGLU(2, 3).double()
    x = torch.tensor([0.5, -2.0], dtype=torch.float64)
    gate, up = layer.gate.weight @ x, layer.up.weight @ x
    assert_close(layer(x), layer.down.weight @ (gate / (1 + torch.exp(-gate)) * up))


def test_halves_are_neighbours_in_another_order():
    """The exchange of rows with which llama.cpp writes a file of Hugging Face."""
    model, text = built(), tokens(2, 9)
    other = built(pairs="halves")
    other.load_state_dict(model.state_dict())
    for block in other.blocks:
        for layer in (block.attention.query, block.attention.key):
            rows = layer.weight.data.unflatten(0, (-1, 2, 2))  # heads, pairs, the two of a pair
            layer.weight.data = rows.transpose(1, 2).flatten(0, 2).contiguous()
    assert_close(other(text), model(text))
    other.load_state_dict(model.state_dict())
    assert (other(text) - model(text)).abs().max() > 0.1


@pytest.mark.parametrize("pieces", [[9], [1] * 9, [4, 5], [1, 7, 1]], ids=str)
@pytest.mark.parametrize("pairs", ["neighbours", "halves"])
@torch.no_grad()
def test_with_a_cache_logits_are_those_of_the_whole(pieces, pairs):
    model, text, cache = built(pairs=pairs), tokens(2, 9), KVCache(2, 9)
    parts = [model(piece, cache=cache) for piece in text.split(pieces, 1)]
    assert_close(torch.cat(parts, 1), model(text))


def test_it_writes_the_same_with_and_without_a_cache_up_to_the_end_of_its_context():
    model, prompt = built(), tokens(2, 5)
    cached, whole = (generate(model, prompt, 28, cached=cached) for cached in (True, False))
    assert torch.equal(cached, whole)
    assert cached.shape == (2, 33)  # the last one is written and not read


@torch.no_grad()
def test_only_distances_count():
    """Positions shifted by a cache that is not filled: scores of rotary queries and keys depend on their difference."""
    layer = RotaryAttention(8, 2, base=20.0).double()
    x = torch.randn(2, 5, 8, dtype=torch.float64, generator=seeded(0))
    assert_close(layer(x, start=17), layer(x))
    order = torch.tensor([0, 2, 1, 3, 4])
    assert (layer(x[:, order])[:, 4] - layer(x)[:, 4]).abs().max() > 1e-3


def test_a_position_counts_from_its_place_on():
    model, text = built(), tokens(1, 7)
    logits = model(text)
    for moment in range(7):
        other = text.clone()
        other[0, moment] = (text[0, moment] + 1) % SIZES["vocabulary"]
        assert torch.equal(model(other)[:, :moment], logits[:, :moment])
        assert (model(other)[:, moment:] != logits[:, moment:]).any(-1).all()


def test_the_counts_of_published_models():
    with torch.device("meta"):
        small = Llama(LlamaConfig(30, 576, 9, 3, 1536, 49_152, 8192))
        large = Llama(LlamaConfig(32, 4096, 32, 32, 11_008, 32_000, 2048, tied=False))
    assert sum(parameter.numel() for parameter in small.parameters()) == 134_515_008  # SmolLM2-135M
    assert sum(parameter.numel() for parameter in large.parameters()) == 6_738_415_616  # LLaMA-7B
    assert small.head.weight is small.embedding.weight


WRONG = {
    "a width that is no multiple of two features a head": (lambda: LlamaConfig(**SIZES | {"width": 18}), ValueError, "width 18 must be divisible by twice the heads, 12"),
    "heads that share unevenly": (lambda: LlamaConfig(**SIZES | {"kv_heads": 4}), ValueError, "heads 6 must be divisible by kv_heads 4"),
    "no layers": (lambda: LlamaConfig(**SIZES | {"layers": 0}), ValueError, "layers must be at least 1, got 0"),
    "a base of 0": (lambda: LlamaConfig(**SIZES, base=0.0), ValueError, "base must be positive and finite, got 0.0"),
    "unknown pairs": (lambda: LlamaConfig(**SIZES, pairs="odd"), ValueError, "pairs must be 'neighbours' or 'halves', got 'odd'"),
    "sizes as floats": (lambda: LlamaConfig(**SIZES | {"width": 24.0}), TypeError, "width must be an int, got float 24.0"),
    "sizes in a dict": (lambda: Llama(SIZES), TypeError, "config must be a LlamaConfig, got dict"),
    "a prompt beyond the context": (lambda: built()(tokens(1, 33)), ValueError, "tokens must be at most 32 long, the context, got 33"),
    "a cache that is full": (lambda: generate(built(), tokens(1, 5), 29), ValueError, "prompt and new tokens must fit the context of 32 and one more, got 5 and 29"),
    "a prompt alone beyond the context": (lambda: generate(built(), tokens(1, 40), 1), ValueError, "got 40 and 1"),
    "no prompt": (lambda: built()(tokens(1, 0)), ValueError, "tokens must hold at least one element"),
    "a token outside": (lambda: built()(torch.tensor([[11]])), ValueError, "tokens must lie in 0 … 10, the vocabulary, got 11"),
    "tokens as text": (lambda: built()("text"), TypeError, "tokens must be a torch.Tensor, got str"),
    "floats as tokens of a Llama": (lambda: built()(torch.zeros(1, 2)), TypeError, "tokens must have dtype torch.int64"),
    "a cache with gradients": (lambda: built()(tokens(1, 2), cache=KVCache(2, 4)), ValueError, "a cache keeps no gradients"),
    "a cache of fewer layers": (lambda: torch.no_grad()(built())(tokens(1, 2), cache=KVCache(1, 4)), ValueError, "layer must lie in 0 … 0, got 1"),
    "a cache of less capacity": (lambda: torch.no_grad()(built())(tokens(1, 5), cache=KVCache(2, 4)), ValueError, "a cache of capacity 4 cannot hold 5 positions"),
    "an odd head": (lambda: RotaryAttention(9, 3)(torch.zeros(1, 2, 9)), ValueError, "width 3 must be divisible by pairs of 2"),
    "a start before the first": (lambda: RotaryAttention(8, 2)(torch.zeros(1, 2, 8), start=-1), ValueError, "start must be at least 0, got -1"),
    "a gated MLP without width": (lambda: SwiGLU(8, 0), ValueError, "mlp_width must be at least 1, got 0"),
}  # fmt: skip
