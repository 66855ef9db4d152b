"""Patching a model whose every effect can be written down, and what must hold of patches in any model."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_transformers import LAYERS, gpt, llama, tokens
from torch import nn
from torch.testing import assert_close

from lib.explanations import activation_patching, restored_share


class Running(nn.Module):
    """Adds up what it has read: state t is the sum of the inputs 0 … t, and twice that after the second layer."""

    def __init__(self):
        super().__init__()
        self.sums, self.doubled = nn.Identity(), nn.Identity()

    def forward(self, x):
        return self.doubled(2 * self.sums(x.cumsum(1)))


def last(outputs):
    return outputs[:, -1, 0]


def test_a_patch_carries_the_source_through_the_layers_that_follow():
    x = torch.tensor([[[1.0], [2.0], [3.0]], [[0.0], [1.0], [1.0]]])
    source = torch.tensor([[[5.0], [5.0], [5.0]], [[7.0], [0.0], [0.0]]])
    scores = activation_patching(Running(), x, source, ["sums", "doubled"], [0, -1], score=last)
    # A sum that is already taken does not enter the one beside it: only the last position's state is read.
    expected = [[[12.0, 4.0], [30.0, 14.0]], [[12.0, 4.0], [30.0, 14.0]]]
    assert_close(scores, torch.tensor(expected))


@pytest.mark.parametrize("build", [gpt, llama])
def test_a_run_patched_with_itself_is_unchanged(build):
    model, x = build(), tokens()
    scores = activation_patching(model, x, x, LAYERS, range(7), score=lambda z: z[:, -1, 3])
    assert torch.equal(scores, model(x)[:, -1, 3].detach().expand(2, 7, 3))


@pytest.mark.parametrize("build", [gpt, llama])
def test_the_last_state_patched_gives_the_sources_score(build):
    model, x, source = build(), tokens(0), tokens(1)
    scores = activation_patching(model, x, source, LAYERS, [2, 6], score=lambda z: z[:, -1, 3])
    clean, other = (model(some)[:, -1, 3].detach() for some in (x, source))
    assert_close(scores[1, 1], other)  # after the last layer nothing else enters
    assert torch.equal(scores[1, 0], clean)  # no layer follows that could move it
    assert not torch.allclose(scores[0, 0], clean)
    assert not torch.allclose(scores[0, 1], other)


def test_equal_inputs_up_to_a_position_have_equal_states_there():
    model, x = gpt(), tokens()
    source = x.clone()
    source[:, 4] = (x[:, 4] + 1) % 11
    scores = activation_patching(model, x, source, LAYERS, range(4), score=lambda z: z[:, -1, 3])
    assert torch.equal(scores, model(x)[:, -1, 3].detach().expand(2, 4, 3))


@pytest.mark.equation("eq-restored-share")
@given(st.lists(st.floats(-50, 50), min_size=3, max_size=3), st.floats(-2, 3))
def test_the_share_undoes_a_mixture(scores, share):
    untouched, source = torch.tensor(scores), torch.tensor(scores) + torch.tensor([4.0, -3.0, 2.0])
    patched = untouched + share * (source - untouched)
    assert_close(
        restored_share(patched[None], untouched, source), torch.full((1, 3), share), atol=1e-4, rtol=0
    )  # float32


def test_nothing_is_left_behind_when_the_score_fails():
    model, x = gpt().train(), tokens()
    with pytest.raises(ValueError, match="score must return one number for each of the 3 examples"):
        activation_patching(model, x, tokens(1), LAYERS, [0], score=lambda z: z)
    assert model.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
