"""The encoder–decoder is torch's, with the norm before and after; targets see no future, sources no padding."""

import math

import pytest
import torch
from test_transformer import into_torch, random, shake, tokens, torchs_layer
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from lib.architectures import (
    DecoderBlock,
    EncoderDecoder,
    EncoderDecoderConfig,
    KVCache,
    beam_search,
    generate,
    padding_mask,
)
from lib.core import fixed_seed, seeded

SIZES = {"width": 12, "heads": 3, "source_vocabulary": 7, "target_vocabulary": 11, "context": 9, "mlp_width": 20}
LENGTHS = torch.tensor([6, 1, 4])
FUTURE = torch.ones(5, 5, dtype=torch.bool).triu(1)
both_norms = pytest.mark.parametrize("norm", ["pre", "post"])


def model_of(norm="pre", **changes):
    return shake(EncoderDecoder(EncoderDecoderConfig(2, norm=norm, **SIZES | changes)).double())


SOURCE, TARGET = tokens(3, 6, vocabulary=7), tokens(3, 5, seed=1)


def torchs_decoder_layer(block, heads):
    width, mlp_width = block.mlp.down.weight.shape
    layer = nn.TransformerDecoderLayer(
        width, heads, mlp_width, dropout=0.0, activation=F.gelu, layer_norm_eps=block.mlp_norm.eps,
        batch_first=True, norm_first=block.norm == "pre", dtype=torch.float64,
    )  # fmt: skip
    state, cross = into_torch(block), block.cross_attention
    for kind in ("weight", "bias"):
        state[f"norm3.{kind}"] = state.pop(f"norm2.{kind}")
        state[f"norm2.{kind}"] = getattr(block.cross_norm, kind)
        state[f"multihead_attn.in_proj_{kind}"] = torch.cat(
            [getattr(part, kind) for part in (cross.query, cross.key, cross.value)]
        )
        state[f"multihead_attn.out_proj.{kind}"] = getattr(cross.output, kind)
    layer.load_state_dict(state)
    return layer


def torchs_model(model):
    """nn.Transformer with the same weights; its own stacks would put a norm after post-norm layers too."""
    c, norms = model.config, [None, None]
    if c.norm == "pre":
        norms = [nn.LayerNorm(c.width, c.eps, dtype=torch.float64) for _ in range(2)]
        for theirs, ours in zip(norms, (model.encoder_norm, model.decoder_norm), strict=True):
            theirs.load_state_dict(ours.state_dict())
    first = torchs_layer(model.encoder[0], c.heads), torchs_decoder_layer(model.decoder[0], c.heads)
    encoder = nn.TransformerEncoder(first[0], c.layers, norms[0], enable_nested_tensor=False)
    decoder = nn.TransformerDecoder(first[1], c.layers, norms[1])
    whole = nn.Transformer(c.width, c.heads, batch_first=True, custom_encoder=encoder, custom_decoder=decoder)
    # It has drawn new weights for what it was given.
    encoder.layers = nn.ModuleList(torchs_layer(block, c.heads) for block in model.encoder)
    decoder.layers = nn.ModuleList(torchs_decoder_layer(block, c.heads) for block in model.decoder)
    return whole


def embedded(model, table, text):
    """By hand: the table's rows times √width, plus sines and cosines of the position."""
    rates = 10_000.0 ** (-torch.arange(0, model.config.width, 2) / model.config.width)
    angles = torch.arange(text.shape[1])[:, None] * rates
    waves = torch.stack([angles.sin(), angles.cos()], -1).flatten(1)
    return table.weight[text] * math.sqrt(model.config.width) + waves


@pytest.mark.equation("eq-decoder-block")
@both_norms
def test_values_and_gradients_of_a_decoder_block_are_those_of_torchs_layer(norm):
    ours = shake(DecoderBlock(12, 3, 20, norm=norm, eps=0.1).double())
    torchs = torchs_decoder_layer(ours, 3)
    x, memory = random(3, 5, 12).requires_grad_(), random(3, 6, 12, seed=1).requires_grad_()
    mask = padding_mask(LENGTHS, 6)
    outputs = [
        ours(x, memory, memory_mask=mask, causal=True),
        torchs(x, memory, tgt_mask=FUTURE, memory_key_padding_mask=~mask[:, 0, 0]),
    ]
    assert_close(*outputs)
    (mine, other) = (torch.autograd.grad(y.sin().sum(), (x, memory), retain_graph=True) for y in outputs)
    assert_close(mine, other)
    for y in outputs:
        y.sin().sum().backward(inputs=[*ours.parameters(), *torchs.parameters()])
    for name, part in {"norm2": ours.cross_norm, "norm3": ours.mlp_norm, "linear1": ours.mlp.up}.items():
        assert_close(part.weight.grad, getattr(torchs, name).weight.grad)
    cross = ours.cross_attention
    stacked = torch.cat([part.weight.grad for part in (cross.query, cross.key, cross.value)])
    assert_close(stacked, torchs.multihead_attn.in_proj_weight.grad)


