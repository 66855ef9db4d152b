"""The toy model of superposition where its optimum is known."""

import math

import pytest
import torch
from torch.testing import assert_close

from lib.architectures import ToySuperposition, train_toy_superposition
from lib.core import fixed_seed, seeded


def trained(features, width, copies=3, *, presence, importance, steps=1500):
    with fixed_seed(0):
        model = ToySuperposition(features, width, copies=copies)
    loss = train_toy_superposition(model, presence=presence, importance=importance, generator=seeded(1), steps=steps)
    return model, loss


@pytest.mark.equation("eq-toy-superposition")
def test_the_formula():
    with fixed_seed(0):
        model = ToySuperposition(5, 2, copies=3)
    torch.nn.init.normal_(model.bias, generator=seeded(0))
    x = torch.rand(7, 3, 5, generator=seeded(1))
    for copy in range(3):
        W, b = model.weight[copy], model.bias[copy]
        assert_close(model(x)[:, copy], (x[:, copy] @ W.T @ W + b).clamp(min=0))
        assert_close(model.hidden(x)[:, copy], x[:, copy] @ W.T)


def test_dense_features_leave_room_for_the_most_important_only_which_lie_at_right_angles():
    importance = 0.6 ** torch.arange(5.0)
    model, loss = trained(5, 2, presence=1.0, importance=importance)
    gram = model.weight.detach().transpose(1, 2) @ model.weight.detach()
    expected = torch.zeros(3, 5, 5)
    expected[:, 0, 0] = expected[:, 1, 1] = 1
    assert_close(gram, expected, atol=0.05, rtol=0)
    # The rest is answered by its mean; the variance of a uniform feature is 1/12.
    assert_close(loss, torch.full((3,), importance[2:].sum().item() / 12), rtol=0.02, atol=0)


def test_rare_features_share_two_dimensions_as_a_pentagon():
    model, loss = trained(5, 2, copies=4, presence=0.05, importance=torch.ones(5), steps=3000)
    best = model.weight.detach()[loss.argmin()]  # a copy may end in a worse arrangement
    assert best.norm(dim=0).min() > 0.8
    angles = torch.atan2(best[1], best[0]).sort().values
    gaps = torch.cat([angles.diff(), angles[:1] + 2 * math.pi - angles[-1:]])
    assert_close(gaps, torch.full((5,), 2 * math.pi / 5), atol=0.1, rtol=0)


def test_four_rare_features_in_two_dimensions_are_two_antipodal_pairs():
    model, loss = trained(4, 2, copies=4, presence=0.05, importance=torch.ones(4), steps=2000)
    best = torch.nn.functional.normalize(model.weight.detach()[loss.argmin()], dim=0)
    cosines = (best.T @ best).sort(dim=1).values
    assert_close(cosines, torch.tensor([-1.0, 0, 0, 1]).expand(4, 4), atol=0.05, rtol=0)


def test_training_repeats_and_copies_do_not_see_each_other():
    importance = torch.ones(3)
    first, second = (trained(3, 1, presence=0.3, importance=importance, steps=30)[0] for _ in range(2))
    assert torch.equal(first.weight, second.weight)
    x = torch.rand(4, 3, 3, generator=seeded(0))
    changed = x.clone()
    changed[:, 1] += 1
    assert torch.equal(first(x)[:, [0, 2]], first(changed)[:, [0, 2]])
    before = torch.get_rng_state()
    with torch.no_grad():
        train_toy_superposition(first, presence=0.3, importance=importance, generator=seeded(1), steps=2)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ToySuperposition(0, 2), ValueError, "features must be at least 1, got 0"),
        (lambda: ToySuperposition(5, 2.0), TypeError, "width must be an int, got float"),
        (lambda: ToySuperposition(5, 2)(torch.rand(7, 5)), ValueError, "x must have 3 axes"),
        (lambda: ToySuperposition(5, 2)(torch.rand(7, 2, 5)), ValueError, r"x must be \[batch, 1, 5\], got shape \(7, 2, 5\)"),
        (lambda: fit(presence=1.5), ValueError, "presence must be from 0 to 1, got 1.5"),
        (lambda: fit(importance=torch.ones(4)), ValueError, "importance must be at least 0 for each of the 5 features"),
        (lambda: fit(importance=-torch.ones(5)), ValueError, "importance must be at least 0 for each of the 5 features"),
        (lambda: fit(importance=torch.full((5,), torch.nan)), ValueError, "importance must be finite, got nan"),
        (lambda: fit(generator=3), TypeError, "generator must be a Generator, got int 3"),
        (lambda: fit(steps=0), ValueError, "steps must be at least 1, got 0"),
    ],
)  # fmt: skip
def test_refused_with_value_and_rule(call, error, words):
    with pytest.raises(error, match=words):
        call()


def fit(**changes):
    settings = {"presence": 0.5, "importance": torch.ones(5), "generator": seeded(0), "steps": 2}
    train_toy_superposition(ToySuperposition(5, 2), **settings | changes)
