"""The Shapley value of a game, and of the game that an input's features play: exact, by regression, by sampling."""

import math
from collections.abc import Callable, Sequence
from itertools import combinations

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from lib.core.targets import Target
from lib.core.validation import check_finite, check_floating, check_positive_int
from lib.explanations.calls import check_generator, explaining
from lib.explanations.coalitions import Game

__all__ = ["exact_shapley", "kernel_shap", "permutation_shapley", "shapley_value"]

_MOST_PLAYERS = 16  # 2¹⁶ coalitions, each evaluated with every row of the background
_MOST_LISTED = 20_000  # coalitions of one size that are all written down, so as to draw none of them twice


def shapley_value(worths: Float[Tensor, "*games coalitions"]) -> Float[Tensor, "*games players"]:
    """φ_j = Σ_{S ∌ j} s! (n − s − 1)! / n! · [v(S ∪ {j}) − v(S)], s players in S: the Shapley value of any game of n.

    Equation: eq-shapley-value. Shapley 1953. Coalition S stands at the place Σ_{j∈S} 2ʲ of ``worths``: the empty one
    first, then {0}, {1}, {0, 1}, {2}, … Units: those of the worths. Conserves: Σ_j φ_j = v(N) − v(∅).

    >>> shapley_value(torch.tensor([0.0, 0, 0, 0, 0, 1, 1, 1]))  # one left glove (2) and two right ones make a pair
    tensor([0.1667, 0.1667, 0.6667])

    Raises:
        TypeError: worths that are not floating point.
        ValueError: a number of coalitions that is no power of 2, more than 16 players, NaN.
    """
    check_floating("worths", worths)
    check_finite("worths", worths)
    coalitions = worths.shape[-1] if worths.ndim else 0
    players = coalitions.bit_length() - 1
    if coalitions != 2**players or players < 1:
        raise ValueError(f"worths must be of the 2ⁿ coalitions of n ≥ 1 players, got {coalitions}")
    _check_players(players)
    numbers = torch.arange(coalitions, device=worths.device)
    sizes = _every_coalition(players).sum(dim=1).to(worths.device)
    weights = [1 / (players * math.comb(players - 1, size)) for size in range(players)]
    weights = torch.tensor(weights, dtype=worths.dtype, device=worths.device)
    shares = []
    for player in range(players):
        without = numbers[numbers >> player & 1 == 0]
        gained = worths[..., without + 2**player] - worths[..., without]
        shares.append((gained * weights[sizes[without]]).sum(dim=-1))
    return torch.stack(shares, dim=-1)


