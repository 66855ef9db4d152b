"""Read the header of a GGUF file: what a language model's file says of itself."""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lib.core.boundary import checked

__all__ = ["GgufHeader", "parse_header", "read_bytes", "read_gguf_header", "read_number", "read_text"]

# Value types of the GGUF specification, version 3: number → struct format.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_LENGTH = 8  # bytes in which a string or an array tells how long it is
_LEAST_TENSOR_INFO = _LENGTH + 4 + 4 + 8  # bytes: length of its name, number of axes, type, offset
_LEAST_PAIR = _LENGTH + 4 + 1  # bytes: length of the key, type, the shortest value


@dataclass(frozen=True)
class GgufHeader:
    """Version, metadata (key → value) and the number of tensors that follow."""

    version: int
    tensor_count: int
    metadata: dict[str, Any]


@checked
def read_gguf_header(path: str | Path) -> GgufHeader:
    """Read magic number, version, tensor count and all metadata; the tensors themselves stay on disk.

    Nothing is believed: every length is held against what is left of the file before memory is taken for it.
    An array of numbers comes as a NumPy array. Source: the GGUF specification, version 3 (little-endian).

    >>> from lib.data import smollm2_file
    >>> read_gguf_header(smollm2_file()).metadata["general.architecture"]
    'llama'

    Raises:
        ValueError: not a GGUF file, another version, an unknown value type, a length beyond the end of the file,
            text that is not UTF-8, a key that comes twice, arrays within arrays.
    """
    with open(path, "rb") as file:
        return parse_header(file)


def parse_header(file: BinaryIO) -> GgufHeader:
    """What :func:`~lib.data.gguf.read_gguf_header` gives, from an open file, which then stands where the tensors are described."""
    magic = file.read(4)
    if magic != b"GGUF":
        raise ValueError(f"{Path(file.name).name} must begin with b'GGUF', got {magic!r}")
    version = read_number(file, "I", "version")
    if version != 3:
        raise ValueError(f"GGUF version must be 3, got {version}")
    tensor_count, pair_count = read_number(file, "Q", "number of tensors"), read_number(file, "Q", "number of pairs")
    _check_left(pair_count * _LEAST_PAIR, _left(file), f"{pair_count} pairs")
    metadata: dict[str, Any] = {}
    for _ in range(pair_count):
        key = read_text(file, "a key")
        if key in metadata:
            raise ValueError(f"each key of the header must come once, got {key!r} twice")
        metadata[key] = _value(file, read_number(file, "I", f"the type of {key!r}"), key)
    _check_left(tensor_count * _LEAST_TENSOR_INFO, _left(file), f"{tensor_count} tensors")
    return GgufHeader(version, tensor_count, metadata)


def _left(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size - file.tell()


def _check_left(size: int, left: int, what: str) -> None:
    if size > left:
        raise ValueError(f"the file ends too early: {what} must have {size} bytes, {left} are left")


def read_number(file: BinaryIO, letter: str, what: str) -> Any:
    """One number, by its letter in ``struct``; ``what`` it is, for the error where the file ends before it."""
    return struct.unpack(f"<{letter}", read_bytes(file, struct.calcsize(f"<{letter}"), what))[0]


def read_bytes(file: BinaryIO, size: int, what: str) -> bytes:
    """So many bytes, if the file has them left."""
    _check_left(size, _left(file), what)
    return file.read(size)


def read_text(file: BinaryIO, what: str) -> str:
    """One string behind its length."""
    return _strings(file, 1, what)[0]


def _strings(file: BinaryIO, count: int, what: str) -> list[str]:
    """So many strings, each behind its length, in one loop: a vocabulary has tens of thousands."""
    left, texts = _left(file), []
    for _ in range(count):
        if left < _LENGTH:
            _check_left(_LENGTH, left, f"the length of {what}")
        length = int.from_bytes(file.read(_LENGTH), "little")
        left -= _LENGTH
        if left < length:
            _check_left(length, left, what)
        left -= length
        try:
            texts.append(file.read(length).decode("utf-8"))
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{what} must be UTF-8, got byte {error.object[error.start]:#04x} at its {error.start}"
            ) from None
    return texts


def _value(file: BinaryIO, kind: int, key: str) -> Any:
    if kind in _SCALARS:
        return read_number(file, _SCALARS[kind], f"the value of {key!r}")
    if kind == _STRING:
        return read_text(file, f"the value of {key!r}")
    if kind != _ARRAY:
        raise ValueError(
            f"GGUF value type must be one of {sorted([*_SCALARS, _STRING, _ARRAY])}, got {kind} for {key!r}"
        )
    item_kind, count = (
        read_number(file, "I", f"the items' type of {key!r}"),
        read_number(file, "Q", f"the length of {key!r}"),
    )
    if item_kind in _SCALARS:
        dtype = np.dtype(f"<{_SCALARS[item_kind]}")
        return np.frombuffer(read_bytes(file, count * dtype.itemsize, f"the items of {key!r}"), dtype)
    if item_kind != _STRING:
        raise ValueError(f"an array must hold numbers or strings, got items of GGUF value type {item_kind} for {key!r}")
    _check_left(_LENGTH * count, _left(file), f"the items of {key!r}")
    return _strings(file, count, f"an item of {key!r}")
