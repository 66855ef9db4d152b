"""SmolLM2 run by the library's blocks, beside a forward pass in the style of Hugging Face on the same weights."""

import time
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from lib.architectures import KVCache, Llama, smollm2, smollm2_encoding

from .harness import Row, Table, compare, from_times

LOAD, TOKEN = 5.0, 1 / 8  # seconds that loading and one token of decoding may take
READ = (16, 256)  # tokens that a cache holds, or a prompt has
Cache = list[tuple[Tensor, Tensor]]


@torch.no_grad()
def tables(rounds: int) -> list[Table]:
    """Loading against the clock, then reading a prompt and writing token by token, against the clock and the other side."""
    model, peer = smollm2(), Peer(smollm2())
    return [
        Table("load", "From the package's file to a model that can be called, against 5 s", tuple(_loading(rounds))),
        Table("decode", "One token of decoding with a cache, against 1/8 s", tuple(_writing(model, rounds))),
        Table(
            "peer",
            "SmolLM2 by our blocks, against a float32 forward pass in the style of Hugging Face",
            tuple(_beside(model, peer, rounds)),
        ),
    ]


class Peer:
    """What ``modeling_llama.py`` of transformers computes, written out: halves turned, keys repeated, a cache that is joined.

    It shares no code with the library's model; its logits are required to be the same.
    """

    def __init__(self, model: Llama) -> None:
        self.config, self.weights = model.config, model.state_dict()
        for name, weight in self.weights.items():
            if name.endswith(("query.weight", "key.weight")):  # from neighbours to halves
                heads = weight.shape[0] * self.config.heads // self.config.width
                self.weights[name] = weight.unflatten(0, (heads, -1, 2)).transpose(1, 2).reshape(weight.shape)

    def __call__(self, tokens: Int64[Tensor, "1 time"], cache: Cache) -> Float[Tensor, "1 time vocabulary"]:
        """Read more tokens; ``cache`` has a pair of keys and values for each layer, or is empty, and is brought up to date."""
        c, past = self.config, cache[0][0].shape[2] if cache else 0
        x, head_dim = self.weights["embedding.weight"][tokens], c.width // c.heads
        angles = torch.outer(
            torch.arange(past, past + tokens.shape[1]).float(),
            c.base ** (-torch.arange(0, head_dim, 2).float() / head_dim),
        )
        cos, sin = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)
        for layer in range(c.layers):
            own = {
                name: self.weights[f"blocks.{layer}.{name}.weight"]
                for name in ("attention.query", "attention.key", "attention.value", "attention.output")
            }
            y = self._norm(x, f"blocks.{layer}.attention_norm")
            q, k, v = (
                F.linear(y, own[f"attention.{name}"]).unflatten(-1, (-1, head_dim)).transpose(1, 2)
                for name in ("query", "key", "value")
            )
            q, k = (
                turn * cos + torch.cat([-turn[..., head_dim // 2 :], turn[..., : head_dim // 2]], -1) * sin
                for turn in (q, k)
            )
            if past:
                k, v = (torch.cat([old, new], 2) for old, new in zip(cache[layer], (k, v), strict=True))
                cache[layer] = k, v
            else:
                cache.append((k, v))
            k, v = (part.repeat_interleave(c.heads // c.kv_heads, 1) for part in (k, v))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=past == 0 and tokens.shape[1] > 1)
            x = x + F.linear(y.transpose(1, 2).flatten(2), own["attention.output"])
            y = self._norm(x, f"blocks.{layer}.mlp_norm")
            gate, up, down = (self.weights[f"blocks.{layer}.mlp.{name}.weight"] for name in ("gate", "up", "down"))
            x = x + F.linear(F.silu(F.linear(y, gate)) * F.linear(y, up), down)
        return F.linear(self._norm(x, "norm"), self.weights["embedding.weight"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return self.weights[f"{name}.weight"] * (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.config.eps))


def _loading(rounds: int) -> Iterator[Row]:
    seconds = [_timed(smollm2) for _ in range(max(3, rounds // 3))]
    yield _against("the model", seconds, LOAD)
    seconds = [_timed(smollm2_encoding) for _ in range(max(3, rounds // 3))]
    yield _against("its tokens", seconds, LOAD)


def _writing(model: Llama, rounds: int) -> Iterator[Row]:
    for read in READ:
        write = _next_token(model, read, rounds + 1)
        write()
        yield _against(f"after {read} tokens", [_timed(write) for _ in range(rounds)], TOKEN)


def _beside(model: Llama, peer: Peer, rounds: int) -> Iterator[Row]:
    tokens = _text(max(READ))
    # Two ways to add up float32 over thirty layers; logits are of the order of 10.
    torch.testing.assert_close(model(tokens), peer(tokens, []), atol=1e-3, rtol=0)
    for read in READ:
        prompt = tokens[:, :read]
        yield compare(
            f"a prompt of {read} tokens", lambda p=prompt: model(p), lambda p=prompt: peer(p, []), rounds=rounds
        )
    for read in READ:
        ours, theirs = _next_token(model, read, rounds + 9), _next_of_peer(peer, read)
        yield compare(f"a token after {read}", ours, theirs, target=1.5, rounds=rounds, seconds=1e-9)


def _next_token(model: Llama, read: int, room: int) -> Callable[[], object]:
    """Reads a prompt; each call then reads one more token."""
    cache = KVCache(model.config.layers, read + room)
    model(_text(read), cache=cache)
    return lambda: model(_text(1), cache=cache)


def _next_of_peer(peer: Peer, read: int) -> Callable[[], object]:
    cache: Cache = []
    peer(_text(read), cache)
    return lambda: peer(_text(1), cache)


def _text(length: int) -> Int64[Tensor, "1 time"]:
    return (torch.arange(length)[None] * 7919 + 1000) % 49_152


def _timed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _against(name: str, seconds: list[float], allowed: float) -> Row:
    return from_times(name, seconds, [allowed] * len(seconds), target=1.0)