def exact_shapley(
    model: Callable,
    inputs: Float[Tensor, "batch *features"],
    target: Target,
    *,
    background: Float[Tensor, "background *features"],
    segments: Tensor | None = None,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> Float[Tensor, "batch *features"]:
    """The Shapley value of the game v(S) = mean over background rows b of f_c(x_S, b_rest), by all 2ⁿ coalitions.

    Equation: eq-interventional-game. Lundberg & Lee 2017, section 2.4, with features taken for independent. A player
    is an entry, or a group of them that ``segments`` (in the shape of one example) numbers, whose entries share
    equally. Units: score. Conserves: the attributions add up to f(x) less the background's mean f.

    >>> exact_shapley(lambda x: x.prod(1, keepdim=True), torch.tensor([[2.0, 3.0]]), 0, background=torch.zeros(1, 2))
    tensor([[3., 3.]])

    Raises:
        TypeError: a background of another dtype, segments that are not int64.
        ValueError: more than 16 players, an empty background or one of another shape, segments that leave a number out.
    """
    with explaining(model, inputs, target, arguments=arguments, chunk_size=chunk_size) as score:
        game = Game(score, background, segments)
        _check_players(game.players, "; merge features by segments, or use kernel_shap or permutation_shapley")
        return game.spread(shapley_value(game.worths(_every_coalition(game.players))))


def kernel_shap(
    model: Callable,
    inputs: Float[Tensor, "batch *features"],
    target: Target,
    *,
    background: Float[Tensor, "background *features"],
    generator: torch.Generator,
    samples: int = 2048,
    segments: Tensor | None = None,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> Float[Tensor, "batch *features"]:
    """argmin_φ Σ_S k(S) [v(S) − v(∅) − Σ_{j∈S} φ_j]² with Σ φ_j = v(N) − v(∅), over ``samples`` coalitions.

    Equation: eq-kernel-shap. Lundberg & Lee 2017, theorem 2: with all 2ⁿ − 2 coalitions this is `exact_shapley`, whose
    game v it plays. Coalitions come with their complements, as many pairs of one size as of another (Musco & Witter 2025),
    none twice while the sizes are small; every example meets the same. Units: score. Conserves as `exact_shapley`.

    >>> x, zero = torch.tensor([[2.0, 3.0]]), torch.zeros(1, 2)
    >>> kernel_shap(lambda x: x.prod(1, keepdim=True), x, 0, background=zero, samples=4, generator=torch.Generator())
    tensor([[3., 3.]])

    Raises:
        TypeError: what `exact_shapley` refuses; no generator.
        ValueError: fewer than two coalitions a player; what `exact_shapley` refuses but the number of players.
    """
    check_positive_int("samples", samples)
    check_generator(generator)
    with explaining(model, inputs, target, arguments=arguments, chunk_size=chunk_size) as score:
        game = Game(score, background, segments)
        if samples < 2 * game.players:
            raise ValueError(f"samples must be at least 2 for each of the {game.players} players, got {samples}")
        empty, full = game.ends()
        gained = (full - empty)[:, None]
        if game.players == 1:
            return game.spread(gained)
        coalitions, weights = _drawn_coalitions(game.players, samples, generator)
        worths = game.worths(coalitions) - empty[:, None]
        return game.spread(_fit(coalitions.double(), weights, worths, gained))


def permutation_shapley(
    model: Callable,
    inputs: Float[Tensor, "batch *features"],
    target: Target,
    *,
    background: Float[Tensor, "background *features"],
    generator: torch.Generator,
    rounds: int = 10,
    segments: Tensor | None = None,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> Float[Tensor, "batch *features"]:
    """What a player adds when it enters in random order, averaged: φ_j = E_π[v(before j, and j) − v(before j)].

    Equation: eq-permutation-shapley. Castro et al. 2009, with orders in pairs, forwards and backwards (Mitchell et al.
    2022). In each round every background row meets one pair of orders, so each counts equally, and the model is called
    2 (n + 1) times a row. Estimates `exact_shapley` without bias; every example meets the same orders. Units: score.
    Conserves as `exact_shapley`, exactly; an entry that the model does not read gets 0.

    >>> x, zero = torch.tensor([[2.0, 3.0]]), torch.zeros(1, 2)
    >>> permutation_shapley(lambda x: x.prod(1, keepdim=True), x, 0, background=zero, generator=torch.Generator())
    tensor([[3., 3.]])

    Raises:
        TypeError, ValueError: no rounds, no generator; what `exact_shapley` refuses but the number of players.
    """
    check_positive_int("rounds", rounds)
    check_generator(generator)
    with explaining(model, inputs, target, arguments=arguments, chunk_size=chunk_size) as score:
        game = Game(score, background, segments)
        players, rows = game.players, len(game.background)
        orders = torch.rand(rounds * rows, players, generator=generator, device=generator.device).argsort(dim=1).cpu()
        places = torch.cat([orders, orders.flip(1)]).argsort(dim=1)  # where each player stands in its order
        references = torch.arange(rows, device="cpu").repeat(2 * rounds)
        total = torch.zeros(len(inputs), players, dtype=torch.float64, device="cpu")
        entered = torch.arange(players + 1, device="cpu")[:, None]  # how many have
        together = max(1, score.chunk // (players + 1))
        for place, reference in zip(places.split(together), references.split(together), strict=True):
            chains = place[:, None, :] < entered  # orders × (players + 1) × players
            worths = game.scores(chains.flatten(0, 1), reference.repeat_interleave(players + 1))
            added = worths.unflatten(1, chains.shape[:2]).diff(dim=2)  # batch × orders × places
            total += added.gather(2, place.expand(len(inputs), -1, -1)).sum(dim=1)
        return game.spread(total / len(places))


def _check_players(players: int, advice: str = "") -> None:
    if players > _MOST_PLAYERS:
        raise ValueError(
            f"an exact Shapley value must be of at most {_MOST_PLAYERS} players (2ⁿ coalitions), got {players}{advice}"
        )


def _every_coalition(players: int) -> Bool[Tensor, "coalitions players"]:
    """Coalition number k holds player j if bit j of k is set."""
    numbers = torch.arange(2**players, device="cpu")
    return numbers[:, None] >> numbers[:players] & 1 == 1


def _drawn_coalitions(
    players: int, samples: int, generator: torch.Generator
) -> tuple[Bool[Tensor, "coalitions players"], Float64[Tensor, " coalitions"]]:
    """Coalitions in pairs S and N∖S, and weights k(S) · (how many there are of the size) / (how many were drawn)."""
    there = {size: math.comb(players, size) for size in range(1, (players + 1) // 2)}  # pairs of each smaller size
    if players % 2 == 0:
        there[players // 2] = math.comb(players, players // 2) // 2
    left, coalitions, weights = samples // 2, [], []
    for done, (size, pairs) in enumerate(sorted(there.items(), key=lambda item: item[1])):
        count = min(pairs, left // (len(there) - done))  # what a rare size leaves over goes to the others
        left -= count
        drawn = _subsets(players, size, pairs, count, generator)
        kernel = (players - 1) / (math.comb(players, size) * size * (players - size))
        coalitions += [drawn, ~drawn]
        weights += [kernel * pairs / max(count, 1)] * (2 * count)
    return torch.cat(coalitions), torch.tensor(weights, dtype=torch.float64, device="cpu")


def _subsets(
    players: int, size: int, there: int, count: int, generator: torch.Generator
) -> Bool[Tensor, "count players"]:
    """``count`` coalitions of one size: each once if there are few, independent draws if there are many."""
    where = {"generator": generator, "device": generator.device}
    if there <= _MOST_LISTED:  # of two complements of half the players, the first ``there`` hold player 0
        listed, drawn = list(combinations(range(players), size)), torch.randperm(there, **where)[:count].tolist()
        members = torch.tensor([listed[place] for place in drawn], dtype=torch.int64, device="cpu").reshape(-1, size)
    else:
        members = torch.rand(count, players, **where).argsort(dim=1)[:, :size].cpu()
    return torch.zeros(count, players, dtype=torch.bool, device="cpu").scatter_(1, members, True)


def _fit(
    coalitions: Float64[Tensor, "coalitions players"],
    weights: Float64[Tensor, " coalitions"],
    worths: Float64[Tensor, "batch coalitions"],
    gained: Float64[Tensor, "batch 1"],
) -> Float64[Tensor, "batch players"]:
    """Weighted least squares under Σ_j φ_j = gained: the free solution, moved along H⁻¹1 until the sum is right."""
    weighted = coalitions * weights[:, None]
    # Few coalitions may leave a direction open; the pseudo-inverse then goes nowhere along it.
    inverse = torch.linalg.pinv(weighted.T @ coalitions, hermitian=True)
    free, along = worths @ weighted @ inverse, inverse.sum(dim=0)
    return free + along * (gained - free.sum(dim=1, keepdim=True)) / along.sum()
