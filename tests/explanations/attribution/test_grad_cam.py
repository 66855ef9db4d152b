"""Maps of the last layer, weighted: by the formula, by Captum, and CAM where theory says that they are one."""

from collections import OrderedDict

import captum.attr
import pytest
import torch
from explained_models import LAYER, build, sample
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from lib.core import capture, fixed_seed
from lib.explanations import class_activation_map, grad_cam, grad_cam_map


def pooled_linear():
    """Maps, their mean, a linear head: the networks for which Zhou et al. defined CAM."""
    with fixed_seed(2):
        return nn.Sequential(
            OrderedDict(
                first=nn.Conv2d(3, 6, 3, padding=1),
                maps=nn.Tanh(),
                pool=nn.AdaptiveAvgPool2d(1),
                flat=nn.Flatten(),
                head=nn.Linear(6, 3),
            )
        )


@pytest.mark.equation("eq-grad-cam")
@pytest.mark.parametrize("relu", [True, False])
def test_each_map_weighs_what_its_mean_gradient_says(relu):
    model, x, target = build("images")
    with capture(model, [LAYER]) as seen:
        score = model(x.clone()).gather(1, target[:, None])
    maps = seen[LAYER]
    (gradient,) = torch.autograd.grad(score.sum(), maps)
    expected = torch.zeros(4, 3, 4)
    for b in range(4):
        for k in range(5):
            alpha = gradient[b, k].sum() / (3 * 4)
            expected[b] += alpha * maps[b, k].detach()
    if relu:
        expected = torch.where(expected > 0, expected, torch.zeros(()))
    coarse = grad_cam_map(model, x, target, layer=LAYER, relu=relu)
    assert_close(coarse, expected)
    assert (coarse < 0).any() != relu
    assert (coarse > 0).any()
    fine = grad_cam(model, x, target, layer=LAYER, relu=relu)
    enlarged = F.interpolate(coarse[:, None], size=(6, 8), mode="bilinear", align_corners=False)
    assert_close(fine, enlarged.expand(4, 3, 6, 8))


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("layer", ["first", "maps"])
def test_captum_agrees(layer, relu):
    model, x, target = pooled_linear(), sample("images"), torch.tensor([2, 0, 1, 1])
    theirs = captum.attr.LayerGradCam(model, model.get_submodule(layer)).attribute(x, target, relu_attributions=relu)
    assert_close(grad_cam_map(model, x, target, layer=layer, relu=relu), theirs.detach().squeeze(1))


@pytest.mark.equation("eq-class-activation-map")
def test_the_mean_of_cam_is_the_score_less_the_bias():
    model, x, target = pooled_linear(), sample("images"), torch.tensor([2, 0, 1, 1])
    cam = class_activation_map(model, x, target, layer="maps", head="head")
    assert cam.shape == (4, 6, 8)
    score = model(x).gather(1, target[:, None]).squeeze(1)
    assert_close(cam.mean((1, 2)), (score - model.head.bias[target]).detach())
    # And entry by entry it is the head applied at each position.
    everywhere = F.linear(model.maps(model.first(x)).movedim(1, -1), model.head.weight)
    assert_close(cam, everywhere[torch.arange(4), :, :, target].detach())


@pytest.mark.parametrize("scale", [1.0, -3.0])
def test_for_a_pooled_linear_head_cam_is_grad_cam_times_the_positions(scale):
    model, x, target = pooled_linear(), scale * sample("images"), torch.tensor([2, 0, 1, 1])
    cam = class_activation_map(model, x, target, layer="maps", head="head")
    assert_close(cam, 6 * 8 * grad_cam_map(model, x, target, layer="maps", relu=False))
    assert_close(cam.clamp(min=0), 6 * 8 * grad_cam_map(model, x, target, layer="maps"))


