"""Concepts planted in states, and scores whose slopes are known."""

import numpy as np
import pytest
import torch
from captum.concept import TCAV, Concept
from captum.concept._utils.classifier import Classifier
from explained_models import build
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from lib.core import seeded
from lib.explanations import concept_sensitivities, concept_vector, random_concept_test, tcav_scores


def planted(examples: int = 400, shift: float = 3.0):
    """States of six features that vary differently and together; the concept moves them along one direction."""
    draw = seeded(0)
    mix = torch.randn(6, 6, generator=draw)
    direction = F.normalize(torch.randn(6, generator=draw), dim=0)
    others, concept = (torch.randn(examples, 6, generator=draw) @ mix for _ in range(2))
    return concept + shift * direction, others, direction, mix


def test_the_means_find_the_direction_along_which_the_concept_moves_states():
    concept, others, direction, _ = planted(20_000)
    assert concept_vector(concept, others, fit="means").direction @ direction > 0.999


def test_the_plane_finds_what_parts_the_sets_which_is_another_direction():
    concept, others, direction, mix = planted(20_000)
    # Of two normal clouds of one covariance the best plane's normal is its inverse times the shift.
    best = F.normalize(torch.linalg.solve(mix.T @ mix, direction), dim=0)
    found = concept_vector(concept, others, penalty=1e-4).direction
    assert found @ best > 0.99
    assert direction @ best < 0.5


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("penalty", [1.0, 0.01])
def test_the_plane_is_that_of_scikit_learn(penalty, standardise):
    concept, others, _, _ = planted(60)
    concept, others = concept[:25].double(), others.double()  # unequal sets, so that the plane has an offset of its own
    found = concept_vector(concept, others, penalty=penalty, standardise=standardise)
    states, labels = torch.cat([others, concept]), np.repeat([0, 1], [60, 25])
    mean, deviation = states.mean(0), states.std(0, correction=0) if standardise else torch.ones(6).double()
    # Two weight vectors ±w with penalty λ/2 each: one of 2w, with λ/4.
    reference = LogisticRegression(C=2 / (penalty * 85), tol=1e-9, max_iter=5000).fit(
        (states - mean) / deviation, labels
    )
    normal = torch.from_numpy(reference.coef_[0]) / deviation
    assert_close(found.direction, normal / normal.norm(), atol=1e-4, rtol=0)  # where the two searches stop
    fresh, _, _, _ = planted(300)
    expected = reference.predict((fresh.double() - mean) / deviation)
    assert (found(fresh.double()).numpy() == expected).mean() > 0.995  # but for a state on the plane


@pytest.mark.parametrize("fit", ["plane", "means"])
def test_the_vector_has_length_one_points_to_the_concept_and_turns_with_it(fit):
    concept, others, _, _ = planted()
    found, reverse = concept_vector(concept, others, fit=fit), concept_vector(others, concept, fit=fit)
    assert found.direction.norm().item() == pytest.approx(1, abs=1e-5)
    assert_close(reverse.direction, -found.direction, atol=1e-3, rtol=0)  # where the search stops in single precision
    assert found(concept).float().mean() > 0.7
    assert found(others).float().mean() < 0.3


@pytest.mark.equation("eq-concept-sensitivity")
def test_at_the_layer_before_a_linear_head_the_slope_is_the_heads_weight():
    model, x, target = build("rows")
    directions = torch.randn(5, 8, generator=seeded(0))
    found = concept_sensitivities(model, x, target, layer="5", directions=directions)
    assert_close(found, directions @ model[6].weight.detach()[target].T)


@pytest.mark.equation("eq-concept-sensitivity")
@pytest.mark.parametrize(("kind", "layer"), [("images", "last"), ("rows", "0"), ("tokens", "bend")])
def test_the_slope_is_that_of_a_small_step_along_the_direction(kind, layer):
    model, x, target = build(kind)
    model, x = model.double(), x.double()
    states = {}

    def moved(step):
        def hook(_module, _inputs, output):
            states["shape"] = output.shape
            return output + step * direction.reshape(output.shape[1:])

        handle = model.get_submodule(layer).register_forward_hook(hook)
        scores = model(x).detach().gather(1, target[:, None])[:, 0]
        handle.remove()
        return scores

    width = {"images": 60, "rows": 16, "tokens": 40}[kind]
    direction = torch.randn(width, generator=seeded(0)).double()
    found = concept_sensitivities(model, x, target, layer=layer, directions=direction[None])
    step = 1e-6
    assert_close(found[0], (moved(step) - moved(-step)) / (2 * step), rtol=1e-5, atol=1e-6)  # away from kinks


