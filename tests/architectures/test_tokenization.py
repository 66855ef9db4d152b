"""Byte-pair encoding: the textbook's example, round trips of anything, and token for token what `tokenizers` gives."""

import re
from collections import Counter
from itertools import pairwise

import pytest
import tokenizers
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers, trainers

from benchmarks.hugging_face import tokenizer_twin
from lib.architectures import BytePairEncoding, learn_merges
from lib.architectures.smollm2 import gpt2_letters
from lib.architectures.tokenization import WORDS, _words
from lib.data import load_documentation_text

DOCUMENTATION = load_documentation_text()
TRAIN, TEST = ("".join(part.values()) for part in (DOCUMENTATION.train, DOCUMENTATION.test))
MERGES = learn_merges([TRAIN[:200_000]], 500)
ENCODING = BytePairEncoding(MERGES, special=["<end>", "<end> of all"])

WRONG = {
    "one text": (lambda: learn_merges("low", 2), TypeError, r"texts must be iterable, got str 'low'"),
    "no texts": (
        lambda: learn_merges([], 2),
        ValueError,
        "texts must hold a pair of bytes that occurs twice, got none",
    ),
    "nothing twice": (lambda: learn_merges(["abc"], 2), ValueError, "a pair of bytes that occurs twice, got none"),
    "bytes to learn from": (lambda: learn_merges([3], 2), TypeError, "texts must hold str, got int"),
    "no merges": (lambda: learn_merges(["low low"], 0), ValueError, "merges must be at least 1, got 0"),
    "merges of a later token": (
        lambda: BytePairEncoding(torch.tensor([[97, 98], [257, 97]])),
        ValueError,
        r"merge 1 must join two of the tokens 0 … 256 before it, got 257 and 97",
    ),
    "merges of a negative token": (lambda: BytePairEncoding(torch.tensor([[-1, 98]])), ValueError, "got -1 and 98"),
    "merges twice": (
        lambda: BytePairEncoding(torch.tensor([[97, 98], [97, 98]])),
        ValueError,
        "each pair must be joined once, got 97 and 98 again as merge 1",
    ),
    "merges of three": (lambda: BytePairEncoding(torch.zeros(4, 3).long()), ValueError, r"merges must have shape"),
    "merges as floats": (lambda: BytePairEncoding(torch.zeros(4, 2)), TypeError, "merges must have dtype torch.int64"),
    "special tokens in one word": (
        lambda: BytePairEncoding(MERGES, special="<end>"),
        TypeError,
        "special must be a list",
    ),
    "special numbers": (
        lambda: BytePairEncoding(MERGES, special=[3]),
        TypeError,
        r"special\[0\] must be a str, got int 3",
    ),
    "an empty special token": (lambda: BytePairEncoding(MERGES, special=[""]), ValueError, r"not empty, got \[''\]"),
    "special tokens twice": (lambda: BytePairEncoding(MERGES, special=["a", "a"]), ValueError, "must be different"),
    "half of a surrogate pair": (
        lambda: ENCODING.encode("ab\ud800"),
        ValueError,
        "text must be Unicode, got half of a surrogate pair at character 2",
    ),
    "half of a pair to learn from": (lambda: learn_merges(["\udcff\udcff"], 1), ValueError, "at character 0"),
    "words that leave blanks out": (
        lambda: BytePairEncoding(MERGES, words=re.compile(r"\S+")).encode("a b"),
        ValueError,
        r"without groups that leaves no character out, got .*S\+",
    ),
    "words in groups": (
        lambda: BytePairEncoding(MERGES, words=re.compile("(a)|(b)")).encode("ab"),
        ValueError,
        "words must be a pattern without groups",
    ),
    "words as text": (
        lambda: BytePairEncoding(MERGES, words="a"),
        TypeError,
        "words must be a Pattern, got str 'a'",
    ),
    "too few numbers": (
        lambda: BytePairEncoding(MERGES, numbers=torch.arange(9)),
        ValueError,
        "numbers must give each of 756 tokens its own of 0, 1, 2 and so on, or -1 to a byte, got 9 from 0 to 8",
    ),
    "a number twice": (
        lambda: BytePairEncoding(MERGES[:1], numbers=torch.tensor([*range(256), 255])),
        ValueError,
        "got 257 from 0 to 255, 256 of them different",
    ),
    "a merge without a number": (
        lambda: BytePairEncoding(MERGES[:1], numbers=torch.tensor([*range(256), -1])),
        ValueError,
        "or -1 to a byte, got 257 from -1 to 255",
    ),
    "a byte without a number": (
        lambda: BytePairEncoding(MERGES[:1], numbers=torch.tensor([-1, *range(256)])).encode("a\0"),
        ValueError,
        "text must be of bytes that the vocabulary has, got 0x00",
    ),
    "tokens to encode": (lambda: ENCODING.encode([1, 2]), TypeError, "text must be a str or a bytes, got list"),
    "a token too many": (lambda: ENCODING.decode(torch.tensor([0, 758])), ValueError, "tokens must lie in 0 … 757"),
    "a negative token": (lambda: ENCODING.decode_bytes(torch.tensor([-1])), ValueError, "the vocabulary, got -1"),
    "tokens as floats": (lambda: ENCODING.decode(torch.zeros(2)), TypeError, "tokens must have dtype torch.int64"),
    "a list of tokens": (lambda: ENCODING.decode([1, 2]), TypeError, "tokens must be a torch.Tensor, got list"),
}


