"""Grad-CAM++: by the paper's formula with its three derivatives, and a case computed by hand."""

import pytest
import torch
from explained_models import build
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from lib.core import capture
from lib.explanations import grad_cam, grad_cam_plus_plus


def by_the_paper(head, maps, target):
    """Equations 10, 16 and 19 with the derivatives of Y = exp(f_c) taken one entry at a time, for one example."""
    entries, score = torch.zeros_like(maps), torch.zeros(())
    for place in range(maps.numel()):
        step = torch.zeros(maps.numel(), dtype=maps.dtype)
        step[place] = 1

        def along(t, step=step):
            return head((maps + t * step.view_as(maps))[None])[0, target].exp()

        derivatives, t = [], torch.zeros((), dtype=maps.dtype, requires_grad=True)
        value = score = along(t)
        for _ in range(3):
            (value,) = torch.autograd.grad(value, t, create_graph=True)
            derivatives.append(value.detach())
        first, second, third = derivatives
        total = maps[place // maps[0].numel()].sum()
        denominator = 2 * second + total * third
        if first > 0:
            entries.view(-1)[place] = second / denominator * first
    weights = entries.sum(dim=(1, 2))
    return (weights[:, None, None] * maps).sum(0).relu() / score.detach()  # our unit: without the factor Y


@pytest.mark.equation("eq-grad-cam-plus-plus")
def test_it_is_the_papers_formula_with_its_second_and_third_derivatives():
    model, x, target = build("images")
    model, x = model.double(), x.double()
    with capture(model, ["after"]) as seen:
        model(x.clone())
    maps = seen["after"].detach()
    layers = list(model)
    head = nn.Sequential(*layers[[name for name, _ in model.named_children()].index("after") + 1 :])
    expected = torch.stack([by_the_paper(head, maps[b], target[b]) for b in range(len(maps))])
    assert (expected > 0.01).any()
    fine = F.interpolate(expected[:, None], size=(6, 8), mode="bilinear", align_corners=False)
    assert_close(grad_cam_plus_plus(model, x, target, layer="after"), fine.expand_as(x))


class TwoMaps(nn.Module):
    """The maps are the input; class 0 is half the mean of the first less the mean of the second."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Identity()

    def forward(self, x):
        return self.maps(x).mean((2, 3)) @ torch.tensor([[0.5, 0.0], [-1.0, 0.0]])


def test_a_pooled_map_weighs_w_over_two_plus_w_times_its_mean_and_what_lowers_the_score_weighs_nothing():
    x = torch.tensor([[[[4.0, 8.0], [0.0, 0.0]], [[9.0, 9.0], [9.0, 9.0]]]])
    expected = 0.5 / (2 + 0.5 * 3.0) * x[0, 0]
    assert_close(grad_cam_plus_plus(TwoMaps(), x, 0, layer="maps"), expected.expand(1, 2, 2, 2))
    assert_close(grad_cam_plus_plus(TwoMaps(), x, 1, layer="maps"), torch.zeros_like(x))  # no gradient, no 0 / 0


def test_unlike_grad_cam_it_gives_no_map_a_negative_weight():
    x = torch.tensor([[[[4.0, 8.0], [0.0, 0.0]], [[9.0, 9.0], [9.0, 9.0]]]])
    assert (grad_cam(TwoMaps(), x, 0, layer="maps", relu=False) < 0).all()
    assert (grad_cam_plus_plus(TwoMaps(), x, 0, layer="maps") >= 0).all()
