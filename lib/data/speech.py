"""Real speech: nine speakers say the Japanese vowels /a/ and /e/, shipped inside sktime."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from .packaged import packaged_file

__all__ = ["JapaneseVowels", "load_japanese_vowels"]

# The length differs from utterance to utterance, so the axis carries no name.
Utterance = Float[Tensor, "_ 12"]


@dataclass(frozen=True)
class JapaneseVowels:
    """Utterances of 7 to 29 frames, 12 linear-prediction cepstrum coefficients a frame; who speaks is the label."""

    train_utterances: list[Utterance]
    train_labels: Int64[Tensor, " train"]
    test_utterances: list[Utterance]
    test_labels: Int64[Tensor, " test"]
    speaker_names: tuple[str, ...] = tuple(f"speaker {number}" for number in range(1, 10))
    licence: str = (
        "Japanese Vowels (Kudo, Toyama, Shimbo 1999), UCI Machine Learning Repository, CC BY 4.0; as shipped in sktime"
    )


def load_japanese_vowels() -> JapaneseVowels:
    """Return the data set's own split: 270 training utterances (30 a speaker) and 370 test utterances.

    Frames are 6.4 ms apart, as the data set's authors state; the coefficients carry no unit.

    >>> len(load_japanese_vowels().train_utterances)
    270

    Raises:
        FileNotFoundError: sktime's data files are not installed.
    """
    train_utterances, train_labels = _read("TRAIN")
    test_utterances, test_labels = _read("TEST")
    return JapaneseVowels(train_utterances, train_labels, test_utterances, test_labels)


def _read(split: str) -> tuple[list[Tensor], Tensor]:
    # The format: one utterance a line, its 12 coefficient tracks parted by colons, the label last.
    path = packaged_file("sktime", f"datasets/data/JapaneseVowels/JapaneseVowels_{split}.ts", distribution="sktime")
    _, _, body = path.read_text(encoding="utf-8").partition("@data\n")
    utterances, labels = [], []
    for line in body.splitlines():
        *tracks, label = line.split(":")
        utterances.append(
            torch.tensor([[float(value) for value in track.split(",")] for track in tracks]).T.contiguous()
        )
        labels.append(int(label) - 1)
    return utterances, torch.tensor(labels)
