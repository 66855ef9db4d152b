"""A model without a head against one whose output map has no columns for it."""

from contextlib import nullcontext

import pytest
import torch
from small_transformers import gpt, llama, tokens
from torch.testing import assert_close

from lib.core import capture
from lib.explanations import without_heads


@pytest.mark.parametrize(("build", "heads"), [(gpt, 2), (llama, 4)])
def test_zero_is_a_map_without_the_heads_columns(build, heads):
    model, x = build(), tokens()
    with without_heads(model, {"blocks.0.attention": [1], "blocks.1.attention": [0, 1]}, heads=heads):
        without = model(x)
    whole = model(x)
    with torch.no_grad():
        model.blocks[0].attention.output.weight[:, 4:8] = 0
        model.blocks[1].attention.output.weight[:, :8] = 0
    assert_close(without, model(x))
    assert not torch.allclose(without, whole)


def test_the_mean_leaves_what_the_head_adds_everywhere():
    model, x, layer = gpt(), tokens(), "blocks.0.attention"
    added = {}
    for by in (None, "zero", "mean"):
        ablated = without_heads(model, {layer: [1]}, heads=2, by=by) if by else nullcontext()
        with torch.no_grad(), ablated, capture(model, [layer]) as seen:
            model(x)
        added[by] = seen[layer]
    removed, kept = added[None] - added["mean"], added["mean"] - added["zero"]
    assert removed.abs().max() > 0.01
    assert_close(removed.mean((0, 1)), torch.zeros(8), atol=1e-6, rtol=0)  # float32
    assert_close(kept, kept[0, 0].expand_as(kept))  # the same at each position of each example


def test_no_hook_is_left_when_the_model_raises():
    model = gpt()
    with pytest.raises(ValueError, match="vocabulary"), without_heads(model, {"blocks.0.attention": [0]}, heads=2):
        model(tokens() + 99)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
