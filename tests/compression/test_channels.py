"""Structured pruning: the small model is the large one with whole channels set to zero."""

import re

import pytest
import torch
from torch import nn

from lib import architectures
from lib.compression import bytes_of, channel_plan
from lib.core import replaced


def network(library):
    return nn.Sequential(
        library.Conv2d(2, 6, 3), (nn.BatchNorm2d if library is nn else library.BatchNorm)(6), nn.ReLU(), library.Conv2d(6, 4, 3), nn.ReLU(), nn.Flatten(), library.Linear(4 * 9, 5),
    )  # fmt: skip


X = torch.randn(3, 2, 7, 7, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
@pytest.mark.parametrize("library", [nn, architectures], ids=["torch", "lib"])
def test_removing_a_channel_is_setting_what_reads_it_to_zero(library):
    model = network(library)
    model(X)  # so that the running statistics are no zeros and ones
    model.eval()
    small = replaced(model, channel_plan(model, "0", ["1", "3"], 0.5))
    gone = model[0].weight.flatten(1).norm(dim=1).argsort()[:3]
    model[3].weight[:, gone] = 0
    torch.testing.assert_close(small(X), model(X))
    smaller = replaced(small, channel_plan(small, "3", ["6"], 0.25))
    gone = model[3].weight.flatten(1).norm(dim=1).argmin()
    model[6].weight.view(5, 4, 9)[:, gone] = 0  # nine columns a channel, behind the flattening
    torch.testing.assert_close(smaller(X), model(X))
    assert [tuple(p.shape) for p in smaller.parameters()] == [
        (3, 2, 3, 3),
        (3,),
        (3,),
        (3,),
        (3, 3, 3, 3),
        (3,),
        (5, 27),
        (5,),
    ]
    assert bytes_of(smaller) == 4 * sum(p.numel() for p in smaller.parameters()) + 4 * 6 + 8
    assert all(parameter.is_leaf and parameter.requires_grad for parameter in smaller.parameters())


def test_given_scores_decide():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    small = replaced(model, channel_plan(model, "0", ["1"], 1 / 3, scores=torch.tensor([3.0, 1.0, 2.0])))
    assert torch.equal(small[0].weight, model[0].weight[[0, 2]])
    assert torch.equal(small[1].weight, model[1].weight[:, [0, 2]])
    assert (small[0].out_features, small[1].in_features) == (2, 2)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("0", ["1", "3"], 1), ValueError, "share must leave at least one of 6 channels, got 1"),
        (("0", ["1", "3"], -1), ValueError, "share must be from 0 to 1, got -1"),
        (
            ("9", ["3"], 0.5),
            ValueError,
            "layer and readers must name modules of the model, got ['9']; it has ['0', '1'",
        ),
        (("0", [], 0.5), ValueError, "layer and readers must name modules of the model, got no reader"),
        (("0", ["3", "3"], 0.5), ValueError, "layer and readers must be different modules, got ['0', '3', '3']"),
        (("0", ["2"], 0.5), TypeError, "'2' must be a Linear, a Conv2d or, reading, a batch norm, got ReLU"),
        (("1", ["3"], 0.5), TypeError, "'1' must be a Linear, a Conv2d, got BatchNorm2d"),
        (("3", ["1"], 0.5), ValueError, "'1' must read 4 channels, got a batch norm of 6"),
        (("3", ["0"], 0.5), ValueError, "'0' must read 4 channels, got 2 inputs"),
        (("6", ["0"], 0.5), ValueError, "'0' must read 5 channels, got 2 inputs"),
        (("0", "3", 0.5), TypeError, "readers must be a list or tuple, got str '3'"),
    ],
)
def test_what_cannot_be_narrowed_is_refused(arguments, error, message):
    model = network(nn)
    with pytest.raises(error, match=re.escape(message)):
        channel_plan(model, *arguments)


@pytest.mark.bad_input
def test_groups_and_scores_of_another_length_are_refused():
    grouped = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 3, groups=2))
    with pytest.raises(ValueError, match="'1' must have one group, got 2"):
        channel_plan(grouped, "0", ["1"], 0.5)
    with pytest.raises(ValueError, match="scores must have one number for each of 6 channels, got 2"):
        channel_plan(network(nn), "0", ["1", "3"], 0.5, scores=torch.ones(2))