@both_norms
def test_values_and_gradients_of_the_whole_are_those_of_torchs_transformer(norm):
    ours = model_of(norm)
    torchs, padding = torchs_model(ours), ~padding_mask(LENGTHS, 6)[:, 0, 0]
    read = torchs(
        embedded(ours, ours.source_embedding, SOURCE), embedded(ours, ours.target_embedding, TARGET),
        tgt_mask=FUTURE, src_key_padding_mask=padding, memory_key_padding_mask=padding,
    )  # fmt: skip
    outputs = [ours(SOURCE, TARGET, LENGTHS), read @ ours.head.weight.T + ours.head.bias]
    assert_close(*outputs, atol=1e-6, rtol=1e-6)  # the table of sinusoids is float32
    tables = [ours.source_embedding.weight, ours.target_embedding.weight]
    (mine, other) = (torch.autograd.grad(y.sin().sum(), tables, retain_graph=True) for y in outputs)
    assert_close(mine, other, atol=1e-5, rtol=1e-5)


@both_norms
def test_later_target_tokens_and_padding_change_nothing(norm):
    model = model_of(norm)
    logits = model(SOURCE, TARGET, LENGTHS)
    for moment in range(5):
        other = TARGET.clone()
        other[:, moment] = (TARGET[:, moment] + 1) % 11
        changed = model(SOURCE, other, LENGTHS)
        assert torch.equal(changed[:, :moment], logits[:, :moment])
        assert (changed[:, moment:] != logits[:, moment:]).any(-1).all()
    padded = torch.where(torch.arange(6) < LENGTHS[:, None], SOURCE, (SOURCE + 3) % 7)
    assert torch.equal(model(padded, TARGET, LENGTHS), logits)
    longer = F.pad(SOURCE, (0, 2), value=5)
    assert_close(model(longer, TARGET, LENGTHS), logits)
    assert not torch.allclose(model(SOURCE, TARGET), logits)
    # Every source token that counts is seen from every target token on.
    for place in range(6):
        other = SOURCE.clone()
        other[0, place] = (SOURCE[0, place] + 1) % 7
        assert (model(other, TARGET, LENGTHS)[0] != logits[0]).any(-1).all()


