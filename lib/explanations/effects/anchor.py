"""A rule that holds the model's answer fast: while it is kept, whatever else changes hardly ever changes the answer."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lib.core.targets import Target
from lib.core.validation import check_finite, check_floating, check_positive_int, check_rank
from lib.explanations.baselines import check_background
from lib.explanations.calls import Score, check_generator, explaining

from .columns import check_table
from .rules import in_words

__all__ = ["Anchor", "anchor"]

_CONFIDENT = 1.645  # standard deviations of a Gaussian below which 95 % lie


@dataclass(frozen=True)
class Anchor:
    """Between which limits, ``low < x ≤ high``, each of the ``features`` is held; the others have −∞ and ∞.

    ``precision`` is the share of ``samples`` fresh draws under the rule that the model answers alike, ``at_least`` its lower
    bound with 95 % confidence, ``coverage`` the share of background rows that the rule fits. ``found`` is False where no
    rule reached the precision that was asked for; then it is the most precise one.
    """

    features: tuple[int, ...]
    low: Float[Tensor, " features"]
    high: Float[Tensor, " features"]
    precision: float
    at_least: float
    coverage: float
    found: bool

    def fits(self, inputs: Float[Tensor, "batch features"]) -> Bool[Tensor, " batch"]:
        """Which rows the rule speaks about."""
        return ((inputs > self.low) & (inputs <= self.high)).all(dim=1)

    def rule(self, names: Sequence[str]) -> str:
        """The rule in words, such as ``"age ≤ 14 and 1.5 < class ≤ 2.5"``; ``"all"`` without conditions."""
        return in_words({j: (self.low[j].item(), self.high[j].item()) for j in self.features}, names)


def anchor(
    model: Callable,
    inputs: Float[Tensor, "1 features"],
    target: Target,
    *,
    background: Float[Tensor, "background features"],
    edges: Sequence[Float[Tensor, " _"]],
    generator: torch.Generator,
    precision: float = 0.95,
    longest: int = 3,
    samples: int = 1000,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> Anchor:
    """The shortest rule under which the model keeps giving one example's class; of the shortest, that with most coverage.

    Equation: eq-anchor-precision. Ribeiro, Singh & Guestrin 2018, equations 1 to 3; here all rules of 0 to ``longest``
    features are tried instead of a guided search. ``edges`` cut each feature; a condition holds it in the example's interval.
    A draw takes the held features from one background row that fits (if none does, from the example), the others from another.

    >>> x, cut = torch.tensor([[1.0, 3.0], [0.0, 5.0]]), torch.tensor([0.5])
    >>> rule = anchor(lambda x: x[:, :1] * torch.tensor([-1.0, 1.0]), x[:1], 1, background=x, edges=[cut, cut], generator=torch.Generator())
    >>> rule.rule(["male", "age"]), rule.coverage
    ('male > 0.5', 0.5)

    Raises:
        TypeError: inputs that are not floating point, a background of another dtype, no generator.
        ValueError: several examples, one that is not given the class ``target``, edges that do not fit, a precision outside (0, 1).
    """
    check_table(inputs)
    if len(inputs) != 1:
        raise ValueError(f"inputs must hold one example, got {len(inputs)}")
    background = check_background(background, inputs)
    check_generator(generator)
    check_positive_int("longest", longest)
    check_positive_int("samples", samples)
    if isinstance(precision, bool) or not isinstance(precision, float | int) or not 0 < precision < 1:
        raise ValueError(f"precision must lie between 0 and 1, got {precision!r}")
    low, high = _interval(inputs.detach()[0], edges)
    # Which background rows lie in the example's interval, feature by feature.
    inside = (background > low) & (background <= high)
    with explaining(model, inputs, target, arguments=arguments, chunk_size=chunk_size) as score:
        answered = score.outputs(score.inputs, score.rows)
        if answered.shape[1] < 2:
            raise ValueError(f"the model must tell at least 2 classes apart, got {answered.shape[1]}")
        if answered.argmax(dim=1) != score.target:
            raise ValueError(
                f"target must be the class {answered.argmax().item()} that the model gives, got {score.target.item()}"
            )

        def precision_of(features: tuple[int, ...], others: Tensor) -> tuple[float, float]:
            """Share of draws with the target's answer, and its lower bound; ``others`` are the rows of what is not held."""
            points = background[others]
            if features:
                fitting = background[inside[:, features].all(dim=1)]
                held = fitting if len(fitting) else score.inputs
                points[:, features] = held[_draw(len(held), samples, generator)][:, features]
            return _share_of_target(score, points)

        others = _draw(len(background), samples, generator)  # the same for all rules, which are compared
        rules = []
        for length in range(min(longest, inputs.shape[1]) + 1):
            for features in combinations(range(inputs.shape[1]), length):
                _, at_least = precision_of(features, others)
                coverage = inside[:, list(features)].all(dim=1).double().mean().item()
                rules.append(
                    (at_least >= precision, coverage if at_least >= precision else at_least, features, coverage)
                )
            if any(enough for enough, *_ in rules):
                break
        found, _, features, coverage = max(rules, key=lambda rule: rule[:2])
        precise, at_least = precision_of(features, _draw(len(background), samples, generator))
    free = torch.ones_like(inside[0])
    free[list(features)] = False
    return Anchor(
        features,
        low.masked_fill(free, -torch.inf),
        high.masked_fill(free, torch.inf),
        precise,
        at_least,
        coverage,
        found,
    )


def _draw(rows: int, samples: int, generator: torch.Generator) -> Tensor:
    """Row numbers with replacement, drawn where the generator lives."""
    return torch.randint(rows, (samples,), generator=generator, device=generator.device).cpu()


def _share_of_target(score: Score, points: Float[Tensor, "samples features"]) -> tuple[float, float]:
    """How often the model answers the example's class, and the lower end of Wilson's interval (1927)."""
    hits = 0
    for chunk in points.split(score.chunk):
        answers = score.outputs(chunk, score.rows.expand(len(chunk))).argmax(dim=1)
        hits += (answers == score.target).sum().item()
    count = len(points)
    share, z2 = hits / count, _CONFIDENT**2
    half = _CONFIDENT * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return share, (share + z2 / (2 * count) - half) / (1 + z2 / count)


def _interval(
    row: Float[Tensor, " features"], edges: Sequence[Float[Tensor, " _"]]
) -> tuple[Float[Tensor, " features"], Float[Tensor, " features"]]:
    """Between which edges each feature of the example lies, ``low < x ≤ high``."""
    if not isinstance(edges, Sequence) or len(edges) != len(row):
        got = len(edges) if isinstance(edges, Sequence) else type(edges).__name__
        raise ValueError(f"edges must hold one tensor for each of the {len(row)} features, got {got}")
    limits = []
    for place, (value, cuts) in enumerate(zip(row, edges, strict=True)):
        name = f"edges[{place}]"
        check_rank(name, cuts, "edges")
        check_floating(name, cuts)
        check_finite(name, cuts)
        if (cuts.diff() <= 0).any():
            raise ValueError(f"{name} must increase, got {cuts.tolist()}")
        ends = torch.cat([row.new_tensor([-torch.inf]), cuts.to(row), row.new_tensor([torch.inf])])
        above = int((cuts.to(row) < value).sum())
        limits.append(ends[above : above + 2])
    low, high = torch.stack(limits).unbind(dim=1)
    return low, high
