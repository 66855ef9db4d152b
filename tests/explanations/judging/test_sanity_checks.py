"""Layers randomised from the top, and rank correlation beside SciPy's."""

import math

import pytest
import torch
from explained_models import build, network, sample
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from torch import nn
from torch.testing import assert_close

from lib.core import fixed_seed, seeded
from lib.explanations import cascading_randomization, guided_backprop, rank_correlation, saliency


def parameters_after_each_step(model, x):
    """In place of an explanation, note the parameters: layer name → all of them when that layer's turn was over."""
    noted = []

    def explain(copy):
        copy(x)
        noted.append({name: parameter.detach().clone() for name, parameter in copy.named_parameters()})
        return torch.zeros(1)

    return dict(zip(cascading_randomization(model, explain, generator=seeded(0)), noted, strict=True))


def test_layers_are_randomised_from_the_top_one_after_the_other_and_stay_so():
    model = network("images")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    seen = parameters_after_each_step(model, sample("images"))
    layers = ["head", "maps", "last", "norm", "first"]
    assert list(seen) == ["", *layers]
    for done, parameters in enumerate(seen.values()):
        for name, value in parameters.items():
            touched = name.split(".")[0] in layers[:done]  # also those of norms, which still stand at 0 and 1
            assert torch.equal(value, before[name]) != touched, (layers[:done], name)
    for name in seen["first"]:
        # Drawn once: a layer does not change again when the next one's turn comes.
        assert torch.equal(seen["first"][name], seen[name.split(".")[0]][name])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_layer_keeps_its_scale_and_loses_its_pattern():
    model = nn.Sequential(nn.Linear(300, 300))
    with torch.no_grad():
        model[0].weight.copy_(torch.arange(90_000.0).reshape(300, 300) / 1e4 + 2)
    trained = model[0].weight.detach().clone()
    weight = parameters_after_each_step(model, torch.ones(1, 300))["0"]["0.weight"]
    # Mean and deviation of 90,000 draws: their own relative errors are 1/300 and 1/420.
    assert weight.mean().item() == pytest.approx(trained.mean().item(), rel=0.02)
    assert weight.std().item() == pytest.approx(trained.std().item(), rel=0.02)
    assert rank_correlation(weight[None], trained[None]).abs().item() < 0.02
    # A normal distribution: 68.3 % within one deviation, where the uniform ramp has 57.7 %.
    within = ((weight - weight.mean()).abs() < weight.std()).float().mean().item()
    assert within == pytest.approx(0.683, abs=0.01)


def test_the_deviation_is_that_of_the_tensor_itself_not_an_estimate_for_more():
    # Two weights, 0 and 2: their deviation is 1; dividing by n − 1 would say √2.
    model = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0, 2.0]]))
    draws = [
        cascading_randomization(model, lambda m: (m(torch.ones(1, 2)), m.weight)[1], generator=seeded(seed))["(root)"]
        for seed in range(400)
    ]
    # 800 draws: the relative error of their deviation is 1/40.
    assert torch.cat(draws).std().item() == pytest.approx(1, abs=0.1)


def test_the_generator_decides_and_the_default_one_is_not_used():
    model, x, target = build("rows")
    state = torch.get_rng_state()

    def explain(model):
        return saliency(model, x, target)

    runs = [cascading_randomization(model, explain, generator=seeded(seed)) for seed in (1, 1, 2)]
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])
    assert not torch.equal(runs[0]["6"], runs[2]["6"])
    assert torch.equal(runs[0][""], saliency(model, x, target))
    assert torch.equal(torch.get_rng_state(), state)


def test_gradients_can_be_taken_inside_also_when_they_are_switched_off_outside():
    model, x, target = build("rows")

    def explain(model):
        points = x.clone().requires_grad_()
        return torch.autograd.grad(model(points).gather(1, target[:, None]).sum(), points)[0]

    with torch.no_grad():
        assert list(cascading_randomization(model, explain, generator=seeded(0))) == ["", "6", "4", "1", "0"]


def test_the_model_itself_never_runs_or_changes_when_the_explanation_fails():
    model, x, target = build("rows")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    calls = []

    def explain(copy):
        assert copy is not model
        calls.append(copy)
        if len(calls) == 3:
            raise KeyError("in the middle")
        return saliency(copy, x, target)

    with pytest.raises(KeyError, match="in the middle"):
        cascading_randomization(model, explain, generator=seeded(0))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_parameters_of_the_model_itself_have_a_name_too():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.inner = nn.Parameter(torch.arange(4.0)), nn.Linear(4, 2)

        def forward(self, x):
            return self.inner(x * self.scale)

    seen = parameters_after_each_step(Bare(), torch.ones(1, 4))
    assert list(seen) == ["", "inner", "(root)"]
    assert not torch.equal(seen["(root)"]["scale"], torch.arange(4.0))
    assert torch.equal(seen["inner"]["scale"], torch.arange(4.0))


def test_guided_backpropagation_forgets_the_model_slower_than_the_gradient_does():
    # Adebayo et al. 2018, on a small scale: the top half of a network is randomised. Ten draws of a network, mean.
    after = {saliency: [], guided_backprop: []}
    for seed in range(10):
        with fixed_seed(seed):
            model = nn.Sequential(
                *(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU()),
                *(nn.Flatten(), nn.Linear(16 * 6 * 6, 5)),
            )
            x = torch.randn(4, 3, 12, 12)
        for method, correlations in after.items():
            seen = cascading_randomization(model, lambda copy: method(copy, x, 1), generator=seeded(seed))  # noqa: B023
            correlations.append(rank_correlation(seen[""], seen["4"]).mean().item())
    assert sum(after[guided_backprop]) / 10 > sum(after[saliency]) / 10 + 0.1