def test_a_batch_is_its_members_one_at_a_time_each_without_padding():
    model = model_of()
    together = model(SOURCE, TARGET, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        assert_close(model(SOURCE[row : row + 1, :length], TARGET[row : row + 1])[0], together[row])
    memory = model.encode(SOURCE, LENGTHS)
    assert not memory[~padding_mask(LENGTHS, 6)[:, 0, 0]].any()


@both_norms
@pytest.mark.parametrize("pieces", [[5], [1] * 5, [2, 3], [1, 3, 1]])
def test_with_a_cache_logits_are_those_of_the_whole(norm, pieces):
    model, cache = model_of(norm), KVCache(2, 9)
    with torch.no_grad():
        given = model.given(SOURCE, LENGTHS)
        parts = [given(piece, cache=cache) for piece in TARGET.split(pieces, 1)]
        assert cache.length == 5
        assert_close(torch.cat(parts, 1), model(SOURCE, TARGET, LENGTHS))


def test_decoding_is_the_same_with_and_without_a_cache_and_alone():
    model = model_of()
    given, begin = model.given(SOURCE, LENGTHS), torch.ones(3, 1, dtype=torch.int64)
    written = generate(given, begin, 8)
    assert torch.equal(written, generate(given, begin, 8, cached=False))
    drawn = [generate(given, begin, 8, generator=seeded(1), top_k=4, cached=cached) for cached in (True, False)]
    assert torch.equal(*drawn)
    assert not torch.equal(written[0], written[1])
    for row, length in enumerate(LENGTHS.tolist()):
        alone = model.given(SOURCE[row : row + 1, :length])
        assert torch.equal(generate(alone, begin[:1], 8)[0], written[row])
        # One beam is greed, and several beams read one source.
        (greedy, _), *_ = beam_search(alone, begin[0], beams=1, end=0, longest=8)
        stop = written[row].tolist().index(0) + 1 if 0 in written[row] else 9
        assert greedy.tolist() == written[row, :stop].tolist()
        found = beam_search(alone, begin[0], beams=3, end=0, longest=8)
        whole = model(SOURCE[row : row + 1, :length], found[0][0][None, :-1]).log_softmax(-1)[0]
        score = whole.gather(1, found[0][0][1:, None]).sum().item()
        assert found[0][1] == pytest.approx(score)


def test_the_parameters_of_transformer_base():
    """65 million as the paper rounds: with its shared vocabulary of about 37,000 byte pairs, within 3 %."""
    with torch.device("meta"):
        config = EncoderDecoderConfig(6, 512, 8, 37_000, 37_000, context=512, norm="post", shared=True)
        model = EncoderDecoder(config)
    attention, mlp, norm = 4 * (512 * 512 + 512), 2 * 512 * 2048 + 2048 + 512, 2 * 512
    blocks = 6 * (attention + mlp + 2 * norm) + 6 * (2 * attention + mlp + 3 * norm)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == 37_000 * 512 + blocks == 63_082_496
    assert count == pytest.approx(65e6, rel=0.03)
    assert model.head.weight is model.source_embedding.weight is model.target_embedding.weight
    assert model.head.bias is None


def test_weights_start_as_said_and_alike_for_a_seed():
    def made():
        with fixed_seed(0):
            return EncoderDecoder(EncoderDecoderConfig(1, 64, 4, 500, 400, context=8))

    model, again = made(), made()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    # 32,000 draws: the standard deviation is met within 1.6 % (four standard errors).
    assert model.source_embedding.weight.std().item() == pytest.approx(64**-0.5, rel=0.016)
    up = model.decoder[0].mlp.up.weight
    assert up.abs().max() <= math.sqrt(6 / (64 + 256))
    assert up.abs().max() > 0.99 * math.sqrt(6 / (64 + 256))
    assert not any(p.any() for name, p in model.named_parameters() if name.endswith("bias"))
    assert "positions" not in model.state_dict()


def test_gradients_of_the_weights_per_example_are_those_of_each_example_alone():
    model = model_of()
    weights = dict(model.named_parameters())

    def loss(weights, source, target, length):
        return torch.func.functional_call(model, weights, (source[None], target[None], length[None])).sin().sum()

    per_example = torch.func.vmap(torch.func.grad(loss), (None, 0, 0, 0))(weights, SOURCE, TARGET, LENGTHS)
    for i in range(3):
        alone = torch.autograd.grad(loss(weights, SOURCE[i], TARGET[i], LENGTHS[i]), list(weights.values()))
        for weight, gradient in zip(weights, alone, strict=True):
            assert_close(per_example[weight][i], gradient)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_the_same_model_rounded(dtype):
    model = model_of()
    exact = model(SOURCE, TARGET, LENGTHS)
    rounded = model.to(dtype)(SOURCE, TARGET, LENGTHS)
    assert rounded.dtype == dtype
    # Eight sublayers and a head, each rounded: sixteen units in the last place of the largest logit.
    assert (rounded.double() - exact).abs().max() < 16 * torch.finfo(dtype).eps * exact.abs().max()


@pytest.mark.bad_input  # the tests' own checker cannot look at shapes while a graph is traced
def test_an_exported_graph_gives_the_same():
    model, call = model_of(), (SOURCE, TARGET, LENGTHS)
    assert_close(torch.export.export(model, call).module()(*call), model(*call))


@pytest.mark.bad_input  # the checker of annotations takes half of the time of 250 steps
def test_it_learns_to_turn_sequences_round():
    """Each target token asks for another source token; the lengths tell where to begin."""
    with fixed_seed(0):
        model = EncoderDecoder(EncoderDecoderConfig(1, 32, 2, 6, 6, context=8))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

    def batch(seed):
        text, lengths = tokens(64, 6, vocabulary=5, seed=seed) + 1, torch.randint(2, 7, (64,), generator=seeded(seed))
        turned = torch.stack(
            [F.pad(row[:n].flip(0), (1, 6 - n)) for row, n in zip(text, lengths.tolist(), strict=True)]
        )
        return text, lengths, turned

    def counted(logits, turned):
        return logits.flatten(0, 1), turned[:, 1:].flatten().masked_fill(turned[:, 1:].flatten() == 0, -100)

    for step in range(250):
        text, lengths, turned = batch(step)
        loss = F.cross_entropy(*counted(model(text, turned[:, :-1], lengths), turned))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    text, lengths, turned = batch(10_000)
    written = generate(model.given(text, lengths), turned[:, :1], 6)
    right = (written[:, 1:] == turned[:, 1:])[turned[:, 1:] > 0].float().mean()
    assert right > 0.9  # guessing gives 0.2


def built(**changes):
    return EncoderDecoder(EncoderDecoderConfig(1, **SIZES | changes))


WRONG = {
    "heads of an encoder–decoder": (lambda: built(heads=5), ValueError, "width 12 must be divisible by heads 5"),
    "odd width of an encoder–decoder": (lambda: built(width=15, heads=3), ValueError, "width 15 must be divisible by pairs of 2"),
    "two vocabularies": (lambda: built(shared=True), ValueError, "a shared table needs one vocabulary, got 7 and 11 tokens"),
    "place of the norm": (lambda: built(norm="both"), ValueError, "norm must be 'pre' or 'post', got 'both'"),
    "place of a block's norm": (lambda: DecoderBlock(8, 2, 16, norm="after"), ValueError, "norm must be 'pre' or 'post', got 'after'"),
    "no layers of two stacks": (lambda: EncoderDecoder(EncoderDecoderConfig(0, **SIZES)), ValueError, "layers must be at least 1, got 0"),
    "source beyond": (lambda: built()(SOURCE + 7, TARGET), ValueError, r"source must lie in 0 … 6, the source's vocabulary, got"),
    "target beyond": (lambda: built()(SOURCE, TARGET + 11), ValueError, r"target must lie in 0 … 10, the target's vocabulary, got"),
    "long source": (lambda: built()(tokens(1, 10, vocabulary=7), TARGET[:1]), ValueError, "source must be at most 9 long, the context, got 10"),
    "long target": (lambda: built()(SOURCE[:1], tokens(1, 10)), ValueError, "target must be at most 9 long, the context, got 10"),
    "empty source": (lambda: built()(SOURCE[:, :0], TARGET), ValueError, "source must hold at least one element along source_time"),
    "empty target": (lambda: built()(SOURCE, TARGET[:, :0]), ValueError, "target must hold at least one element along time"),
    "another batch of targets": (lambda: built()(SOURCE, TARGET[:2]), ValueError, "source and target must agree on batch, got 3 and 2"),
    "targets of other sources": (lambda: built().given(SOURCE)(TARGET[:2]), ValueError, "a row for each of the 3 sources, got 2"),
    "source length 0": (lambda: built()(SOURCE, TARGET, LENGTHS - 1), ValueError, "lengths must lie in 1 … 6, the padded time, got 0"),
    "source length beyond": (lambda: built()(SOURCE, TARGET, LENGTHS + 1), ValueError, "lengths must lie in 1 … 6, the padded time, got 7"),
    "lengths of other sources": (lambda: built()(SOURCE, TARGET, LENGTHS[:2]), ValueError, "source and source_lengths must agree on batch, got 3 and 2"),
    "mask of no length": (lambda: padding_mask(torch.tensor([0]), 4), ValueError, "lengths must lie in 1 … 4, the padded time, got 0"),
    "source of floats": (lambda: built()(SOURCE.float(), TARGET), TypeError, "source must have dtype torch.int64, got torch.float32"),
    "too much to write": (lambda: generate(built().given(SOURCE), TARGET, 6), ValueError, "must fit the context of 9 and one more, got 5 and 6"),
    "a cache of another batch": (lambda: cached_twice(), ValueError, r"keeps \(batch, heads, …, head_dim\) = \(3, 3, '…', 4\), got \(1, 3"),
}  # fmt: skip


@torch.no_grad()
def cached_twice():
    model, cache = built(), KVCache(1, 9)
    model.given(SOURCE)(TARGET, cache=cache)
    model.given(SOURCE[:1])(TARGET[:1, :2], cache=cache)
