"""Language models that count: which token follows the last few, with what shorter contexts know mixed in."""

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from lib.core.boundary import checked
from lib.core.rules import PositiveInt
from lib.core.validation import check_indices

__all__ = ["KneserNey"]


class KneserNey:
    """An n-gram model with interpolated Kneser–Ney smoothing and three discounts an order (Chen & Goodman 1999).

    Equation: eq-kneser-ney

    The longest n-grams count how often they occur, shorter ones before how many different tokens. Below the shortest
    stands 1 / ``vocabulary``, so that no token has probability 0. A discount that a text is too small to estimate is
    1/2. A call maps tokens to the logarithms of the probabilities of the next, as :func:`~lib.architectures.decoding.generate`
    wants it of a model.

    >>> model = KneserNey(torch.tensor([0, 1, 0, 1, 0, 2]), order=2, vocabulary=3)
    >>> model(torch.tensor([[0]])).exp().round(decimals=4)
    tensor([[[0.0778, 0.5778, 0.3444]]], dtype=torch.float64)

    Raises:
        TypeError: tokens that are not int64, sizes that are not ints.
        ValueError: no tokens, tokens outside the vocabulary, sizes below 1.
    """

    @checked
    def __init__(self, tokens: Int64[Tensor, " tokens"], *, order: PositiveInt, vocabulary: PositiveInt) -> None:
        check_indices("tokens", tokens, vocabulary, "the vocabulary")
        self.order, self.vocabulary = order, vocabulary
        # An n-gram has a number, its place among the sorted ones of its length; its key is context · vocabulary + token.
        self._keys: list[Tensor] = []
        ends: list[Tensor] = []  # the number of the n-gram that ends at each token, from token length − 1 on
        context = torch.zeros_like(tokens)
        for begin in range(min(order, len(tokens))):
            keys, numbers = torch.unique(context * vocabulary + tokens[begin:], return_inverse=True)
            self._keys.append(keys)
            ends.append(numbers)
            context = numbers[:-1]
        counts = [numbers.bincount() for numbers in ends[-1:]]
        for shorter, longer, keys in zip(ends, ends[1:], self._keys[1:], strict=False):
            suffix = torch.empty_like(keys).scatter(0, longer, shorter[1:])
            counts.insert(-1, suffix.bincount(minlength=int(shorter.max()) + 1))
        self._shares, self._left = (
            [],
            [],
        )  # of each n-gram after its context, and of what its context leaves to shorter ones
        contexts = 1
        for keys, count in zip(self._keys, counts, strict=True):
            before, discount = keys // vocabulary, _discounts(count)[count.clamp(max=3)]
            total = before.bincount(count.double(), minlength=contexts)
            self._shares.append((count - discount) / total[before].clamp(min=1))
            left = before.bincount(discount, minlength=contexts) / total.clamp(min=1)
            self._left.append(torch.where(total > 0, left, 1.0))
            contexts = len(keys)

    @checked
    def __call__(self, tokens: Int64[Tensor, "batch time"]) -> Float64[Tensor, "batch time vocabulary"]:
        """Logarithms of the probabilities of all tokens that may come after those up to each position."""
        check_indices("tokens", tokens, self.vocabulary, "the vocabulary")
        contexts = [context[..., None] for context in self._contexts(tokens)]
        return self._probabilities(contexts, torch.arange(self.vocabulary, device=tokens.device)).log()

    @checked
    def log_probabilities(self, tokens: Int64[Tensor, " tokens"]) -> Float64[Tensor, " tokens"]:
        """The logarithm of each token's probability after those before it, in nats."""
        check_indices("tokens", tokens, self.vocabulary, "the vocabulary")
        contexts = [
            torch.cat([context.new_tensor([-min(length, 1)]), context[:-1]])
            for length, context in enumerate(self._contexts(tokens))
        ]
        return self._probabilities(contexts, tokens).log()

    def _contexts(self, tokens: Tensor) -> list[Tensor]:
        """The numbers of the n-grams of 0, 1, … tokens that end at each position; −1 where training text has it not."""
        contexts = [torch.zeros_like(tokens)]
        for length in range(1, len(self._keys)):
            before = torch.cat([torch.full_like(tokens[..., :1], -min(length - 1, 1)), contexts[-1][..., :-1]], -1)
            contexts.append(self._number(length - 1, before, tokens))
        return contexts

    def _probabilities(self, contexts: list[Tensor], following: Tensor) -> Tensor:
        probability = torch.tensor(1 / self.vocabulary, dtype=torch.float64, device=following.device)
        for length, (context, share, left) in enumerate(zip(contexts, self._shares, self._left, strict=True)):
            number = self._number(length, context, following)
            own = torch.where(number >= 0, share[number], 0.0)
            probability = torch.where(context >= 0, own + left[context] * probability, probability)
        return probability

    def _number(self, length: int, context: Tensor, token: Tensor) -> Tensor:
        keys = self._keys[length]
        key = context * self.vocabulary + token
        place = torch.searchsorted(keys, key).clamp(max=len(keys) - 1)
        return torch.where((context >= 0) & (keys[place] == key), place, -1)


def _discounts(counts: Tensor) -> Tensor:
    """What is taken from counts of 0, 1, 2, and 3 or more (Chen & Goodman 1999, equation 26)."""
    n = (counts.bincount(minlength=5)[:5]).double()
    estimates = [j - (j + 1) * n[1] / (n[1] + 2 * n[2]) * n[j + 1] / n[j] for j in (1, 2, 3)]
    return torch.stack([n.new_zeros(()), *(d if 0 < d < j else n.new_tensor(0.5) for j, d in enumerate(estimates, 1))])
