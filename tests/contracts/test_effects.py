"""What every global method promises, whatever it computes: one call of it is one more line in the family."""

import pytest
import torch
from explained_models import build, sample
from torch import Tensor, nn
from torch.testing import assert_close

from lib.core import seeded
from lib.explanations import (
    accumulated_effects,
    accumulated_interaction,
    individual_effects,
    interaction_strength,
    partial_dependence,
    permutation_importance,
)


def importance(model, x, target, **knobs):
    """The score is the mean logit of the target, which is a class for all."""
    labels = torch.full((len(x),), target, device=x.device)
    score = lambda outputs, labels: outputs.gather(1, labels[:, None]).double().mean()  # noqa: E731
    found = permutation_importance(
        model, x, labels, score=score, repeats=3, generator=seeded(1), groups=[(0, 2), (1,)], **knobs
    )
    return [found.drops]


#: Called with model, inputs, one class for all examples and knobs of all; returns the tensors of its result.
FAMILY = {
    "partial_dependence": lambda m, x, t, **k: list(vars(partial_dependence(m, x, t, 2, grid=5, **k)).values()),
    "individual_effects": lambda m, x, t, **k: [individual_effects(m, x, t, 0, grid=x[:3, 0], **k).centred(1).curves],
    "accumulated_effects": lambda m, x, t, **k: [accumulated_effects(m, x, t, 1, intervals=4, **k).values],
    "accumulated_interaction": lambda m, x, t, **k: [accumulated_interaction(m, x, t, (3, 1), intervals=3, **k).values],
    "interaction_strength, a pair": lambda m, x, t, **k: [
        torch.tensor(list(vars(interaction_strength(m, x, t, 0, 4, **k)).values()))
    ],
    "interaction_strength, one and the rest": lambda m, x, t, **k: [
        torch.tensor(list(vars(interaction_strength(m, x, t, 5, **k)).values()))
    ],
    "permutation_importance": importance,
}


def but(*names: str):
    """The family without some, of which a promise cannot be asked."""
    chosen = {name: effect for name, effect in FAMILY.items() if name not in names}
    return pytest.mark.parametrize("effect", chosen.values(), ids=chosen)


EACH = but()


def rows(examples: int = 30) -> Tensor:
    return sample("rows", examples)


@pytest.fixture
def model():
    return build("rows")[0]


def assert_alike(found, expected, **tolerance):
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, **tolerance)


@EACH
@pytest.mark.parametrize("chunk_size", [1, 7, 31, 400])
def test_the_size_of_a_chunk_does_not_matter(effect, model, chunk_size):
    x, model = rows().double(), model.double()
    # Products of another size may add in another order.
    assert_alike(effect(model, x, 1, chunk_size=chunk_size), effect(model, x, 1), rtol=1e-9, atol=1e-12)


@EACH
def test_single_precision_gives_the_same_less_exactly(effect, model):
    single = effect(model, rows(), 1)
    double = effect(model.double(), rows().double(), 1)
    assert all(one.isfinite().all() for one in single)
    assert max(one.abs().max() for one in single) > 0.01
    assert_alike([one.double() for one in single], [one.double() for one in double], rtol=1e-3, atol=1e-4)


@EACH
def test_another_class_has_another_effect(effect, model):
    assert not all(torch.equal(a, b) for a, b in zip(effect(model, rows(), 1), effect(model, rows(), 2), strict=True))


@EACH
def test_the_model_is_explained_in_evaluation_mode_and_nothing_is_left_behind(effect, model):
    x, expected = rows(), effect(model, rows(), 1)
    before = x.clone(), torch.get_rng_state(), {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    model[0].eval()
    x.requires_grad_()
    found = effect(model, x, 1)
    assert_alike(found, expected, rtol=0, atol=0)
    assert not any(one.requires_grad for one in found)
    assert model.training
    assert not model[0].training
    assert model[3].training
    assert torch.equal(x, before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    assert all(torch.equal(value, before[2][name]) for name, value in model.state_dict().items())
    assert x.grad is None
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.is_grad_enabled()


@EACH
def test_after_a_failing_call_the_model_is_as_it_was(effect, model):
    class Failing(nn.Module):
        def __init__(self):
            super().__init__()
            self.model, self.calls = model, 0

        def forward(self, x):
            self.calls += 1
            if self.calls == 3:
                raise KeyError("third call")
            return self.model(x)

    failing = Failing().train()
    with pytest.raises(KeyError, match="third call"):
        effect(failing, rows(), 1, chunk_size=5)
    assert failing.training
    assert all(module.training for module in model.modules())


@EACH
def test_any_callable_is_explained_and_what_works_in_place_changes_nobody(effect, model):
    expected, x = effect(model, rows(), 1), rows()

    def callable_in_place(points):
        return model(points.add_(1).sub_(1))

    assert_alike(effect(callable_in_place, x, 1), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(x, rows())
    with torch.inference_mode():
        assert_alike(effect(model, rows() + 0, 1), expected, rtol=0, atol=0)


@but("interaction_strength, one and the rest")  # whose rest would have the seventh column
def test_further_arguments_go_with_their_rows(effect, model):
    x = rows().double()
    offset = torch.randn(30, 1, generator=seeded(7), dtype=torch.float64)
    model.double()
    shifted = effect(lambda z, add: model(z) + add, x, 1, arguments=(offset,), chunk_size=7)
    column = torch.cat([x, offset], 1)
    # The same number kept in a seventh column, which no effect touches.
    kept = effect(lambda z: model(z[:, :6]) + z[:, 6:], column, 1)
    assert_alike(shifted, kept, rtol=1e-9, atol=1e-12)


@but("permutation_importance", "individual_effects")  # shuffles, and one curve an example, do follow it
def test_the_order_of_the_examples_does_not_matter(effect, model):
    x, model = rows().double(), model.double()
    assert_alike(effect(model, x.flip(0), 1), effect(model, x, 1), rtol=1e-9, atol=1e-12)
