"""Read the header of a GGUF file: what a language model's file says of itself."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["GgufHeader", "read_gguf_header"]

# Value types of the GGUF specification, version 3: number → struct format.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True)
class GgufHeader:
    """Version, metadata (key → value) and the number of tensors that follow."""

    version: int
    tensor_count: int
    metadata: dict[str, Any]


def read_gguf_header(path: Path) -> GgufHeader:
    """Read magic number, version, tensor count and all metadata; the tensors themselves stay on disk.

    Source: the GGUF specification, version 3 (little-endian).

    Raises:
        ValueError: not a GGUF file, another version, or an unknown value type.
    """
    with open(path, "rb") as file:
        magic = file.read(4)
        if magic != b"GGUF":
            raise ValueError(f"{Path(path).name} must begin with b'GGUF', got {magic!r}")
        version, tensor_count, pair_count = _unpack(file, "I"), _unpack(file, "Q"), _unpack(file, "Q")
        if version != 3:
            raise ValueError(f"GGUF version must be 3, got {version}")
        metadata = {}
        for _ in range(pair_count):
            key = _value(file, _STRING)
            metadata[key] = _value(file, _unpack(file, "I"))
    return GgufHeader(version, tensor_count, metadata)


def _unpack(file: BinaryIO, letter: str) -> Any:
    size = struct.calcsize(f"<{letter}")
    chunk = file.read(size)
    if len(chunk) < size:
        raise ValueError(f"the file ends inside its header: {size} bytes wanted, {len(chunk)} left")
    return struct.unpack(f"<{letter}", chunk)[0]


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return file.read(_unpack(file, "Q")).decode("utf-8")
    if kind == _ARRAY:
        item_kind, length = _unpack(file, "I"), _unpack(file, "Q")
        return [_value(file, item_kind) for _ in range(length)]
    if kind not in _SCALARS:
        raise ValueError(f"GGUF value type must be one of {sorted([*_SCALARS, _STRING, _ARRAY])}, got {kind}")
    return _unpack(file, _SCALARS[kind])