def naive_merges(text, count):
    """Algorithm 1 of Sennrich et al., counting everything anew for each merge."""
    words = [list(word) for word in _words(text)]
    learnt = []
    while len(learnt) < count:
        pairs = Counter(pair for word in words for pair in pairwise(word))
        best, times = min(pairs.items(), key=lambda item: (-item[1], item[0]), default=(None, 0))
        if times < 2:
            break
        new = 256 + len(learnt)
        learnt.append(list(best))
        for word in words:
            place = 0
            while place < len(word) - 1:
                if (word[place], word[place + 1]) == best:
                    word[place : place + 2] = [new]
                place += 1
    return learnt


def test_the_example_of_the_paper():
    """Sennrich et al. 2016, section 3.2, without the end of a word: low ×5, lower ×2, newest ×6, widest ×3."""
    text = " ".join(["low"] * 5 + ["lower"] * 2 + ["newest"] * 6 + ["widest"] * 3)
    encoding = BytePairEncoding(learn_merges([text], 3))
    assert encoding.tokens[256:] == [b"es", b"est", b"lo"]  # 9, 9 and 7 times; st and ow have larger bytes
    assert encoding.decode(encoding.encode("lowest newer")) == "lowest newer"


@settings(max_examples=60)
@given(st.text("ab 1.", min_size=2, max_size=60), st.integers(1, 12))
def test_incremental_counts_learn_what_counting_anew_learns(text, count):
    expected = naive_merges(text, count)
    if expected:
        assert learn_merges([text], count).tolist() == expected
    else:
        with pytest.raises(ValueError, match="occurs twice"):
            learn_merges([text], count)


def test_documentation_is_learnt_as_by_counting_anew():
    assert learn_merges([TRAIN[:20_000]], 60).tolist() == naive_merges(TRAIN[:20_000], 60)


def test_texts_are_learnt_from_together_and_apart():
    """No pair reaches from one text into the next."""
    assert learn_merges(["xy", "xy", "yx", "yx"], 5).tolist() == [[120, 121], [121, 120]]
    assert learn_merges(["xyxyyxyx"], 5).tolist() == [[120, 121]]


@given(st.one_of(st.text(), st.binary(), st.text("the quick (0-9] é漢\n")))
def test_whatever_is_encoded_comes_back(content):
    tokens = ENCODING.encode(content)
    data = content if isinstance(content, bytes) else content.encode()
    assert ENCODING.decode_bytes(tokens) == data
    assert ENCODING.decode(tokens) == data.decode(errors="replace")
    # The lowest numbers are bytes, the special ones are out of reach of a text.
    assert not len(tokens) or int(tokens.max()) < 756


