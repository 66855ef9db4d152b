"""LIME: the package lime on the same samples, closed forms, and what the width does."""

import numpy as np
import pytest
import torch
from explained_models import build, sample
from torch.testing import assert_close

from lib.core import seeded
from lib.explanations import lime

BACKGROUND = sample("rows", 60).double() * torch.tensor([1.0, 2, 3, 0.5, 1, 1]) + 1


def package_fit(z, distances, scores, width):
    """What the package lime makes of a neighbourhood that it is given."""
    from lime.lime_base import LimeBase

    kernel = lambda d: np.sqrt(np.exp(-(d**2) / width**2))  # noqa: E731  (its own default)
    base = LimeBase(kernel, random_state=0)
    _, pairs, _, _ = base.explain_instance_with_data(z, scores[:, None], distances, 0, z.shape[1], "none")
    return torch.tensor([weight for _, weight in sorted(pairs)])


@pytest.mark.equation("eq-lime")
@pytest.mark.parametrize("width", [1.2, 0.75 * 6**0.5, 5.0])
def test_the_package_lime_makes_the_same_of_the_same_samples_of_a_table(width):
    model, x, target = build("rows")
    model, x, seen = model.double(), x.double(), []

    def watched(points):
        seen.append(points)
        return model(points)

    found = lime(watched, x[:1], target[:1], background=BACKGROUND, width=width, samples=300, generator=seeded(0))
    points = torch.cat(seen)
    assert torch.equal(points[0], x[0])
    z = (points - BACKGROUND.mean(0)) / BACKGROUND.std(0, unbiased=False)
    assert z[1:].mean(0).abs().max() < 0.25  # 4 standard errors of 299
    distances = (z - z[0]).norm(dim=1).numpy()
    scores = model(points)[:, target[0]].detach().numpy()
    assert_close(found[0], package_fit(z.numpy(), distances, scores, width))


@pytest.mark.parametrize("rows", [1, 5])
def test_the_package_lime_makes_the_same_of_the_same_segments_of_an_image(rows):
    from sklearn.metrics import pairwise_distances

    model, x, target = build("images")
    model, x, seen = model.double(), x.double(), []
    segments = (torch.arange(48).reshape(6, 8) % 5).expand(3, 6, 8)
    background = sample("images", rows).double() + 9

    def watched(points):
        seen.append(points)
        return model(points.clone())  # its first layer works in place

    found = lime(watched, x[:1], target[:1], background=background, segments=segments, samples=200, generator=seeded(0))
    points = torch.cat(seen)
    kept = torch.stack([(points == x[0])[:, segments == s].all(1) for s in range(5)], 1)
    from_rows = (points[:, None] == background[None]) | kept[:, segments][:, None]
    assert from_rows.flatten(2).all(2).any(1).all()  # the rest of each image is from one row
    assert kept[0].all()
    assert 0.4 < kept[1:].double().mean() < 0.6
    distances = pairwise_distances(kept.double().numpy(), np.ones((1, 5)), metric="cosine").ravel()
    weights = package_fit(kept.double().numpy(), distances, model(points)[:, target[0]].detach().numpy(), 0.25)
    assert_close(found[0], (weights / segments.flatten().bincount())[segments])


def test_a_linear_model_is_found_whatever_the_width():
    slopes = torch.tensor([1.0, -2, 0.5, 3, 0, 1]).double()
    x, deviation = sample("rows").double(), BACKGROUND.std(0, unbiased=False)
    for width in (0.5, 2.0, 20.0):
        found = lime(
            lambda p: (p @ slopes)[:, None], x, 0, background=BACKGROUND, width=width, ridge=0.0, generator=seeded(0)
        )
        assert_close(found, (slopes * deviation).expand(4, 6))


@pytest.mark.parametrize("width", [0.5, 1.0, 3.0])
def test_the_slope_is_the_mean_gradient_about_a_point_between_x_and_the_mean(width):
    # Normal samples times a Gaussian kernel are normal again, about x / (1 + width²) in standard units; the best
    # linear fit under a normal law has the mean gradient for its slope (Stein's lemma). Of z³: 3 (m² + s²).
    background = torch.tensor([[-1.0, 0.0], [1.0, 2.0]]).double()  # mean 0, 1; deviation 1, 1
    x = torch.tensor([[2.0, 0.5]]).double()
    model = lambda p: p[:, :1] ** 3 + 2 * p[:, 1:]  # noqa: E731
    found = torch.cat([
        lime(model, x, 0, background=background, width=width, ridge=0.0, samples=4000, generator=seeded(s))
        for s in range(20)
    ])  # fmt: skip
    centre, variance = 2.0 / (1 + width**2), width**2 / (1 + width**2)
    expected = torch.tensor([3 * (centre**2 + variance), 2.0]).double()
    error = found.std(0) / 20**0.5
    assert ((found.mean(0) - expected).abs() < 5 * error + 1e-9).all()
    assert error[0] < 0.05 * expected[0]


def test_a_constant_feature_gets_nothing_and_stays_as_it_is():
    background = BACKGROUND.clone()
    background[:, 2] = 4.0
    x = sample("rows").double()
    found = lime(
        lambda p: p[:, :1] * p[:, 2:3], x, 0, background=background, ridge=0.0, generator=seeded(0), samples=50
    )
    assert found[:, 2].abs().max() < 1e-12  # its weighted mean rounds
    assert_close(found[:, 0], x[:, 2] * BACKGROUND.std(0, unbiased=False)[0])
    # What a straight line leaves unexplained is not put on it either.
    bent = lime(lambda p: p[:, :1] ** 2, x, 0, background=background, ridge=0.0, generator=seeded(0), samples=50)
    assert bent[:, 2].abs().max() < 1e-12


def test_the_ridge_shrinks_and_a_narrow_kernel_leaves_it_nothing_to_fit():
    # 0.1 standard deviations wide in six dimensions: no sample but x itself has a weight that counts beside the ridge.
    model, x, target = build("rows")
    explain = lambda **k: lime(model, x, target, background=BACKGROUND.float(), generator=seeded(0), **k)  # noqa: E731
    assert explain(ridge=100.0).norm() < 0.8 * explain(ridge=0.0).norm()
    assert explain(width=0.1).abs().max() < 1e-6
