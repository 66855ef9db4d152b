"""Anchors of models whose precision and coverage can be counted."""

import pytest
import torch

from lib.core import seeded
from lib.explanations import anchor

X = torch.randint(4, (4000, 4), generator=seeded(0)).double()  # each value is a quarter, columns independent
EDGES = [torch.tensor([0.5, 1.5, 2.5])] * 4


def two_classes(positive):
    """A classifier that gives class 1 where ``positive`` holds."""
    return lambda x: torch.stack([~positive(x), positive(x)], dim=1).double()


def asked(positive, row, target=1, **knobs):
    row = torch.tensor([row]).double()
    return anchor(two_classes(positive), row, target, background=X, edges=EDGES, generator=seeded(1), **knobs)


@pytest.mark.equation("eq-anchor-precision")
def test_precision_and_coverage_are_the_shares_that_can_be_counted():
    # Class 1 where the second column is 3, or the first is 0 and the third is 0.
    found = asked(lambda x: (x[:, 1] == 3) | ((x[:, 0] == 0) & (x[:, 2] == 0)), [0, 2, 0, 1], precision=0.9)
    assert found.features == (0, 2)
    assert (found.precision, found.found) == (1, True)
    # Held at two columns' quarters of 4,000 rows: 250, ± 15.
    assert found.coverage == pytest.approx(1 / 16, abs=3 * 0.004)
    assert found.coverage == found.fits(X).double().mean()
    assert found.low.tolist() == [-torch.inf] * 4
    assert found.high.tolist() == [0.5, torch.inf, 0.5, torch.inf]
    assert found.rule(["a", "b", "c", "d"]) == "a ≤ 0.5 and c ≤ 0.5"


@pytest.mark.equation("eq-anchor-precision")
def test_a_rule_that_leaves_something_to_chance_has_that_precision():
    # With the first column held at 0, class 1 needs the second below 3: three quarters.
    found = asked(lambda x: (x[:, 0] == 0) & (x[:, 1] < 3), [0, 1, 2, 2], precision=0.99, longest=1, samples=20_000)
    assert (found.features, found.found) == ((0,), False)
    # Three standard deviations of a share of 20,000 draws, and as much again for the share in the 4,000 rows.
    assert found.precision == pytest.approx(0.75, abs=0.03)
    # Wilson's bound lies 1.645 standard deviations below, sqrt(0.75 · 0.25 / 20,000) each.
    assert found.precision - found.at_least == pytest.approx(1.645 * 0.00306, rel=0.05)


def test_of_few_draws_that_all_agree_wilsons_bound_is_one_over_one_plus_z_squared_over_their_number():
    found = asked(lambda x: x[:, 0] == 0, [0, 1, 2, 2], precision=0.5, samples=10)
    assert (found.features, found.precision) == ((0,), 1)
    assert found.at_least == pytest.approx(1 / (1 + 1.645**2 / 10), abs=1e-3)


def test_the_shortest_rule_is_taken_and_of_the_shortest_the_one_that_fits_most_rows():
    # Held alone, the first column or the fourth is enough; the fourth's interval is wider.
    def positive(x):
        return (x[:, 0] == 0) | (x[:, 3] > 0)

    edges = [EDGES[0], EDGES[0], EDGES[0], torch.tensor([0.5])]
    row = torch.tensor([[0.0, 1.0, 1.0, 2.0]]).double()
    found = anchor(two_classes(positive), row, 1, background=X, edges=edges, generator=seeded(0), longest=4)
    assert found.features == (3,)
    assert found.rule(["a", "b", "c", "d"]) == "d > 0.5"
    assert found.fits(row).all()


def test_where_the_answer_is_always_the_same_no_condition_is_needed():
    found = asked(lambda x: x[:, 0] > -1, [0, 1, 2, 3])
    assert (found.features, found.coverage, found.precision, found.found) == ((), 1, 1, True)
    assert found.rule(["a", "b", "c", "d"]) == "all"
    assert found.fits(X).all()


def test_limits_of_large_numbers_are_told_apart():
    seconds = 1.7e9 + torch.arange(300.0).double()[:, None]
    edges = [torch.tensor([100.5, 200.5]).double() + 1.7e9]
    found = anchor(
        two_classes(lambda x: (x[:, 0] - 1.7e9 - 150).abs() < 50),
        seconds[150:151],
        1,
        background=seconds,
        edges=edges,
        generator=seeded(0),
    )
    assert found.rule(["time"]) == "1700000100.5 < time ≤ 1700000200.5"


def test_a_condition_between_two_edges_says_both_and_holds_its_upper_end():
    found = asked(lambda x: x[:, 2] == 1.5, [0, 0, 1.5, 0])
    # 0.5 < 1.5 ≤ 1.5: no other row of the background has the value 1.5, and those held at 1 are of class 0.
    assert not found.found
    inside = asked(lambda x: x[:, 2] == 1, [3, 3, 1, 0])
    assert inside.rule(["a", "b", "c", "d"]) == "0.5 < c ≤ 1.5"
    whole = [torch.tensor([0.0, 1.0, 2.0])] * 4
    model, row = two_classes(lambda x: x[:, 2] == 1), torch.tensor([[3.0, 3.0, 1.0, 0.0]]).double()
    ends = anchor(model, row, 1, background=X, edges=whole, generator=seeded(1))
    assert ends.rule(["a", "b", "c", "d"]) == "0 < c ≤ 1"
    assert ends.coverage == (X[:, 2] == 1).double().mean()


def test_an_example_without_equals_in_the_background_is_held_itself():
    edges = [torch.tensor([3.5]), *EDGES[1:]]
    row = torch.tensor([[9.0, 0, 0, 0]]).double()
    found = anchor(two_classes(lambda x: x[:, 0] > 5), row, 1, background=X, edges=edges, generator=seeded(0))
    assert (found.features, found.precision, found.coverage) == ((0,), 1, 0)


def test_the_precision_that_is_reported_comes_from_draws_that_chose_nothing():
    # Every rule has precision one half; the luckiest of 1 to 4 features would look better in its own draws.
    coin = torch.randn(4096, generator=seeded(5)).double()

    def positive(x):
        where = (x @ torch.tensor([1.0, 4.0, 16.0, 64.0]).double()).long()
        return coin[where] > 0

    row = next(row for row in X if positive(row[None]))
    precisions = []
    for seed in range(30):
        found = anchor(
            two_classes(positive), row[None], 1, background=X, edges=[torch.tensor([])] * 4,
            generator=seeded(seed), samples=50,
        )  # fmt: skip
        precisions.append(found.precision)
    share = positive(X).double().mean().item()
    # Standard error of 30 shares of 50 draws: 0.013.
    assert sum(precisions) / 30 == pytest.approx(share, abs=0.04)


def test_the_same_generator_gives_the_same_rule_and_only_it_moves():
    torch.manual_seed(0)
    before, kept = torch.get_rng_state(), X.clone()
    first, second = (asked(lambda x: x[:, 0] + x[:, 1] > 2, [3, 3, 0, 0], precision=0.9) for _ in range(2))
    assert (first.features, first.precision) == (second.features, second.precision)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(X, kept)
