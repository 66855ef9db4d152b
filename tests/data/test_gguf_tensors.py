"""A GGUF file's tensors: what each block means, the file of a real model, and files that lie about what they hold."""

import contextlib
import random
import tracemalloc

import numpy as np
import pytest
import torch
from small_gguf import Q8_0, blocks_of_16_levels, blocks_of_bytes, gguf, plain

from lib.data import GgufFile, smollm2_file

RANDOM = np.random.default_rng(0)
NUMBERS = RANDOM.normal(size=(3, 5)).astype("float32")
LEVELS, BYTES = RANDOM.integers(0, 16, (2, 3, 32)), RANDOM.integers(-128, 128, (4, 2, 32))
SCALE, MINIMUM = RANDOM.normal(size=(2, 3)).astype("float16"), RANDOM.normal(size=(2, 3)).astype("float16")
SCALE_OF_BYTES = RANDOM.normal(size=(4, 2)).astype("float16")
TENSORS = [
    plain("numbers", NUMBERS),
    blocks_of_16_levels("levels", SCALE, MINIMUM, LEVELS),
    blocks_of_bytes("bytes", SCALE_OF_BYTES, BYTES),
]
ONE, TWO, THREE = TENSORS


@pytest.fixture
def written(tmp_path):
    def write(content):
        path = tmp_path / "small.gguf"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("alignment", [None, 8, 64])
def test_tensors_are_what_was_written(written, alignment):
    metadata = {} if alignment is None else {"general.alignment": alignment}
    file = GgufFile(written(gguf(metadata, TENSORS, alignment or 32)))
    assert list(file) == ["numbers", "levels", "bytes"]
    assert torch.equal(file["numbers"], torch.from_numpy(NUMBERS))
    weights = LEVELS * SCALE[..., None].astype("float32") + MINIMUM[..., None].astype("float32")
    assert torch.equal(file["levels"], torch.from_numpy(weights.astype("float32")).flatten(-2))
    weights = BYTES * SCALE_OF_BYTES[..., None].astype("float32")
    assert torch.equal(file["bytes"], torch.from_numpy(weights.astype("float32")).flatten(-2))


def test_blocks_are_what_was_written(written):
    file = GgufFile(written(gguf({}, TENSORS)))
    levels, whole = file.blocks("levels"), file.blocks("bytes")
    assert torch.equal(levels.quants, torch.from_numpy(LEVELS).to(torch.uint8))
    assert torch.equal(levels.scale, torch.from_numpy(SCALE).float())
    assert torch.equal(levels.minimum, torch.from_numpy(MINIMUM).float())
    assert torch.equal(whole.quants, torch.from_numpy(BYTES).to(torch.int8))
    assert torch.equal(whole.scale, torch.from_numpy(SCALE_OF_BYTES).float())
    assert whole.minimum is None
    for name in ("levels", "bytes"):
        assert torch.equal(file.blocks(name).dequantized(), file[name])


def test_what_is_read_is_the_callers_own(written):
    file = GgufFile(written(gguf({}, TENSORS)))
    for name in file:
        first = file[name]
        expected = first.clone()
        first.zero_()
        assert torch.equal(file[name], expected)


def test_the_language_models_file_is_described():
    file = GgufFile(smollm2_file())
    kinds = [stored.type for stored in file.stored.values()]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"Q4_1": 210, "Q8_0": 1, "F32": 61}
    # Four bits and two float16 for 32 weights, eight bits and one: 134,515,008 weights in all.
    assert (
        sum(stored.size for stored in file.stored.values())
        == 106_168_320 * 20 // 32 + 28_311_552 * 34 // 32 + 35_136 * 4
    )
    assert file["token_embd.weight"].shape == (49152, 576)
    blocks = file.blocks("blk.7.ffn_down.weight")
    assert (blocks.quants.shape, blocks.quants.max(), blocks.quants.min()) == ((576, 48, 32), 15, 0)


@pytest.mark.bad_input  # a type checker at each call would take nearly all of the time
def test_opening_a_file_reads_no_tensor():
    tracemalloc.start()
    try:
        GgufFile(smollm2_file())
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20  # the vocabulary and the merges, not 90 MB
    finally:
        tracemalloc.stop()


def test_a_name_that_is_not_there(written):
    file = GgufFile(written(gguf({}, TENSORS)))
    assert "weights" not in file
    for ask in (file.__getitem__, file.blocks):
        with pytest.raises(KeyError, match=r"small.gguf has 3 tensors, got 'weights', which is none of them"):
            ask("weights")
    with pytest.raises(ValueError, match="blocks must be asked of a quantised tensor, got 'numbers' of type F32"):
        file.blocks("numbers")


