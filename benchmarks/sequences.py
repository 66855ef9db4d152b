"""Recurrent networks, attention, Transformer blocks and tokens beside torch's and `tokenizers`, and what a cache saves."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import accumulate

import torch
from torch import nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from lib.architectures import (
    GRU,
    LSTM,
    RNN,
    Block,
    BytePairEncoding,
    Transformer,
    TransformerConfig,
    attention,
    generate,
    learn_merges,
)
from lib.core.sampling import seeded
from lib.data import load_documentation_text

from .harness import Row, Table, compare
from .hugging_face import tokenizer_twin

BATCH, TIME, WIDTH = 64, 100, 128
LENGTHS = (256, 1024, 4096)  # of a sequence of 4 heads of 32 features
NEW_TOKENS = 512


def tables(rounds: int) -> list[Table]:
    """What a loop over time costs, what the formula of attention costs, what keeping keys and values saves."""
    return [
        Table("recurrent-forward", "Recurrent networks, forward, against torch.nn", tuple(_recurrent(rounds, False))),
        Table(
            "recurrent", "Recurrent networks, forward and backward, against torch.nn", tuple(_recurrent(rounds, True))
        ),
        Table("attention", "attention, forward, against F.scaled_dot_product_attention", tuple(_attention(rounds))),
        Table("attention-memory", "attention, forward: the most memory in use at once", tuple(_attention_memory())),
        Table(
            "blocks",
            "Transformer blocks, forward and backward, against nn.TransformerEncoderLayer",
            (_blocks(rounds),),
        ),
        Table("cache", "Decoding with a cache against decoding without", (_decoding(max(rounds // 5, 3)),)),
        Table("tokens", "Byte-pair encoding against Hugging Face's tokenizers", (_tokens(rounds),)),
    ]


def _recurrent(rounds: int, backward: bool) -> Iterator[Row]:
    x = torch.randn(BATCH, TIME, WIDTH, generator=seeded(0))
    targets = {"RNN": (None, None), "LSTM": (2.1, 1.4), "GRU": (1.3, 1.25)}
    for ours, torchs in ((RNN, nn.RNN), (LSTM, nn.LSTM), (GRU, nn.GRU)):
        layers = ours(WIDTH, WIDTH), torchs(WIDTH, WIDTH, batch_first=True)
        layers[0].load_state_dict(layers[1].state_dict())
        runs = [partial(_run, layer, x, backward) for layer in layers]
        name = f"{ours.__name__}, {BATCH} sequences of {TIME} × {WIDTH}"
        yield compare(name, *runs, rounds=rounds, target=targets[ours.__name__][backward])


def _run(layer: nn.Module, x: torch.Tensor, backward: bool) -> None:
    with torch.set_grad_enabled(backward):
        outputs, _ = layer(x)
        if backward:
            torch.autograd.grad(outputs.sum(), [*layer.parameters()])


def _attentions(length: int, causal: bool) -> tuple[partial, partial]:
    q, k, v = torch.randn(3, 1, 4, length, 32, generator=seeded(0))
    return (
        partial(attention, q, k, v, causal=causal),
        partial(F.scaled_dot_product_attention, q, k, v, is_causal=causal),
    )


@torch.no_grad()
def _attention(rounds: int) -> Iterator[Row]:
    for length in LENGTHS:
        for causal in (False, True):
            name = f"{'causal, ' if causal else ''}{length} positions"
            yield compare(name, *_attentions(length, causal), rounds=rounds)


@torch.no_grad()
def _attention_memory() -> Iterator[Row]:
    for length in LENGTHS:
        ours, theirs = map(_peak_bytes, _attentions(length, causal=False))
        yield Row(f"{length} positions, {ours / 2**20:.1f} MiB beside {theirs / 2**20:.1f}", ratio=ours / theirs)


def _peak_bytes(run: Callable[[], object]) -> int:
    """The most that a call holds at once of what it allocates itself, its result included."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as measured:
        run()
    events = sorted(measured.profiler.kineto_results.events(), key=lambda event: event.start_ns())
    changes = [event.nbytes() for event in events if event.name() == "[memory]"]
    return max(accumulate(changes))


def _blocks(rounds: int) -> Row:
    layers, width, heads, batch, time = 4, 128, 4, 32, 128
    x = torch.randn(batch, time, width, generator=seeded(0))
    ours = nn.ModuleList(Block(width, heads, 4 * width) for _ in range(layers))
    knobs = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": True}
    torchs = nn.ModuleList(nn.TransformerEncoderLayer(width, heads, 4 * width, **knobs) for _ in range(layers))
    future = nn.Transformer.generate_square_subsequent_mask(time)

    def run(blocks: nn.ModuleList, **mask) -> None:
        y = x
        for block in blocks:
            y = block(y, **mask)
        torch.autograd.grad(y.sum(), [*blocks.parameters()])

    return compare(
        f"{layers} blocks of {width}, {batch} × {time} tokens, causal",
        partial(run, ours, causal=True),
        partial(run, torchs, src_mask=future, is_causal=True),
        rounds=rounds,
        target=1.1,
    )


def _decoding(rounds: int) -> Row:
    config = TransformerConfig(layers=6, width=256, heads=4, vocabulary=256, context=NEW_TOKENS + 8)
    model, prompt = Transformer(config), torch.arange(8)[None]
    runs = [partial(generate, model, prompt, NEW_TOKENS, cached=cached) for cached in (True, False)]
    return compare(f"{NEW_TOKENS} new tokens, 6 layers of 256", *runs, rounds=rounds, target=0.1)


def _tokens(rounds: int) -> Row:
    """The same merges on both sides; a new object of ours for each call, since it remembers the words that it has seen."""
    text = "\n".join(load_documentation_text().train.values())
    merges = learn_merges([text], 1000)
    theirs = tokenizer_twin(merges)
    assert theirs.encode(text).ids == BytePairEncoding(merges).encode(text).tolist(), "the two sides must agree"
    return compare(
        f"{len(text):,} characters, 1,000 merges",
        lambda: BytePairEncoding(merges).encode(text),
        lambda: theirs.encode(text).ids,
        rounds=max(rounds // 3, 3),
        target=10,
    )