class HeadFirst(nn.Module):
    """Registered against the order of execution; the body runs twice, attention calls its own output projection never."""

    def __init__(self):
        super().__init__()
        self.head, self.middle, self.body = nn.Linear(4, 3), nn.MultiheadAttention(4, 2), nn.Linear(4, 4)
        self.unused = nn.Linear(4, 4)

    def forward(self, x):
        x = self.body(x.relu())
        x, _ = self.middle(x, x, x)
        return self.head(self.body(x))


def test_the_top_is_what_ran_last_wherever_it_was_registered():
    with fixed_seed(0):
        model, x = HeadFirst(), torch.randn(2, 4)
    steps = cascading_randomization(model, lambda m: saliency(m, x, 1), generator=seeded(0))
    assert list(steps) == ["", "head", "body", "middle.out_proj", "middle", "unused"]
    assert not torch.equal(steps["middle.out_proj"], steps["body"])


def test_stops_are_explained_and_what_lies_between_is_randomised_all_the_same():
    model, x, target = build("rows")
    calls = []

    def explain(copy):
        calls.append(copy)
        return saliency(copy, x, target)

    whole = cascading_randomization(model, explain, generator=seeded(0))
    calls.clear()
    some = cascading_randomization(model, explain, generator=seeded(0), stops=["1", "6"])
    assert list(some) == ["", "6", "1"]
    assert len(calls) == 3
    assert all(torch.equal(some[name], whole[name]) for name in some)


def test_what_two_layers_share_is_drawn_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
            self.second.weight = self.first.weight

        def forward(self, x):
            return self.second(self.first(x))

    seen = parameters_after_each_step(Tied(), torch.ones(1, 4))
    assert torch.equal(seen["first"]["first.weight"], seen["second"]["first.weight"])
    assert not torch.equal(seen["first"]["first.bias"], seen["second"]["first.bias"])


@pytest.mark.parametrize("value", [0.0, 2.0])
def test_a_layer_that_is_constant_throughout_changes_too(value):
    model = nn.Sequential(nn.Linear(4, 4))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)
    seen = parameters_after_each_step(model, torch.ones(1, 4))["0"]
    assert all((parameter != value).all() for parameter in seen.values())


def test_an_explanation_that_is_a_view_of_the_model_is_kept_as_it_was():
    model, x, _ = build("rows")
    steps = cascading_randomization(model, lambda m: (m(x), m[6].weight.T)[1], generator=seeded(0))
    assert torch.equal(steps[""], model[6].weight.T)
    assert not torch.equal(steps[""], steps["6"])


def test_it_works_in_inference_mode():
    model, x, target = build("rows")
    expected = cascading_randomization(model, lambda m: saliency(m, x, target), generator=seeded(0))
    with torch.inference_mode():
        found = cascading_randomization(model, lambda m: saliency(m, x, target), generator=seeded(0))
    assert all(torch.equal(found[name], expected[name]) for name in expected)


class Remembers(nn.Module):
    """Keeps the features of its last run, as CAM code often does; copy.deepcopy refuses tensors with a graph."""

    def __init__(self, keep):
        super().__init__()
        self.body, self.head, self.keep = nn.Linear(4, 4), nn.Linear(4, 3), keep

    def forward(self, x):
        features = self.body(x).relu()
        self.features = features if self.keep == "tensor" else [features]
        return self.head(features)


def test_a_model_that_keeps_its_features_can_be_randomised_after_a_run():
    model, x = Remembers("tensor"), torch.randn(2, 4)
    model(x)
    steps = cascading_randomization(model, lambda m: saliency(m, x, 1), generator=seeded(0))
    assert list(steps) == ["", "head", "body"]


# ---- rank correlation -------------------------------------------------------------------------------------------


@pytest.mark.equation("eq-rank-correlation")
@given(seed=st.integers(0, 2**31), levels=st.sampled_from([2, 3, 10, 10**6]))
def test_scipy_agrees_with_and_without_ties(seed, levels):
    first, second = torch.randint(levels, (2, 3, 4, 5), generator=seeded(seed)).double()
    second = second + (torch.rand((), generator=seeded(seed)) > 0.5) * first  # related in half of the cases
    ours = rank_correlation(first, second)
    for row, a, b in zip(ours, first.flatten(1), second.flatten(1), strict=True):
        expected = spearmanr(a.numpy(), b.numpy()).statistic
        assert row.item() == pytest.approx(expected, abs=1e-12)


def test_orders_that_are_the_same_or_reversed():
    values = torch.randn(3, 100)
    assert_close(rank_correlation(values, values.exp() * 5), torch.ones(3))
    assert_close(rank_correlation(values, -(values**3)), -torch.ones(3))


def test_a_hundred_thousand_ranks_lose_nothing_in_single_precision():
    values = torch.randn(1, 150_528, generator=seeded(0))
    noisy = values + torch.randn(1, 150_528, generator=seeded(1))
    expected = spearmanr(values[0].numpy(), noisy[0].numpy()).statistic
    assert rank_correlation(values, noisy).item() == pytest.approx(expected, abs=1e-6)


def test_what_ranks_nothing_has_no_correlation():
    result = rank_correlation(torch.tensor([[1.0, 1.0], [1.0, 2.0]]), torch.tensor([[1.0, 2.0], [5.0, 6.0]]))
    assert math.isnan(result[0])
    assert result[1] == 1


def test_ranks_of_a_part_of_a_table_are_compared_without_a_warning():
    first, second = torch.randn(2, 5, 12, generator=seeded(0))
    apart = rank_correlation(first[:, :8].clone(), second[:, :8].clone())
    assert torch.equal(rank_correlation(first[:, :8], second[:, :8]), apart)
