"""The terms add up to the difference of logits, and each is what norm and head give of it by hand."""

import pytest
import torch
from small_transformers import gpt, llama, tokens
from torch import nn
from torch.testing import assert_close

from lib.core import capture, fixed_seed
from lib.explanations import direct_logit_attribution

ATTENTIONS = ["blocks.0.attention", "blocks.1.attention"]
MLPS = ["blocks.0.mlp", "blocks.1.mlp"]
RIGHT, WRONG = torch.tensor([1, 5, 9]), torch.tensor([4, 0, 2])
EXACT = {"atol": 1e-13, "rtol": 0}  # some ten sums of terms near 1 in double precision


def split(model, first, **changes):
    with_heads = {"by_head": ATTENTIONS, "heads": 2 if first == "positions" else 4} | changes
    return direct_logit_attribution(model, tokens(), [first, *ATTENTIONS, *MLPS], RIGHT, WRONG, **with_heads)


def difference(model, position=-1):
    z = model(tokens())[:, position]
    return (z.gather(1, RIGHT[:, None]) - z.gather(1, WRONG[:, None]))[:, 0].detach()


@pytest.mark.equation("eq-direct-logit-attribution")
@pytest.mark.parametrize("position", [-1, 2])
@pytest.mark.parametrize(("build", "first"), [(gpt, "positions"), (llama, "embedding")])
def test_all_terms_add_up_to_the_difference_of_logits(build, first, position):
    model = build().double()
    direct = split(model, first, position=position)
    total = direct.parts.sum(0) + direct.constant
    assert difference(model, position).abs().max() > 0.1
    assert_close(total, difference(model, position), **EXACT)
    assert_close(direct.rest, torch.zeros_like(total), **EXACT)


@pytest.mark.parametrize(("build", "first"), [(gpt, "positions"), (llama, "embedding")])
def test_each_term_is_its_part_through_norm_and_head_by_hand(build, first):
    model = build().double()
    names = [first, *ATTENTIONS, *MLPS]
    with torch.no_grad(), capture(model, names) as seen:
        model(tokens())
    state = sum(seen[name][:, -1] for name in names)
    direct, norm = split(model, first), model.norm
    for name, found in zip(names, direct.parts, strict=True):
        for row in range(3):
            part, whole = seen[name][row, -1], state[row]
            if build is gpt:
                part, whole = part - part.mean(), whole - whole.mean()
            scale = (whole.square().mean() + 1e-5).sqrt()
            z = model.head.weight @ (part / scale * norm.weight)
            assert_close(found[row], (z[RIGHT[row]] - z[WRONG[row]]).detach(), **EXACT)
    if build is llama:
        assert (direct.constant == 0).all()


def test_heads_add_up_to_their_layer_less_its_bias():
    for build, first in ((gpt, "positions"), (llama, "embedding")):
        model = build().double()
        if build is gpt:
            with torch.no_grad():
                for block in model.blocks:
                    block.attention.output.bias.zero_()
        direct = split(model, first)
        assert_close(direct.heads.sum(1), direct.parts[1:3], **EXACT)
        assert direct.heads.std(1).min() > 1e-3
    biased = split(gpt().double(), "positions")
    assert (biased.heads.sum(1) - biased.parts[1:3]).abs().max() > 0.01


def test_a_head_without_its_columns_adds_nothing():
    model = llama()
    with torch.no_grad():
        model.blocks[1].attention.output.weight[:, 4:8] = 0
    direct = split(model, "embedding")
    assert (direct.heads[1, 1] == 0).all()
    assert (direct.heads[1, [0, 2, 3]].abs() > 1e-4).all()


def test_what_is_not_named_is_the_rest():
    model = llama().double()
    whole = split(model, "embedding")
    fewer = direct_logit_attribution(model, tokens(), ["embedding", *ATTENTIONS, MLPS[0]], RIGHT, WRONG)
    assert_close(fewer.rest, whole.parts[4], **EXACT)
    assert fewer.heads.shape == (0, 1, 3)


@pytest.mark.parametrize(
    "norm",
    [
        lambda: nn.LayerNorm(8, dtype=torch.float64),
        lambda: nn.LayerNorm(8, elementwise_affine=False),
        lambda: nn.RMSNorm(8, dtype=torch.float64),
        lambda: nn.RMSNorm(8, elementwise_affine=False),
        nn.Identity,
    ],
)
def test_norms_of_torch(norm):
    with fixed_seed(0):
        model = nn.Sequential(nn.Embedding(11, 8), norm(), nn.Linear(8, 11)).double()
        for parameter in model.parameters():
            nn.init.normal_(parameter)
    direct = direct_logit_attribution(model, tokens(), ["0"], RIGHT, WRONG, norm="1", head="2")
    assert_close(direct.parts[0] + direct.constant, difference(model), **EXACT)
    assert direct.constant.abs().min() > 0.01