HUGE = 2**62
HOSTILE = {
    "an unknown type": ({}, [ONE.but(kind=99)], r"type must be 0 \(F32\), 3 \(Q4_1\), 8 \(Q8_0\), got 99 for 'numbers'"),
    "a type that others know": ({}, [ONE.but(kind=14)], "got 14 for 'numbers'"),
    "a huge shape": ({}, [ONE.but(shape=(HUGE, 2))], "the file ends inside 'numbers': it must have bytes"),
    "a shape whose product is 2**256": ({}, [ONE.but(shape=(2**63 - 1,) * 4)], "the file ends inside 'numbers'"),
    "a shape whose product overflows to 0": ({}, [ONE.but(shape=(2**32, 2**32))], "the file ends inside 'numbers'"),
    "one row too many": ({}, [THREE, ONE.but(shape=(4, 5))], "the file ends inside 'numbers'"),
    "an empty axis": ({}, [ONE.but(shape=(0, 5))], r"must have positive sizes, the last a multiple of 1, got \(0, 5\)"),
    "no axes": ({}, [ONE.but(shape=())], "must have 1 to 4 axes, got 0 for 'numbers'"),
    "five axes": ({}, [ONE.but(shape=(1, 1, 1, 3, 5))], "must have 1 to 4 axes, got 5"),
    "half a block": ({}, [THREE.but(shape=(4, 48))], r"of type Q8_0, must have positive sizes, the last a multiple of 32, got \(4, 48\)"),
    "numbers as blocks": ({}, [ONE.but(kind=Q8_0)], r"a multiple of 32, got \(3, 5\)"),
    "an offset beyond the file": ({}, [ONE.but(offset=2**40)], "the file ends inside 'numbers'"),
    "an offset of 2**64 - 32": ({}, [ONE.but(offset=2**64 - 32)], "the file ends inside 'numbers'"),
    "an offset that is not aligned": ({}, [ONE.but(offset=4)], "must be a multiple of the alignment 32, got 4"),
    "two tensors in one place": ({}, [ONE, THREE.but(offset=0)], "tensors must not overlap, got"),
    "one tensor inside another": ({}, [THREE, ONE.but(offset=32)], "tensors must not overlap, got 'bytes' up to byte"),
    "a name twice": ({}, [ONE, ONE], "each tensor of the file must come once, got 'numbers' twice"),
    "no alignment": ({"general.alignment": 0}, TENSORS, "general.alignment must be a positive multiple of 8, got 0"),
    "an odd alignment": ({"general.alignment": 12}, TENSORS, "a positive multiple of 8, got 12"),
    "an alignment in words": ({"general.alignment": "32"}, TENSORS, "a positive multiple of 8, got '32'"),
    "a huge alignment": ({"general.alignment": 2**31}, TENSORS, "the file ends inside 'numbers'"),
}  # fmt: skip


@pytest.mark.parametrize("fault", HOSTILE)
def test_a_file_that_lies_is_refused_before_memory_is_taken(written, fault):
    metadata, tensors, message = HOSTILE[fault]
    path = written(gguf(metadata, tensors))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message):
            GgufFile(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (plain("numbers", np.array([1, np.nan], "float32")), "each number of 'numbers' must be finite, got nan"),
        (blocks_of_16_levels("levels", SCALE * np.inf, MINIMUM, LEVELS), "each scale of 'levels' must be finite"),
        (blocks_of_16_levels("levels", SCALE, MINIMUM - np.inf, LEVELS), "each minimum of 'levels' must be finite, got -inf"),
        (blocks_of_bytes("bytes", SCALE_OF_BYTES * np.nan, BYTES), "each scale of 'bytes' must be finite, got nan"),
    ],
)  # fmt: skip
def test_what_is_not_finite_is_refused(written, tensor, message):
    file = GgufFile(written(gguf({}, [tensor])))
    with pytest.raises(ValueError, match=message):
        file[tensor.name]


def test_a_file_that_has_shrunk_since_is_refused(written):
    path = written(gguf({}, TENSORS))
    file = GgufFile(path)
    path.write_bytes(path.read_bytes()[:-1])
    assert torch.equal(file["numbers"], torch.from_numpy(NUMBERS))
    with pytest.raises(ValueError, match="the file ends too early: tensor 'bytes' must have 272 bytes, 271 are left"):
        file["bytes"]


@pytest.mark.bad_input  # a type checker at each call would take nearly all of the time
def test_a_file_cut_anywhere_is_refused(written):
    whole = gguf({"general.name": "small"}, TENSORS)
    assert len(GgufFile(written(whole))) == 3
    for length in range(len(whole)):
        path = written(whole[:length])
        with pytest.raises(ValueError, match=r"\w"):
            GgufFile(path)


@pytest.mark.bad_input  # a type checker at each call would take nearly all of the time
def test_a_file_with_bits_turned_is_read_in_small_memory_or_refused(written):
    """Each bit of what the file says, then many at once anywhere: tensors come in the shapes that the file states, or not at all."""
    whole = gguf({"general.name": "small"}, TENSORS)
    data = len(whole) - sum(len(tensor.data) for tensor in TENSORS)
    draw = random.Random(0)
    turns = [[bit] for bit in range(8 * data)] + [
        [draw.randrange(8 * len(whole)) for _ in range(draw.randint(2, 40))] for _ in range(400)
    ]
    read = refused = 0
    tracemalloc.start()
    try:
        for bits in turns:
            turned = bytearray(whole)
            for bit in bits:
                turned[bit // 8] ^= 1 << bit % 8
            path = written(turned)
            with contextlib.suppress(ValueError):
                refused += 1
                file = GgufFile(path)
                for name, stored in file.stored.items():
                    assert file[name].shape == stored.shape
                    assert file[name].isfinite().all()
                read, refused = read + 1, refused - 1
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()
    assert min(read, refused) > 50


def test_a_path_that_is_none():
    with pytest.raises(TypeError, match="path must be"):
        GgufFile(3)
    with pytest.raises(FileNotFoundError):
        GgufFile("nowhere.gguf")
