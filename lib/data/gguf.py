"""Read the header of a GGUF file: what a language model's file says of itself."""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lib.core.boundary import checked

__all__ = ["GgufHeader", "read_gguf_header"]

# Value types of the GGUF specification, version 3: number → struct format.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_LEAST_TENSOR_INFO = 8 + 4 + 4 + 8  # bytes: length of its name, number of axes, type, offset
_LEAST_PAIR = 8 + 4 + 1  # bytes: length of the key, type, the shortest value


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
        magic = file.read(4)
        if magic != b"GGUF":
            raise ValueError(f"{Path(path).name} must begin with b'GGUF', got {magic!r}")
        version = _unpack(file, "I", "version")
        if version != 3:
            raise ValueError(f"GGUF version must be 3, got {version}")
        tensor_count, pair_count = _unpack(file, "Q", "number of tensors"), _unpack(file, "Q", "number of pairs")
        _check_left(file, pair_count * _LEAST_PAIR, f"{pair_count} pairs")
        metadata: dict[str, Any] = {}
        for _ in range(pair_count):
            key = _string(file, "a key")
            if key in metadata:
                raise ValueError(f"each key of the header must come once, got {key!r} twice")
            metadata[key] = _value(file, _unpack(file, "I", f"the type of {key!r}"), key)
        _check_left(file, tensor_count * _LEAST_TENSOR_INFO, f"{tensor_count} tensors")
    return GgufHeader(version, tensor_count, metadata)


def _check_left(file: BinaryIO, size: int, what: str) -> None:
    left = os.fstat(file.fileno()).st_size - file.tell()
    if size > left:
        raise ValueError(f"the file ends inside its header: {what} must have {size} bytes, {left} are left")


def _unpack(file: BinaryIO, letter: str, what: str) -> Any:
    return struct.unpack(f"<{letter}", _read(file, struct.calcsize(f"<{letter}"), what))[0]


def _read(file: BinaryIO, size: int, what: str) -> bytes:
    _check_left(file, size, what)
    return file.read(size)


def _string(file: BinaryIO, what: str) -> str:
    text = _read(file, _unpack(file, "Q", f"the length of {what}"), what)
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{what} must be UTF-8, got byte {error.object[error.start]:#04x} at its {error.start}"
        ) from None


def _value(file: BinaryIO, kind: int, key: str) -> Any:
    if kind in _SCALARS:
        return _unpack(file, _SCALARS[kind], f"the value of {key!r}")
    if kind == _STRING:
        return _string(file, f"the value of {key!r}")
    if kind != _ARRAY:
        raise ValueError(
            f"GGUF value type must be one of {sorted([*_SCALARS, _STRING, _ARRAY])}, got {kind} for {key!r}"
        )
    item_kind, count = _unpack(file, "I", f"the items' type of {key!r}"), _unpack(file, "Q", f"the length of {key!r}")
    if item_kind in _SCALARS:
        dtype = np.dtype(f"<{_SCALARS[item_kind]}")
        return np.frombuffer(_read(file, count * dtype.itemsize, f"the items of {key!r}"), dtype)
    if item_kind != _STRING:
        raise ValueError(f"an array must hold numbers or strings, got items of GGUF value type {item_kind} for {key!r}")
    _check_left(file, 8 * count, f"the items of {key!r}")
    return [_string(file, f"an item of {key!r}") for _ in range(count)]