@given(st.text("ab1 .é漢\n_\u0301"))
def test_a_merge_stays_inside_a_word(text):
    assert b"".join(_words(text)) == text.encode()
    tokens = [token for word in _words(text) for token in ENCODING.encode(word).tolist()]
    assert ENCODING.encode(text).tolist() == tokens


def test_documentation_gives_the_tokens_of_hugging_face():
    tokens = ENCODING.encode(TEST)
    assert tokens.tolist() == tokenizer_twin(MERGES).encode(TEST).ids
    assert ENCODING.decode(tokens) == TEST
    assert len(TEST) / len(tokens) > 2  # the merges join something


@given(st.text())
def test_any_text_gives_the_tokens_of_hugging_face_word_by_word(text):
    """Word by word, since the two libraries differ about which signs of Unicode are letters."""
    other = THEIRS_WITHOUT_SPLIT
    for word in _words(text):
        assert ENCODING.encode(word).tolist() == other.encode(word.decode()).ids


THEIRS_WITHOUT_SPLIT = tokenizer_twin(MERGES)
THEIRS_WITHOUT_SPLIT.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


@pytest.mark.parametrize("word", ["abababab" * 9, "a" * 99, "thethere" * 40, "(((((===", "\n" * 17])
def test_long_words_are_joined_from_the_left(word):
    assert ENCODING.encode(word).tolist() == tokenizer_twin(MERGES).encode(word).ids


def test_the_same_rule_learns_the_same_merges():
    """Where bytes are ordered as Hugging Face's letters are, ties fall alike: printing signs, no blanks."""
    text = "\n".join(TRAIN.split())
    other = tokenizer_twin()
    other.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(r"\n"), "removed"),
            pre_tokenizers.Split(tokenizers.Regex(WORDS.pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=256 + 400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    pieces = [piece for piece in text.split("\n") if piece.isascii()]
    other.train_from_iterator(pieces, trainer)
    letters = gpt2_letters()
    byte_of = {letter: byte for byte, letter in enumerate(letters)}
    expected = [
        bytes(byte_of[letter] for letter in token)
        for token, number in sorted(other.get_vocab().items(), key=lambda item: item[1])
        if number >= 256
    ]
    assert BytePairEncoding(learn_merges(pieces, 400)).tokens[256:] == expected


def test_special_tokens_are_given_only_when_asked_for():
    text = "low<end> of all<end>"
    plain = ENCODING.encode(text)
    assert plain.max() < 756
    assert ENCODING.decode(plain) == text
    marked = ENCODING.encode(text, with_special=True)
    assert marked.tolist() == [*ENCODING.encode("low").tolist(), 757, 756]  # the longer name wins
    assert ENCODING.decode(marked) == text
    other = tokenizer_twin(MERGES)
    other.add_special_tokens(["<end>", "<end> of all"])
    assert marked.tolist() == other.encode(text).ids
    assert (ENCODING.vocabulary, ENCODING.special) == (758, {"<end>": 756, "<end> of all": 757})


def test_a_cut_character_is_shown_as_such():
    tokens = BytePairEncoding(torch.tensor([[97, 98]])).encode("é")
    assert BytePairEncoding(torch.tensor([[97, 98]])).decode(tokens[:1]) == "\ufffd"


def test_without_merges_tokens_are_bytes():
    encoding = BytePairEncoding(torch.zeros(0, 2, dtype=torch.int64))
    assert (encoding.encode("é漢").tolist(), encoding.vocabulary) == (list("é漢".encode()), 256)


def test_no_text_gives_no_tokens():
    assert ENCODING.encode("").shape == (0,)
    assert ENCODING.decode(torch.tensor([], dtype=torch.int64)) == ""
