"""Real surnames of ten languages: the lists from which Faker draws its invented people."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib import import_module

import torch
from jaxtyping import Int64
from torch import Tensor

from lib.core.boundary import checked
from lib.core.rules import NonNegativeInt
from lib.core.sampling import seeded, shuffled

from .packaged import packaged_file

__all__ = ["Surnames", "load_surnames"]

LANGUAGES = {
    "hr_HR": "Croatian", "nl_NL": "Dutch", "fi_FI": "Finnish", "fr_FR": "French", "de_DE": "German",
    "ga_IE": "Irish", "it_IT": "Italian", "sk_SK": "Slovak", "es_ES": "Spanish", "sv_SE": "Swedish",
}  # fmt: skip
PER_LANGUAGE = {"test": 60, "validation": 30, "train": 230}


@dataclass(frozen=True)
class Surnames:
    """Surnames as they are written, with capitals and accents, and the number of the list that each stands in.

    A list says in which country a name is borne, not where it comes from, and nothing about a person.
    """

    train_names: tuple[str, ...]
    train_labels: Int64[Tensor, " train"]
    validation_names: tuple[str, ...]
    validation_labels: Int64[Tensor, " validation"]
    test_names: tuple[str, ...]
    test_labels: Int64[Tensor, " test"]
    language_names: tuple[str, ...] = tuple(LANGUAGES.values())
    licence: str = "Surname lists of Faker's contributors, as shipped in Faker, MIT"


@checked
def load_surnames(split: NonNegativeInt = 0) -> Surnames:
    """Return 230 training, 30 validation and 60 test surnames of each of ten languages, divided by stem.

    Names that stand in the lists of several languages are left out, and of names with one stem (Novák and Nováková,
    Roux and Le Roux) a language keeps one. What languages share of a stem stays on one side. Each ``split`` is a draw
    of its own, the same at every call.

    >>> load_surnames().train_labels.bincount().tolist()
    [230, 230, 230, 230, 230, 230, 230, 230, 230, 230]

    Raises:
        TypeError: a split that is no int.
        ValueError: a negative split.
        FileNotFoundError: Faker is not installed.
    """
    generator = seeded(split)
    families = _families()
    room = {part: [size] * len(LANGUAGES) for part, size in PER_LANGUAGE.items()}
    drawn = {part: [] for part in PER_LANGUAGE}
    for place in torch.randperm(len(families), generator=generator).tolist():
        wanted = {
            label: names for label, names in families[place].items() if any(left[label] for left in room.values())
        }
        part = next((part for part, left in room.items() if all(left[label] for label in wanted)), None)
        for label, names in wanted.items() if part else ():
            room[part][label] -= 1
            drawn[part].append((names[torch.randint(len(names), (1,), generator=generator).item()], label))
    tensors = {}
    for part, rows in drawn.items():
        order = shuffled(torch.arange(len(rows)), generator)  # so that a prefix of the set holds all languages
        names, labels = zip(*(rows[row] for row in order.tolist()), strict=True)
        tensors[f"{part}_names"], tensors[f"{part}_labels"] = names, torch.tensor(labels)
    return Surnames(**tensors)


@cache
def _families() -> list[dict[int, list[str]]]:
    """Names of one stem together, by language."""
    languages = {}  # of each name
    for label, locale in enumerate(LANGUAGES):
        packaged_file("faker", f"providers/person/{locale}/__init__.py", distribution="faker")
        for name in import_module(f"faker.providers.person.{locale}").Provider.last_names:
            # Dutch lists put some particles last: "Bourgondië, van".
            name = unicodedata.normalize("NFC", " ".join(reversed(name.split(", "))))
            languages.setdefault(name.casefold(), {})[label] = name
    families = {}
    for by_language in languages.values():
        if len(by_language) == 1:
            ((label, name),) = by_language.items()
            families.setdefault(_stem(name), {}).setdefault(label, []).append(name)
    return list(families.values())


def _stem(name: str) -> str:
    """What related names have in common, so that none of them gives another one away; rather too short than too long."""
    letters = unicodedata.normalize("NFD", name)
    word = "".join(letter for letter in letters if not unicodedata.combining(letter)).split()[-1]  # without van, Mac, Ó
    word = re.sub(r"^[htn]-?(?=[A-Z])", "", word).casefold()  # Irish: Ó hÉinniú, Mac an tSaoi
    word = re.sub(r"\W", "", word)
    word = re.sub(r"(?<=^[bcdfgmpst])h", "", word)  # Irish: Mac Bhaird
    if len(word) > 5:
        word = re.sub(r"ov[ay]$", "", word)  # Slovak: Nováková, Makový
    word = re.sub(r"[aeiouy]+$", "", word) or word  # Kučera and Kučerová, Novotný and Novotná, Rossi and Rosso
    return re.sub(r"(?<=[^aeiouy])[eo](?=[^aeiouy]$)", "", word)  # Slovak: Adamec and Adamcová
