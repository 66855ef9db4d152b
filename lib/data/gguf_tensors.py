"""The tensors of a GGUF file, each read when it is asked for: as float32, or in the blocks in which it is stored."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor

from lib.core.boundary import checked

from .gguf import parse_header, read_bytes, read_number, read_text

__all__ = ["GgufFile", "StoredBlocks", "StoredTensor"]

_WEIGHTS = 32  # in each block of a quantised type
_MOST_AXES = 4
_HALF = np.dtype("<f2")
# Type number of the specification → name, and bytes that hold so many weights.
_TYPES = {0: ("F32", 4, 1), 3: ("Q4_1", 20, _WEIGHTS), 8: ("Q8_0", 34, _WEIGHTS)}


@dataclass(frozen=True)
class StoredTensor:
    """What a GGUF file says of one tensor: its name, its shape, its type, its first byte in the file, its bytes."""

    name: str
    shape: tuple[int, ...]
    type: str
    begin: int
    size: int


@dataclass(frozen=True)
class StoredBlocks:
    """Weights as a GGUF file holds them, in blocks of 32 along the last axis: ``scale · quants + minimum``.

    ``quants`` are uint8 from 0 to 15 in type Q4_1, and int8 in Q8_0, which has no ``minimum``.
    """

    quants: Integer[Tensor, "*rows blocks 32"]
    scale: Float[Tensor, "*rows blocks"]
    minimum: Float[Tensor, "*rows blocks"] | None

    def dequantized(self) -> Float[Tensor, "*rows columns"]:
        """The weights in float32, to which scale and minimum, stored in float16, are exact."""
        weights = self.quants.float().mul_(self.scale[..., None])  # in place: the whole is one piece of memory
        if self.minimum is not None:
            weights += self.minimum[..., None]
        return weights.flatten(-2)


class GgufFile(Mapping[str, Float[Tensor, "..."]]):
    """The tensors of a GGUF file by name: each is read and dequantised to float32 when it is asked for.

    Types F32, Q4_1 and Q8_0. Axes are in torch's order, the file's reversed. ``metadata`` is the header's, and ``stored``
    says how each tensor lies in the file; :meth:`blocks` gives it as it is stored. Where each begins and ends is held
    against the file when it is opened. Source: the GGUF specification, version 3; ``ggml-quants.c`` of llama.cpp.

    >>> from lib.data import smollm2_file
    >>> file = GgufFile(smollm2_file())
    >>> len(file), file["blk.0.attn_k.weight"].shape, file.stored["blk.0.attn_k.weight"].type
    (272, torch.Size([192, 576]), 'Q4_1')

    Raises:
        KeyError: a name that the file does not have.
        ValueError: as :func:`~lib.data.gguf.read_gguf_header`; a type, number of axes, size, alignment or offset outside its rule; a tensor
            that comes twice, overlaps another or ends after the file; a scale or number that is not finite.
    """

    @checked
    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with open(path, "rb") as file:
            header = parse_header(file)
            self.metadata = header.metadata
            self.stored = _stored(file, header.tensor_count, header.metadata.get("general.alignment", 32))

    def __getitem__(self, name: str) -> Float[Tensor, "..."]:
        stored = self._found(name)
        if stored.type != "F32":
            return self.blocks(name).dequantized()
        numbers = torch.from_numpy(self._bytes(stored).view("<f4").astype(np.float32)).view(stored.shape)
        _check_finite(stored, "number", numbers)
        return numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored)

    def __len__(self) -> int:
        return len(self.stored)

    def blocks(self, name: str) -> StoredBlocks:
        """Read a tensor as it is stored.

        Raises:
            KeyError: a name that the file does not have.
            ValueError: a tensor of type F32, which has no blocks; a scale or minimum that is not finite.
        """
        stored = self._found(name)
        if stored.type == "F32":
            raise ValueError(f"blocks must be asked of a quantised tensor, got {name!r} of type F32")
        grid = (*stored.shape[:-1], stored.shape[-1] // _WEIGHTS)
        rows = self._bytes(stored).reshape(*grid, -1)
        if stored.type == "Q8_0":
            return StoredBlocks(torch.from_numpy(rows[..., 2:].view(np.int8)), _halves(stored, "scale", rows, 0), None)
        packed = rows[..., 4:]  # byte j holds weight j in its low half, and weight j + 16 in its high one
        quants = np.concatenate([packed & 15, packed >> 4], -1)
        return StoredBlocks(
            torch.from_numpy(quants), _halves(stored, "scale", rows, 0), _halves(stored, "minimum", rows, 2)
        )

    def _found(self, name: str) -> StoredTensor:
        if name not in self.stored:
            raise KeyError(f"{self.path.name} has {len(self.stored)} tensors, got {name!r}, which is none of them")
        return self.stored[name]

    def _bytes(self, stored: StoredTensor) -> np.ndarray:
        with open(self.path, "rb") as file:
            file.seek(stored.begin)
            return np.frombuffer(bytearray(read_bytes(file, stored.size, f"tensor {stored.name!r}")), np.uint8)


def _halves(stored: StoredTensor, what: str, rows: np.ndarray, begin: int) -> Float[Tensor, "..."]:
    """The float16 that stands at byte ``begin`` of each block, as float32."""
    halves = np.ascontiguousarray(rows[..., begin : begin + 2]).view(_HALF)[..., 0]
    numbers = torch.from_numpy(halves.astype(np.float32))
    _check_finite(stored, what, numbers)
    return numbers


def _check_finite(stored: StoredTensor, what: str, numbers: Tensor) -> None:
    if not (finite := numbers.isfinite()).all():
        wrong = numbers[~finite][0].item()
        raise ValueError(f"each {what} of {stored.name!r} must be finite, got {wrong}: the file is damaged")


def _stored(file: BinaryIO, count: int, alignment: object) -> dict[str, StoredTensor]:
    """Read what the file says of its tensors, and hold it against the file's length."""
    if type(alignment) is not int or alignment < 8 or alignment % 8:
        raise ValueError(f"general.alignment must be a positive multiple of 8, got {alignment!r}")
    told: dict[str, tuple] = {}
    for _ in range(count):
        name = read_text(file, "the name of a tensor")
        if name in told:
            raise ValueError(f"each tensor of the file must come once, got {name!r} twice")
        axes = read_number(file, "I", f"the number of axes of {name!r}")
        if not 1 <= axes <= _MOST_AXES:
            raise ValueError(f"a tensor must have 1 to {_MOST_AXES} axes, got {axes} for {name!r}")
        shape = tuple(read_number(file, "Q", f"the shape of {name!r}") for _ in range(axes))[::-1]
        told[name] = (
            shape,
            read_number(file, "I", f"the type of {name!r}"),
            read_number(file, "Q", f"the offset of {name!r}"),
        )
    data = -(-file.tell() // alignment) * alignment
    end = file.seek(0, 2)
    stored = {name: _placed(name, *facts, alignment, data, end) for name, facts in told.items()}
    for one, next_one in pairwise(sorted(stored.values(), key=lambda tensor: tensor.begin)):
        if one.begin + one.size > next_one.begin:
            raise ValueError(
                f"tensors must not overlap, got {one.name!r} up to byte {one.begin + one.size} and "
                f"{next_one.name!r} from byte {next_one.begin}"
            )
    return stored


def _placed(name: str, shape: tuple, kind: int, offset: int, alignment: int, data: int, end: int) -> StoredTensor:
    if kind not in _TYPES:
        known = ", ".join(f"{number} ({facts[0]})" for number, facts in _TYPES.items())
        raise ValueError(f"a tensor's type must be {known}, got {kind} for {name!r}")
    type_name, bytes_each, weights = _TYPES[kind]
    if min(shape) < 1 or shape[-1] % weights:
        raise ValueError(
            f"shape of {name!r}, of type {type_name}, must have positive sizes, the last a multiple of {weights}, got {shape}"
        )
    if offset % alignment:
        raise ValueError(f"the offset of {name!r} must be a multiple of the alignment {alignment}, got {offset}")
    begin, size = data + offset, prod(shape) // weights * bytes_each
    if begin + size > end:
        raise ValueError(
            f"the file ends inside {name!r}: it must have bytes {begin} to {begin + size}, the file has {end}"
        )
    return StoredTensor(name, shape, type_name, begin, size)
