"""What every layer that reads a sequence promises about its positions: their order, their future, their padding, their pieces."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from lib.architectures import (
    GRU,
    LSTM,
    RNN,
    Block,
    DecoderBlock,
    JordanRNN,
    KVCache,
    LlamaBlock,
    LlamaConfig,
    MultiHeadAttention,
    RotaryAttention,
    Transformer,
    TransformerConfig,
)
from lib.core import fixed_seed, seeded

TIME, WIDTH = 7, 12


@dataclass(frozen=True)
class Case:
    """A layer from [batch, time, width] to [batch, time, features], and what it is called with.

    ``read(layer, x)`` reads forwards in time, ``read(layer, x, lengths=…)`` a padded batch. ``everywhere(layer, x)`` lets
    each position see all, where the layer can. ``pieces(layer)`` gives a function that reads the next part of a sequence.
    """

    build: Callable[[], nn.Module]
    read: Callable
    pieces: Callable
    everywhere: Callable | None = None


def seen(x, lengths):
    """A mask for each example: True where a key is real, [batch, 1, 1, time]."""
    return None if lengths is None else (torch.arange(x.shape[1]) < lengths[:, None])[:, None, None]


def of_attention(build, *rest):
    """A layer with attention; ``rest`` are arguments between x and the options."""

    def read(layer, x, lengths=None, mask=None):
        return layer(x, *rest_for(x), causal=True, mask=seen(x, lengths) if mask is None else mask)

    def everywhere(layer, x, mask=None):
        return layer(x, *rest_for(x), mask=mask)

    def rest_for(x):
        # The same memory for all positions: what it holds is another sequence.
        return [make(x) for make in rest]

    def pieces(layer):
        cache = KVCache(layers=1, capacity=TIME)
        return lambda x: layer(x, *rest_for(x), causal=True, cache=partial(cache.extend, 0))

    return Case(build, read, pieces, everywhere)


def memory(x):
    return torch.randn(1, 5, WIDTH, generator=seeded(9), dtype=x.dtype).expand(len(x), -1, -1)


def recurrent(build):
    def read(layer, x, lengths=None):
        return (layer(x) if lengths is None else layer(x, lengths))[0]

    def pieces(layer):
        state = None

        def next_part(x):
            nonlocal state
            outputs, state = layer(x, state=state)
            return outputs

        return next_part

    return Case(build, read, pieces)


def rotating(build):
    """A causal layer that turns by position: padding comes after what is real, and no position sees it."""

    def read(layer, x, lengths=None):
        return layer(x)

    def pieces(layer):
        cache = KVCache(layers=1, capacity=TIME)
        return lambda x: layer(x, start=cache.length, cache=partial(cache.extend, 0))

    return Case(build, read, pieces)


LLAMA = LlamaConfig(layers=1, width=WIDTH, heads=6, kv_heads=2, mlp_width=20, vocabulary=5, context=TIME)

CASES = {
    "RotaryAttention": rotating(lambda: RotaryAttention(WIDTH, 3)),
    "RotaryAttention, halves": rotating(lambda: RotaryAttention(WIDTH, 6, kv_heads=3, base=50.0, pairs="halves")),
    "LlamaBlock": rotating(lambda: LlamaBlock(LLAMA)),
    "MultiHeadAttention": of_attention(lambda: MultiHeadAttention(WIDTH, 3)),
    "MultiHeadAttention, shared keys": of_attention(lambda: MultiHeadAttention(WIDTH, 6, kv_heads=2)),
    "Block": of_attention(lambda: Block(WIDTH, 3, 20)),
    "Block, post-norm": of_attention(lambda: Block(WIDTH, 3, 20, norm="post")),
    "DecoderBlock": of_attention(lambda: DecoderBlock(WIDTH, 3, 20), memory),
    "RNN": recurrent(lambda: RNN(WIDTH, 5, layers=2)),
    "LSTM": recurrent(lambda: LSTM(WIDTH, 5, layers=2)),
    "GRU": recurrent(lambda: GRU(WIDTH, 5, layers=2)),
    "GRU, reset before": recurrent(lambda: GRU(WIDTH, 5, reset="before")),
}
every_layer = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
that_sees_all = pytest.mark.parametrize(
    "case",
    [case for case in CASES.values() if case.everywhere],
    ids=[name for name, case in CASES.items() if case.everywhere],
)


def built(case):
    with fixed_seed(0):
        return case.build().double()


def sequences(batch=3, seed=1):
    return torch.randn(batch, TIME, WIDTH, generator=seeded(seed), dtype=torch.float64)


@every_layer
@pytest.mark.parametrize("moment", [0, 3, TIME - 2])
def test_what_comes_later_changes_nothing_and_what_comes_now_changes_all_that_follows(case, moment):
    layer, x = built(case), sequences()
    changed = x.clone()
    changed[:, moment + 1 :] = sequences(seed=2)[:, moment + 1 :]
    y, other = case.read(layer, x), case.read(layer, changed)
    assert_close(other[:, : moment + 1], y[:, : moment + 1])
    # A weight, a gate and a mask that let the past through leave a trace in each later output.
    assert ((other - y)[:, moment + 1 :].abs().amax(-1) > 1e-6).all()


@every_layer
def test_no_gradient_comes_from_the_past_to_the_future(case):
    layer, x = built(case), sequences().requires_grad_()
    (gradient,) = torch.autograd.grad(case.read(layer, x)[:, 3].square().sum(), x)
    assert not gradient[:, 4:].any()
    assert (gradient[:, :4].abs().amax(-1) > 0).all()


@every_layer
def test_padding_changes_nothing_and_each_member_is_as_it_is_alone(case):
    layer, x = built(case), sequences()
    lengths = torch.tensor([4, TIME, 1])
    y = case.read(layer, x, lengths=lengths)
    for one, output, length in zip(x, y, lengths.tolist(), strict=True):
        assert_close(output[:length], case.read(layer, one[None, :length])[0])
    spoiled = x.clone()
    for one, length in zip(spoiled, lengths.tolist(), strict=True):
        one[length:] = 1e3
    again = case.read(layer, spoiled, lengths=lengths)
    for output, other, length in zip(y, again, lengths.tolist(), strict=True):
        assert_close(other[:length], output[:length])


@that_sees_all
@pytest.mark.parametrize("causal", [False, True])
def test_hidden_keys_change_nothing_wherever_they_stand(case, causal):
    # At the end of a causal sequence real positions could not see padding anyway: here it stands at the beginning.
    layer, x = built(case), sequences()
    lengths = torch.tensor([4, TIME, 2])
    mask = (torch.arange(TIME) >= TIME - lengths[:, None])[:, None, None]
    read = case.read if causal else case.everywhere
    y = read(layer, x, mask=mask)
    for one, output, length in zip(x, y, lengths.tolist(), strict=True):
        assert_close(output[-length:], read(layer, one[None, -length:])[0])


@every_layer
@pytest.mark.parametrize("parts", [[1] * TIME, [3, 1, 3], [2, 5]], ids=str)
@torch.no_grad()
def test_a_sequence_may_come_in_pieces(case, parts):
    layer, x = built(case), sequences()
    read_next = case.pieces(layer)
    assert_close(torch.cat([read_next(part) for part in x.split(parts, 1)], 1), case.read(layer, x))


@that_sees_all
def test_without_positions_and_mask_permuted_inputs_give_permuted_outputs(case):
    layer, x = built(case), sequences()
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    assert_close(case.everywhere(layer, x[:, order]), case.everywhere(layer, x)[:, order])
    # In the causal order it counts who came first.
    assert (case.read(layer, x[:, order]) - case.read(layer, x)[:, order]).abs().max() > 1e-3


@that_sees_all
def test_a_sequence_that_is_repeated_looks_like_itself(case):
    # A mean does not know how often its terms stand there, only in which shares.
    layer, x = built(case), sequences()
    assert_close(case.everywhere(layer, torch.cat([x, x], 1))[:, :TIME], case.everywhere(layer, x))


def test_learned_positions_break_both():
    model = Transformer(
        TransformerConfig(layers=1, width=WIDTH, heads=3, vocabulary=5, context=8, causal=False)
    ).double()
    tokens = torch.tensor([[3, 1, 4, 2]])
    y = model(tokens)
    assert (model(tokens.flip(1)) - y.flip(1)).abs().max() > 1e-6
    assert (model(torch.cat([tokens, tokens], 1))[:, :4] - y).abs().max() > 1e-6


def test_a_network_that_feeds_back_its_answer_reads_forwards_too():
    with fixed_seed(0):
        layer = JordanRNN(WIDTH, 5, 4).double()
    x = sequences()
    changed = x.clone()
    changed[:, 4:] += 1
    assert torch.equal(layer(changed)[:, :4], layer(x)[:, :4])