def test_a_known_map_shines_where_it_is():
    # Two maps that are set by hand; class 0 likes the first, class 1 the second and dislikes the first.
    class Known(nn.Module):
        def __init__(self):
            super().__init__()
            self.maps, self.head = nn.Identity(), nn.Linear(2, 2)
            self.head.weight = nn.Parameter(torch.tensor([[1.0, 0.0], [-1.0, 2.0]]))

        def forward(self, x):
            return self.head(self.maps(x).mean((2, 3)))

    x = torch.zeros(1, 2, 4, 4)
    x[0, 0, 0, 1], x[0, 1, 3, 2] = 1.0, 1.0
    expected = torch.zeros(2, 4, 4)
    expected[0, 0, 1], expected[1, 3, 2], expected[1, 0, 1] = 1.0, 2.0, -1.0
    model = Known()
    cams = torch.cat([class_activation_map(model, x, c, layer="maps", head="head") for c in (0, 1)])
    assert torch.equal(cams, expected)
    maps = torch.cat([grad_cam(model, x, c, layer="maps") for c in (0, 1)])
    assert torch.equal(maps, expected.clamp(min=0)[:, None].expand(2, 2, 4, 4) / 16)


def test_a_layer_that_runs_twice_is_read_where_it_ran_last():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 3)

        def forward(self, x):
            return self.head(self.conv(torch.tanh(self.conv(x))).mean((2, 3)))

    model, x = Twice(), sample("images")
    last = model.conv(torch.tanh(model.conv(x)))
    expected = torch.einsum("k,bkhw->bhw", model.head.weight[1], last) / 48
    assert_close(grad_cam_map(model, x, 1, layer="conv", relu=False), expected.detach())


def test_a_map_of_a_model_that_is_being_trained_carries_no_graph():
    model, x = pooled_linear(), sample("images")
    assert not class_activation_map(model, x, 1, layer="maps", head="head").requires_grad


class Frozen(nn.Module):
    """A backbone that the model itself runs without gradients, under several names, and a head."""

    def __init__(self, context):
        super().__init__()
        with fixed_seed(0):
            self.features = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
            self.head = nn.Sequential(nn.Linear(4, 8), self.features[1], nn.Linear(8, 3))
        self.alias, self.context = self.features, context

    def forward(self, x):
        with self.context():
            maps = self.features(x)
        return self.head(maps.mean((2, 3)))


@pytest.mark.parametrize("context", [torch.enable_grad, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("layer", ["features", "alias", "features.1"])
def test_a_layer_that_the_model_runs_without_gradients_and_a_relu_shared_with_the_head(context, layer):
    model, x = Frozen(context), sample("images")
    maps = Frozen(torch.enable_grad).features(x).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(model.head(maps.mean((2, 3)))[:, 1].sum(), maps)
    expected = (gradient.mean((2, 3), keepdim=True) * maps).sum(1).detach()
    assert_close(grad_cam_map(model, x, 1, layer=layer, relu=False), expected)
    with torch.no_grad():
        assert_close(grad_cam_map(model, x, 1, layer=layer, relu=False), expected)


HEADS = {
    "a maximum in place of the mean": ("maps", lambda m, h: h(m.amax((2, 3)))),
    "a layer before the activation": ("first", lambda m, h: h(m.mean((2, 3)))),
    "a head that is bent": ("maps", lambda m, h: 2 * torch.tanh(h(m.mean((2, 3))))),
    "a head with an addition": ("maps", lambda m, h: h(m.mean((2, 3))) + 0.1),
}


@pytest.mark.bad_input
@pytest.mark.parametrize(("layer", "end"), HEADS.values(), ids=HEADS)
def test_cam_is_refused_where_its_mean_is_not_the_score(layer, end):
    class Ended(nn.Module):
        def __init__(self):
            super().__init__()
            whole = pooled_linear()
            self.first, self.maps, self.head = whole.first, whole.maps, whole.head

        def forward(self, x):
            return end(self.maps(self.first(x)), self.head)

    with pytest.raises(
        ValueError, match=r"the score must be the head 'head' of the mean of the maps of .* use grad_cam"
    ):
        class_activation_map(Ended(), sample("images"), 1, layer=layer, head="head")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_cam_of_other_precisions_passes_its_check(dtype):
    model, x = pooled_linear(), sample("images")
    expected = class_activation_map(model, x, 1, layer="maps", head="head")
    found = class_activation_map(model.to(dtype), x.to(dtype), 1, layer="maps", head="head")
    assert_close(found.float(), expected, rtol=0.1, atol=0.05)  # bfloat16 has three digits
