"""The lens against norm and head by hand."""

import pytest
import torch
from small_transformers import LAYERS, gpt, llama, tokens
from torch.testing import assert_close

from lib.explanations import logit_lens


@pytest.mark.equation("eq-logit-lens")
@pytest.mark.parametrize("position", [-1, 2])
def test_by_hand(position):
    model, x = gpt(), tokens()
    state = model.positions(model.embedding(x))
    lens = logit_lens(model, x, ["positions", *LAYERS], position=position)
    for number, row in enumerate(lens):
        centred = state[:, position] - state[:, position].mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()  # this state's own scale
        by_hand = (scaled * model.norm.weight + model.norm.bias) @ model.head.weight.T + model.head.bias
        assert_close(row, by_hand)
        if number < 2:
            state = model.blocks[number](state, causal=True)


@pytest.mark.parametrize("build", [gpt, llama])
def test_the_last_lens_gives_the_logits(build):
    model, x = build(), tokens()
    assert torch.equal(logit_lens(model, x, LAYERS)[-1], model(x)[:, -1])
    assert not torch.allclose(logit_lens(model, x, LAYERS)[0], model(x)[:, -1])


def test_a_scaled_state_reads_the_same():
    # What a norm without eps would give exactly: the lens does not keep another state's scale.
    model, x = llama(), tokens()
    before = logit_lens(model, x, ["embedding"])
    with torch.no_grad():
        model.embedding.weight *= 100
        model.head.weight = torch.nn.Parameter(model.head.weight / 100)
    assert_close(logit_lens(model, x, ["embedding"]), before, atol=1e-3, rtol=1e-3)  # eps 1e-5 beside squares of 0.2
