"""The block is torch's pre-norm layer, the stack sees the past only, and it can learn."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from lib.architectures import MLP, Block, Transformer, TransformerConfig
from lib.core import fixed_seed, seeded


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=seeded(seed))


def tokens(*shape, vocabulary=11, seed=0):
    return torch.randint(0, vocabulary, shape, generator=seeded(seed))


def shake(model):
    """Give every parameter, also ones and zeros, a value of its own, so that none can be left out unseen."""
    generator = seeded(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator).to(parameter.dtype))
    return model


def into_torch(block):
    """State of a block under the names of torch's layer."""
    a, state = block.attention, {}
    for kind in ("weight", "bias"):
        state[f"self_attn.in_proj_{kind}"] = torch.cat([getattr(part, kind) for part in (a.query, a.key, a.value)])
    parts = {
        "self_attn.out_proj": a.output, "norm1": block.attention_norm, "norm2": block.mlp_norm,
        "linear1": block.mlp.up, "linear2": block.mlp.down,
    }  # fmt: skip
    return state | {
        f"{name}.{kind}": getattr(part, kind) for name, part in parts.items() for kind in ("weight", "bias")
    }


def torchs_layer(block, heads):
    width, mlp_width = block.mlp.down.weight.shape
    layer = nn.TransformerEncoderLayer(
        width, heads, mlp_width, dropout=0.0, activation=F.gelu, layer_norm_eps=block.mlp_norm.eps,
        batch_first=True, norm_first=block.norm == "pre", dtype=torch.float64,
    )  # fmt: skip
    layer.load_state_dict(into_torch(block))
    return layer


@pytest.mark.equation("eq-pre-norm-block")
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("causal", [True, False])
def test_values_and_gradients_of_a_block_are_those_of_torchs_layer(causal, norm):
    ours = shake(Block(12, 3, 20, norm=norm, eps=0.1).double())
    torchs = torchs_layer(ours, 3)
    x, padding = random(2, 5, 12).requires_grad_(), torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    future = torch.ones(5, 5, dtype=torch.bool).triu(1)
    outputs = [
        ours(x, mask=padding[:, None, None], causal=causal),
        torchs(x, src_mask=future if causal else None, src_key_padding_mask=~padding),
    ]
    assert_close(*outputs)
    (mine, other) = (torch.autograd.grad(y.sin().sum(), x, retain_graph=True)[0] for y in outputs)
    assert_close(mine, other)
    outputs[0].sin().sum().backward(inputs=list(ours.parameters()))
    outputs[1].sin().sum().backward(inputs=list(torchs.parameters()))
    for name in ("norm1", "norm2", "linear1", "linear2"):
        part = {"norm1": ours.attention_norm, "norm2": ours.mlp_norm, "linear1": ours.mlp.up, "linear2": ours.mlp.down}
        assert_close(part[name].weight.grad, getattr(torchs, name).weight.grad)
        assert_close(part[name].bias.grad, getattr(torchs, name).bias.grad)


def test_a_block_without_its_last_maps_hands_its_input_through():
    block = shake(Block(8, 2, 16))
    for layer in (block.attention.output, block.mlp.down):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    x = random(2, 3, 8).float()
    assert torch.equal(block(x), x)


def test_the_mlp_works_on_each_position_by_itself():
    mlp, x = MLP(4, 10).double(), random(2, 3, 4)
    by_hand = F.linear(F.gelu(F.linear(x[1, 2], *mlp.up.parameters())), *mlp.down.parameters())
    assert_close(mlp(x)[1, 2], by_hand)


def test_the_stack_is_torchs_layers_one_after_the_other():
    model = shake(Transformer(TransformerConfig(3, 12, 3, vocabulary=11, context=8, mlp_width=20)).double())
    text = tokens(2, 6)
    x = model.embedding.weight[text] + model.positions.weight[:6]
    for block in model.blocks:
        x = torchs_layer(block, 3)(x, src_mask=torch.ones(6, 6, dtype=torch.bool).triu(1))
    x = F.layer_norm(x, (12,), model.norm.weight, model.norm.bias)
    assert_close(model(text), x @ model.head.weight.T + model.head.bias)


def test_later_tokens_change_nothing_before_them_and_every_token_counts_from_its_place_on():
    model = shake(Transformer(TransformerConfig(2, 8, 2, vocabulary=11, context=7)).double())
    text = tokens(1, 7)
    logits = model(text)
    for moment in range(7):
        other = text.clone()
        other[0, moment] = (text[0, moment] + 1) % 11
        # Masked scores are −∞ whatever they were: what comes before is the same bit for bit.
        assert torch.equal(model(other)[:, :moment], logits[:, :moment])
        assert (model(other)[:, moment:] != logits[:, moment:]).any(-1).all()


def test_without_the_causal_mask_all_see_all_and_only_positions_tell_the_order():
    model = shake(Transformer(TransformerConfig(2, 8, 2, vocabulary=11, context=5, causal=False)).double())
    text = tokens(1, 5)
    other = text.clone()
    other[0, 4] = (text[0, 4] + 1) % 11
    assert (model(other) != model(text)).any(-1).all()
    order = torch.tensor([3, 0, 4, 1, 2])
    assert not torch.allclose(model(text[:, order]), model(text)[:, order])
    nn.init.zeros_(model.positions.weight)
    assert_close(model(text[:, order]), model(text)[:, order])


def test_parameters_are_counted_and_start_as_in_gpt():
    with fixed_seed(0):
        model = Transformer(TransformerConfig(2, 16, 4, vocabulary=50, context=9))
    # A block: 4 maps 16 → 16 with bias, up and down of 4·16, two norms of 2·16.
    block = 4 * (16 * 16 + 16) + (16 * 64 + 64) + (64 * 16 + 16) + 2 * 32
    assert sum(p.numel() for p in model.parameters()) == 50 * 16 + 9 * 16 + 2 * block + 32 + (16 * 50 + 50)
    matrices = torch.cat([p.flatten() for p in model.parameters() if p.ndim == 2])
    # About 8,000 draws: the standard deviation of 0.02 is met within 2 % (4 standard errors).
    assert matrices.std().item() == pytest.approx(0.02, rel=0.03)
    assert not any(p.any() for name, p in model.named_parameters() if name.endswith("bias"))
    # So the first guess is almost uniform.
    loss = F.cross_entropy(model(tokens(8, 9, vocabulary=50)).flatten(0, 1), tokens(72, vocabulary=50, seed=1))
    assert loss.item() == pytest.approx(math.log(50), abs=0.05)


def test_a_stack_learns_to_copy_the_token_before():
    """Only attention can do it: what is asked for at a position stands at another one."""
    with fixed_seed(0):
        model = Transformer(TransformerConfig(1, 16, 2, vocabulary=5, context=8))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(120):
        text = tokens(32, 8, vocabulary=5, seed=step)
        loss = F.cross_entropy(model(text)[:, 1:].flatten(0, 1), text[:, :-1].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    text = tokens(32, 8, vocabulary=5, seed=10_000)
    right = (model(text)[:, 1:].argmax(-1) == text[:, :-1]).float().mean()
    assert right > 0.95  # guessing gives 0.2
