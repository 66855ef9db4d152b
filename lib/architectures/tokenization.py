"""Text in pieces that a model can count: byte-pair encoding, learnt from a text and applied to any."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise

import torch
from jaxtyping import Int64
from torch import Tensor

from lib.core.boundary import checked
from lib.core.rules import PositiveInt
from lib.core.validation import check_indices

__all__ = ["WORDS", "BytePairEncoding", "learn_merges"]

Pair = tuple[int, int]

#: No merge crosses from one of these to the next: a word, a number, or signs, each with one blank before it; white space.
#:
#: :meta hide-value:
WORDS = re.compile(r" ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")


@checked
def learn_merges(texts: Iterable[str], merges: PositiveInt) -> Int64[Tensor, "merges 2"]:
    """Learn which pairs of tokens to join: time and again the pair that is most frequent (Sennrich et al. 2016, algorithm 1).

    Tokens 0 … 255 are the bytes of UTF-8 (Radford et al. 2019, section 2.2); row i joins two tokens to token 256 + i.
    Pairs are counted inside words; of equally frequent ones the one with smaller numbers comes first. Counts are
    kept and only changed where a merge changes something. Learning ends early when no pair occurs twice.

    >>> learn_merges(["low lower lowest"], 2)  # l and o, then lo and w
    tensor([[108, 111],
            [256, 119]])

    Raises:
        TypeError: one text in place of several, texts of another type, a number of merges that is no int.
        ValueError: ``merges`` below 1, a text that is not Unicode, texts without a pair that occurs twice.
    """
    counted = Counter(word for text in texts for word in _words(text))
    words, counts = [list(word) for word in counted], list(counted.values())
    total: Counter[Pair] = Counter()
    places: defaultdict[Pair, set[int]] = defaultdict(set)  # in which words a pair stands, or has stood
    for place, (word, count) in enumerate(zip(words, counts, strict=True)):
        for pair in pairwise(word):
            total[pair] += count
            places[pair].add(place)
    queue = [(-count, pair) for pair, count in total.items()]
    heapify(queue)
    learnt: list[Pair] = []
    while queue and len(learnt) < merges:
        count, best = heappop(queue)
        if -count != total[best]:  # its count has changed since: it stands further down as well
            continue
        if -count < 2:
            break
        new = 256 + len(learnt)
        learnt.append(best)
        changed = set()
        for place in places.pop(best):
            before, after = words[place], _merged(words[place], best, new)
            for pairs, change in ((pairwise(before), -counts[place]), (pairwise(after), counts[place])):
                for pair in pairs:
                    total[pair] += change
                    changed.add(pair)
            for pair in pairwise(after):
                places[pair].add(place)
            words[place] = after
        for pair in changed - {best}:
            if total[pair] > 0:
                heappush(queue, (-total[pair], pair))
    if not learnt:
        raise ValueError("texts must hold a pair of bytes that occurs twice, got none")
    return torch.tensor(learnt)


class BytePairEncoding:
    """Text to tokens and back: bytes, then the learnt merges in their order, first come first served.

    Whatever is encoded comes back unchanged: a text that was never seen is at worst its bytes, as without merges all are. ``special`` tokens have
    the last numbers and stand for no text; :meth:`encode` gives them only ``with_special``, so that a text cannot smuggle
    one in. A model's own vocabulary may order its tokens otherwise: ``numbers`` says which number each of bytes, merges
    and special tokens has there, or −1 for a byte that it does not have. ``words`` are the pieces inside which it joins.

    >>> encoding = BytePairEncoding(learn_merges(["low lower lowest"], 2), special=["<end>"])
    >>> encoding.encode("lowly"), encoding.encode("low<end>", with_special=True)
    (tensor([257, 108, 121]), tensor([257, 258]))
    >>> encoding.decode(torch.tensor([257, 108, 121, 258])), encoding.vocabulary
    ('lowly<end>', 259)

    Raises:
        TypeError: merges or numbers that are not int64, special tokens that are not text, words that are no pattern.
        ValueError: merges of tokens that do not exist yet or are joined already, special tokens that are empty or equal,
            numbers that do not give each token but a byte its own of 0, 1, 2 and so on.
    """

    @checked
    def __init__(
        self,
        merges: Int64[Tensor, "_ 2"],
        *,
        special: Sequence[str] = (),
        words: re.Pattern = WORDS,
        numbers: Int64[Tensor, " _"] | None = None,
    ) -> None:
        self.merges, self.words = merges, words
        self.tokens = [bytes([byte]) for byte in range(256)]
        self._ranks: dict[Pair, int] = {}
        for left, right in merges.tolist():
            if not (0 <= left < len(self.tokens) and 0 <= right < len(self.tokens)):
                raise ValueError(
                    f"merge {len(self._ranks)} must join two of the tokens 0 … {len(self.tokens) - 1} before it, got {left} and {right}"
                )
            if (left, right) in self._ranks:
                raise ValueError(
                    f"each pair must be joined once, got {left} and {right} again as merge {len(self._ranks)}"
                )
            self._ranks[left, right] = len(self.tokens)
            self.tokens.append(self.tokens[left] + self.tokens[right])
        self.special: dict[str, int] = {}
        for text in special:
            if not text or text in self.special:
                raise ValueError(f"special tokens must be different and not empty, got {list(special)}")
            self.special[text] = len(self.tokens)
            self.tokens.append(_bytes(text))
        self._numbers = None
        if numbers is not None:
            self._renumber(numbers.tolist())
        self._known: dict[bytes, list[int]] = {}  # words come again and again: each is encoded once

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        return len(self.tokens)

    @checked
    def encode(self, text: str | bytes, *, with_special: bool = False) -> Int64[Tensor, " tokens"]:
        """Encode a text, or bytes that need not be one; with ``with_special``, the names of special tokens as these.

        Raises:
            TypeError: neither text nor bytes.
            ValueError: a text that is not Unicode, as it holds half of a surrogate pair; a byte without a number; words
                that leave a character out.
        """
        found: list[int] = []
        if with_special and self.special and isinstance(text, str):
            # Longer names first: one may begin with another.
            names = "|".join(map(re.escape, sorted(self.special, key=len, reverse=True)))
            for part in re.split(f"({names})", text):
                found += [self.special[part]] if part in self.special else self._encoded(part)
        else:
            found = self._encoded(text)
        return torch.tensor(found, dtype=torch.int64)

    @checked
    def decode(self, tokens: Int64[Tensor, " _"]) -> str:
        """The text of tokens; bytes that make no UTF-8, as where a character was cut, become U+FFFD.

        Raises:
            TypeError: tokens that are not int64.
            ValueError: a token outside the vocabulary.
        """
        return self.decode_bytes(tokens).decode("utf-8", errors="replace")

    @checked
    def decode_bytes(self, tokens: Int64[Tensor, " _"]) -> bytes:
        """The bytes of tokens, exactly.

        Raises:
            TypeError: tokens that are not int64.
            ValueError: a token outside the vocabulary.
        """
        check_indices("tokens", tokens, self.vocabulary, "the vocabulary")
        return b"".join([self.tokens[token] for token in tokens.tolist()])

    def _renumber(self, numbers: list[int]) -> None:
        """Take the numbers of a vocabulary in place of those that follow from the order of bytes, merges, special tokens."""
        used = [number for number in numbers if number >= 0]
        if (
            len(numbers) != len(self.tokens)
            or sorted(used) != list(range(len(used)))
            or min(numbers[256:], default=0) < 0
        ):
            raise ValueError(
                f"numbers must give each of {len(self.tokens)} tokens its own of 0, 1, 2 and so on, or -1 to a byte, "
                f"got {len(numbers)} from {min(numbers, default=0)} to {max(numbers, default=0)}, {len(set(used))} of them different"
            )
        token_of = {number: token for number, token in zip(numbers, self.tokens, strict=True) if number >= 0}
        self.tokens = [token_of[number] for number in range(len(token_of))]
        self.special = {text: numbers[number] for text, number in self.special.items()}
        self._numbers = numbers

    def _encoded(self, text: str | bytes) -> list[int]:
        found: list[int] = []
        for word in _words(text, self.words):
            tokens = self._known.get(word)
            if tokens is None:
                tokens = self._numbered(self._merged(word))
                if len(self._known) < 100_000:
                    self._known[word] = tokens
            found += tokens
        return found

    def _numbered(self, tokens: list[int]) -> list[int]:
        if self._numbers is None:
            return tokens
        numbers = [self._numbers[token] for token in tokens]
        if -1 in numbers:  # only bytes may have none
            raise ValueError(f"text must be of bytes that the vocabulary has, got {tokens[numbers.index(-1)]:#04x}")
        return numbers

    def _merged(self, word: bytes) -> list[int]:
        """Join pairs, the earliest merge first and of equal ones the leftmost; the time is about that of sorting."""
        tokens: list[int | None] = [*word]
        left, right = list(range(-1, len(word) - 1)), list(range(1, len(word) + 1))  # who stands beside whom
        queue = [
            (rank, place) for place, pair in enumerate(pairwise(word)) if (rank := self._ranks.get(pair)) is not None
        ]
        heapify(queue)
        while queue:
            new, place = heappop(queue)
            other = right[place]
            if other == len(word) or self._ranks.get((tokens[place], tokens[other])) != new:  # joined elsewhere since
                continue
            tokens[place], tokens[other] = new, None
            right[place] = right[other]
            if right[place] < len(word):
                left[right[place]] = place
            for first, second in ((left[place], place), (place, right[place])):
                if first >= 0 and second < len(word):
                    rank = self._ranks.get((tokens[first], tokens[second]))
                    if rank is not None:
                        heappush(queue, (rank, first))
        return [token for token in tokens if token is not None]


def _words(text: str | bytes, pattern: re.Pattern = WORDS) -> list[bytes]:
    """Cut a text, or bytes, into the pieces inside which tokens are joined."""
    errors = "strict"
    if isinstance(text, bytes):  # bytes that are not UTF-8 pass as the surrogates that Python keeps for them
        errors = "surrogateescape"
        text = text.decode(errors=errors)
    elif isinstance(text, str):
        _bytes(text)
    else:
        raise TypeError(f"texts must hold str, got {type(text).__name__}")
    words = pattern.findall(text)
    if sum(map(len, words)) != len(text):
        raise ValueError(
            f"words must be a pattern without groups that leaves no character out, got {pattern.pattern!r}"
        )
    return [word.encode(errors=errors) for word in words]


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"text must be Unicode, got half of a surrogate pair at character {error.start}") from error


def _merged(tokens: list[int], pair: Pair, new: int) -> list[int]:
    """Put ``new`` wherever the two of ``pair`` stand side by side, from the left."""
    left, right = pair
    merged, place = [], 0
    while place < len(tokens):
        if tokens[place] == left and tokens[place + 1 : place + 2] == [right]:
            merged.append(new)
            place += 2
        else:
            merged.append(tokens[place])
            place += 1
    return merged
