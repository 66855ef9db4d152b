"""Codes of a few bits, without gaps in bytes."""

import math
from typing import Literal

import torch
from jaxtyping import UInt8
from torch import Tensor

from lib.core.boundary import checked
from lib.core.rules import NonNegativeInt
from lib.core.validation import check_rank

__all__ = ["Bits", "pack_bits", "unpack_bits"]

Bits = Literal[1, 2, 3, 4, 5, 6, 7, 8]


@checked
def pack_bits(codes: UInt8[Tensor, "*shape"], bits: Bits) -> UInt8[Tensor, "*packed"]:
    """Write codes below ``2^bits`` one after the other into ``⌈numel · bits / 8⌉`` bytes, the first in the lowest bits.

    >>> pack_bits(torch.tensor([1, 2, 3], dtype=torch.uint8), 4)
    tensor([33,  3], dtype=torch.uint8)

    Raises:
        TypeError: codes of another dtype than uint8.
        ValueError: bits outside 1 … 8, a code that needs more bits.
    """
    if codes.numel() and not codes.is_meta and int(codes.max()) >= 2**bits:
        raise ValueError(f"codes must be below {2**bits} to fit {bits} bits, got {int(codes.max())}")
    group, size = _group(bits)
    flat = torch.nn.functional.pad(codes.flatten(), (0, -codes.numel() % group)).view(-1, group)
    shifts = torch.arange(0, 8 * size, bits, device=codes.device)
    words = (flat.to(torch.int64) << shifts).sum(1, keepdim=True)
    packed = (words >> torch.arange(0, 8 * size, 8, device=codes.device) & 255).to(torch.uint8)
    return packed.flatten()[: math.ceil(codes.numel() * bits / 8)].clone()


@checked
def unpack_bits(packed: UInt8[Tensor, "*packed"], bits: Bits, count: NonNegativeInt) -> UInt8[Tensor, "*count"]:
    """Read ``count`` codes back that :func:`~lib.compression.packing.pack_bits` wrote.

    >>> unpack_bits(torch.tensor([33, 3], dtype=torch.uint8), 4, 3)
    tensor([1, 2, 3], dtype=torch.uint8)

    Raises:
        TypeError: as :func:`~lib.compression.packing.pack_bits`.
        ValueError: bits outside 1 … 8, another number of bytes than so many codes take.
    """
    check_rank("packed", packed, "bytes")
    if len(packed) != math.ceil(count * bits / 8):
        raise ValueError(f"{count} codes of {bits} bits take {math.ceil(count * bits / 8)} bytes, got {len(packed)}")
    group, size = _group(bits)
    if size == 1:  # no code lies across two bytes: one shift of bytes
        shifts = torch.arange(0, 8, bits, device=packed.device, dtype=torch.uint8)
        return (packed[:, None] >> shifts & (2**bits - 1)).flatten()[:count]
    flat = torch.nn.functional.pad(packed, (0, -len(packed) % size)).view(-1, size)
    words = (flat.to(torch.int64) << torch.arange(0, 8 * size, 8, device=packed.device)).sum(1, keepdim=True)
    codes = words >> torch.arange(0, bits * group, bits, device=packed.device) & (2**bits - 1)
    return codes.to(torch.uint8).flatten()[:count]


def _group(bits: int) -> tuple[int, int]:
    """How many codes fill how many whole bytes."""
    whole = math.lcm(bits, 8)
    return whole // bits, whole // 8
