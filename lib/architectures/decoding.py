"""From logits to text: take the best token, draw one, or keep several sequences until the end."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lib.core.boundary import checked
from lib.core.rules import NonNegativeFloat, PositiveFloat, PositiveInt, Share
from lib.core.validation import check_finite, check_floating, check_indices, check_rank

from .encoder_decoder import Conditioned
from .kv_cache import KVCache
from .llama import Llama
from .softmax import log_softmax, softmax
from .transformer import Transformer

__all__ = ["beam_search", "candidates", "generate"]

Logits = Callable[[Int64[Tensor, "batch time"]], Float[Tensor, "batch time vocabulary"]]


@checked
def candidates(
    logits: Float[Tensor, "batch vocabulary"],
    *,
    temperature: PositiveFloat = 1.0,
    top_k: PositiveInt | None = None,
    top_p: Share | None = None,
) -> Float[Tensor, "batch vocabulary"]:
    """Give the probabilities from which the next token is drawn: all, the ``top_k`` largest, or a nucleus.

    The nucleus holds the fewest tokens whose probabilities reach ``top_p`` together (Holtzman et al. 2020, section 3.1),
    after temperature and ``top_k``; the others get 0 and the rest is scaled to sum to 1. Of equal logits all that
    the k-th has stay.

    >>> candidates(torch.tensor([[2.0, 1.0, 0.0]]).log_softmax(1), top_k=2)
    tensor([[0.7311, 0.2689, 0.0000]])

    Raises:
        TypeError: integer logits, sizes of another type.
        ValueError: a temperature that is not positive, a ``top_k`` below 1, a ``top_p`` outside 0 … 1; NaN, plus infinity,
            or minus infinity, which rules a token out, for all tokens.
    """
    _check_some_token_is_possible("logits", logits)
    if top_k is not None and top_k < logits.shape[1]:
        least = logits.topk(top_k).values[:, -1:]
        logits = logits.masked_fill(logits < least, -math.inf)
    probabilities = softmax(logits, temperature=temperature)
    if top_p is not None and top_p < 1:
        largest, order = probabilities.sort(descending=True, stable=True)
        sums = largest.double().cumsum(1)  # a float32 sum of a large vocabulary is off by more than its rare tokens
        before = sums - largest  # what larger ones have reached without this one
        outside = (before >= top_p).index_fill(1, torch.tensor([0], device=logits.device), False)
        dropped = torch.zeros_like(outside).scatter(1, order, outside)
        probabilities = probabilities.masked_fill(dropped, 0)
        probabilities = probabilities / probabilities.sum(1, keepdim=True)
    return probabilities


@torch.no_grad()
@checked
def generate(
    model: Transformer | Llama | Conditioned | Logits,
    prompt: Int64[Tensor, "batch time"],
    new_tokens: PositiveInt,
    *,
    generator: torch.Generator | None = None,
    temperature: PositiveFloat = 1.0,
    top_k: PositiveInt | None = None,
    top_p: Share | None = None,
    end: int | None = None,
    cached: bool = True,
) -> Int64[Tensor, "batch longer"]:
    """Write ``new_tokens`` more, each drawn with ``generator`` from its :func:`candidates`; without one, the most probable.

    After the token ``end`` a sequence is filled up with it, and when all have ended the rest is left out. A
    :class:`~lib.architectures.transformer.Transformer` keeps its keys and values unless ``cached`` is False, and so
    do a :class:`~lib.architectures.llama.Llama` and an encoder–decoder given its sources; what else maps tokens to
    logits is called with the whole sequence each time.

    >>> count = lambda tokens: torch.eye(5)[(tokens + 1) % 5]  # the next number has the largest logit
    >>> generate(count, torch.tensor([[2]]), 4)
    tensor([[2, 3, 4, 0, 1]])

    Raises:
        TypeError: tokens that are not int64.
        ValueError: as :func:`candidates`, and as the model; more tokens than its context holds, tokens or an ``end`` outside its
            vocabulary.
    """
    cache = None
    if isinstance(model, Transformer | Llama | Conditioned):
        if prompt.shape[1] + new_tokens > model.config.context + 1:
            raise ValueError(
                f"prompt and new tokens must fit the context of {model.config.context} and one more, got "
                f"{prompt.shape[1]} and {new_tokens}"
            )
        # The last token is written and not read.
        cache = KVCache(model.config.layers, prompt.shape[1] + new_tokens - 1) if cached else None
    tokens, ended = prompt, torch.zeros(len(prompt), dtype=torch.bool, device=prompt.device)
    for _ in range(new_tokens):
        logits = model(tokens) if cache is None else model(tokens[:, cache.length :], cache=cache)
        logits = _of_the_last(logits, tokens, end)
        if generator is None:
            token = logits.argmax(1)
        else:
            kept = candidates(logits, temperature=temperature, top_k=top_k, top_p=top_p)
            token = torch.multinomial(kept, 1, generator=generator)[:, 0]
        if end is not None:
            token = token.masked_fill(ended, end)
            ended |= token == end
        tokens = torch.cat([tokens, token[:, None]], 1)
        if ended.all():
            break
    return tokens


@torch.no_grad()
@checked
def beam_search(
    model: Logits,
    prompt: Int64[Tensor, " time"],
    *,
    beams: PositiveInt,
    end: int,
    longest: PositiveInt,
    length_penalty: NonNegativeFloat = 0.0,
) -> list[tuple[Int64[Tensor, " longer"], float]]:
    """Follow the ``beams`` most probable beginnings of one sequence, and return what has ended, the best first.

    Beside each sequence stands its score: the log-probability of what was added, over ((5 + length) / 6)^penalty
    (Wu et al. 2016, equation 14), with the length in added tokens, ``end`` included. Scores only fall as a sequence
    grows when the penalty is 0, so that long ones lose. What has not ended after ``longest`` tokens is cut there.

    >>> count = lambda tokens: 20 * torch.eye(5)[(tokens + 1) % 5]
    >>> [(found.tolist(), round(score, 4)) for found, score in beam_search(count, torch.tensor([2]), beams=1, end=4, longest=9)]
    [([2, 3, 4], -0.0)]

    Raises:
        TypeError: tokens that are not int64, sizes that are not ints.
        ValueError: sizes below 1, tokens or an ``end`` outside the vocabulary, a negative penalty; logits as in
            :func:`candidates`.
    """

    def score(total: float, length: int) -> float:
        return total / ((5 + length) / 6) ** length_penalty

    alive, totals, ended = prompt[None], torch.zeros(1, dtype=torch.float64, device=prompt.device), []
    for length in range(1, longest + 1):
        steps = log_softmax(_of_the_last(model(alive), alive, end).double())  # beams vocabulary
        vocabulary = steps.shape[1]
        # Twice as many as are kept: at most half of them, one for each beginning, can be ends.
        sums, places = (totals[:, None] + steps).flatten().topk(min(2 * beams, steps.numel()))
        sums, places = sums[sums > -math.inf], places[sums > -math.inf]  # what is ruled out is no beginning
        grown = torch.cat([alive[places // vocabulary], (places % vocabulary)[:, None]], 1)
        stops = (grown[:, -1] == end) if length < longest else torch.ones_like(places, dtype=torch.bool)
        # An end counts only among the best: a worse one would have to beat what is still alive.
        for sequence, total in zip(grown[:beams][stops[:beams]], sums[:beams][stops[:beams]].tolist(), strict=True):
            ended.append((sequence, score(total, length)))
        alive, totals = grown[~stops][:beams], sums[~stops][:beams]
        if len(ended) >= beams or not len(alive):
            break
    return sorted(ended, key=lambda one: -one[1])[:beams]


def _of_the_last(logits: Tensor, tokens: Tensor, end: int | None) -> Float[Tensor, "batch vocabulary"]:
    """The logits of the next token, which follow the last position.

    Raises:
        TypeError: a model that returns no floating-point tensor.
        ValueError: another number of axes or of sequences, logits as in :func:`candidates`, tokens or an end that they do
            not number.
    """
    check_rank("the model's output", logits, "batch time vocabulary")
    check_floating("the model's output", logits)
    last = logits[:, -1]
    if len(last) != len(tokens):
        raise ValueError(f"the model must return logits for each of the {len(tokens)} sequences, got {len(last)}")
    _check_some_token_is_possible("the model's logits", last)
    check_indices("tokens", tokens, last.shape[1], "the vocabulary of the model's logits")
    if end is not None and not 0 <= end < last.shape[1]:
        raise ValueError(f"end must lie in 0 … {last.shape[1] - 1}, the vocabulary, got {end}")
    return last


def _check_some_token_is_possible(name: str, logits: Float[Tensor, "batch vocabulary"]) -> None:
    """The largest logit of each sequence must be finite: NaN and plus infinity would be it, and so would minus infinity
    where every token is ruled out."""
    check_finite(f"{name}, the largest of a sequence,", logits.detach().amax(1))