@pytest.mark.equation("eq-tcav-score")
@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=30))
def test_the_score_counts_signs(slopes):
    score = tcav_scores(torch.tensor(slopes))
    assert score.item() == pytest.approx(sum(slope > 0 for slope in slopes) / len(slopes))
    assert torch.equal(tcav_scores(torch.tensor([slopes, slopes])), torch.stack([score, score]))


class Means(Classifier):
    """The mean difference as Captum's classifier, so that both libraries score one and the same vector."""

    def __init__(self):
        self.names = self.found = None

    def train_and_eval(self, dataloader, **_):
        states, labels = (torch.cat(part) for part in zip(*dataloader, strict=True))
        self.names = labels.unique().tolist()
        means = [states[labels == name].mean(0) for name in self.names]
        self.found = F.normalize(means[0] - means[1], dim=0)
        return {"accs": 1.0}

    def weights(self):
        return torch.stack([self.found, -self.found])

    def classes(self):
        return self.names


@pytest.mark.equation("eq-tcav-score")
@pytest.mark.filterwarnings("ignore::UserWarning:captum")  # that its attribution method is wrapped anew
def test_captum_gives_the_same_scores(tmp_path):
    model, _, _ = build("rows")
    with torch.no_grad():
        sets = [torch.randn(30, 6, generator=seeded(seed)) + shift for seed, shift in ((1, 1.0), (2, 0.0))]
        states = [model[:1](rows) for rows in sets]
    concepts = [Concept(id=i, name=f"set{i}", data_iter=rows.split(10)) for i, rows in enumerate(sets)]
    captum = TCAV(model=model, layers=["0"], classifier=Means(), save_path=str(tmp_path))
    inputs = torch.randn(40, 6, generator=seeded(3))
    scored = captum.interpret(inputs=inputs, experimental_sets=[concepts], target=2)["0-1"]["0"]
    direction = concept_vector(*states, fit="means").direction
    found = concept_sensitivities(model, inputs, 2, layer="0", directions=direction[None])
    assert_close(tcav_scores(found)[0], scored["sign_count"][0].detach(), atol=1e-6, rtol=0)
    assert 0 < tcav_scores(found)[0] < 1


def test_chunks_do_not_matter_and_nothing_is_left_behind():
    model, _, _ = build("images")
    x = torch.randn(2000, 3, 6, 8, generator=seeded(1))  # more than go through the model at once
    directions = torch.randn(3, 60, generator=seeded(0))
    before, x_before = torch.get_rng_state(), x.clone()
    model.train()
    found = concept_sensitivities(model, x, 1, layer="last", directions=directions)
    alone = concept_sensitivities(model, x[-5:], 1, layer="last", directions=directions)
    assert_close(found[:, -5:], alone, rtol=1e-4, atol=1e-5)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(x, x_before)
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_layer_without_weights_has_slopes_too():
    model = nn.Sequential(nn.Identity(), nn.Flatten(), nn.Linear(4, 2))
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    found = concept_sensitivities(model, torch.ones(3, 2, 2), 1, layer="0", directions=torch.eye(4))
    assert_close(found, model[2].weight[1][:, None].expand(4, 3))


def test_random_concepts_are_called_special_no_more_often_than_they_should_be():
    draws = torch.randn(3000, 40, generator=seeded(0))
    p = torch.tensor([random_concept_test(row[0], row[1:]) for row in draws])
    for level in (0.05, 0.25, 0.5):
        # As often as promised, give or take four standard errors of 3,000 draws.
        assert abs((p <= level + 1e-9).double().mean() - level) < 4 * (level * (1 - level) / 3000) ** 0.5
    assert stats.kstest(p.numpy(), "uniform").statistic < 0.05


@pytest.mark.parametrize("shape", ["even", "two clusters"])
def test_of_twenty_values_at_most_one_is_called_special_at_one_in_twenty(shape):
    """Each in turn is the concept: whatever the values, p ≤ k/20 for at most k of them."""
    for seed in range(50):
        values = torch.rand(20, generator=seeded(seed), dtype=torch.float64)
        if shape == "two clusters":
            values = values.pow(8) + (torch.rand(20, generator=seeded(seed + 50)) < 0.5)
        p = [random_concept_test(v, torch.cat([values[:i], values[i + 1 :]])) for i, v in enumerate(values)]
        assert all(sum(one <= k / 20 + 1e-9 for one in p) <= k for k in range(1, 21))


def test_far_on_either_side_is_far():
    values = torch.linspace(-1, 1, 99)
    assert random_concept_test(5.0, values) == random_concept_test(torch.tensor(-5.0), values) == 0.01
    assert random_concept_test(values.median(), values) == 1
