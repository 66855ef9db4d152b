"""Codes of a few bits: what was packed comes back, in as many bytes as the bits fill."""

import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.compression import pack_bits, unpack_bits


@given(bits=st.integers(1, 8), count=st.integers(0, 50), seed=st.integers(0, 1000))
def test_codes_come_back_from_the_bytes_that_their_bits_fill(bits, count, seed):
    codes = torch.randint(0, 2**bits, (count,), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    packed = pack_bits(codes, bits)
    assert packed.untyped_storage().nbytes() == math.ceil(count * bits / 8)
    assert torch.equal(unpack_bits(packed, bits, count), codes)


@pytest.mark.parametrize(
    ("codes", "bits", "packed"),
    [
        ([1, 0, 0, 1, 0, 0, 0, 0, 1], 1, [0b00001001, 0b1]),
        ([1, 2, 3, 0], 2, [0b00111001]),
        ([5, 6, 7], 3, [0b11110101, 0b1]),
        ([0xA, 0xB, 0xC], 4, [0xBA, 0x0C]),
        ([0b10001, 0b11111], 5, [0b11110001, 0b11]),
    ],
)
def test_the_first_code_stands_in_the_lowest_bits(codes, bits, packed):
    assert pack_bits(torch.tensor(codes, dtype=torch.uint8), bits).tolist() == packed


CODES = torch.tensor([3, 4], dtype=torch.uint8)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: pack_bits(CODES, 2), ValueError, "codes must be below 4 to fit 2 bits, got 4"),
        (lambda: pack_bits(CODES, 0), ValueError, "bits must be 1 or 2 or 3 or 4 or 5 or 6 or 7 or 8, got 0"),
        (lambda: pack_bits(CODES, 9), ValueError, "bits must be 1 or 2 or 3 or 4 or 5 or 6 or 7 or 8, got 9"),
        (lambda: pack_bits(CODES.int(), 4), TypeError, "codes must have dtype torch.uint8, got torch.int32"),
        (lambda: unpack_bits(CODES, 4, 5), ValueError, "5 codes of 4 bits take 3 bytes, got 2"),
        (lambda: unpack_bits(CODES, 4, 2), ValueError, "2 codes of 4 bits take 1 bytes, got 2"),
        (lambda: unpack_bits(CODES, 4, -1), ValueError, "count must be at least 0, got -1"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
