"""Write small GGUF files, sound ones and others, so that the reader can be tested without a large one."""

import struct
from dataclasses import dataclass, replace

import numpy as np

UINT32, FLOAT32, STRING, ARRAY = 4, 6, 8, 9
F32, Q4_1, Q8_0 = 0, 3, 8


def text(content):
    return struct.pack("<Q", len(content.encode())) + content.encode()


def value(content):
    """Type and value: a whole number as uint32, a list of texts, an int32 array, a text, a float."""
    if isinstance(content, str):
        return struct.pack("<I", STRING) + text(content)
    if isinstance(content, list):
        return struct.pack("<IIQ", ARRAY, STRING, len(content)) + b"".join(map(text, content))
    if isinstance(content, np.ndarray):
        return struct.pack("<IIQ", ARRAY, 5, len(content)) + content.astype("<i4").tobytes()
    if isinstance(content, float):
        return struct.pack("<If", FLOAT32, content)
    return struct.pack("<II", UINT32, content)


@dataclass(frozen=True)
class Tensor:
    """What the file says of a tensor, and the bytes that are written for it; ``offset`` None puts it after the one before."""

    name: str
    shape: tuple
    kind: int
    data: bytes
    offset: int | None = None

    def but(self, **changes):
        return replace(self, **changes)


def plain(name, numbers):
    return Tensor(name, numbers.shape, F32, numbers.astype("<f4").tobytes())


def blocks_of_16_levels(name, scale, minimum, quants):
    """Q4_1, block by block in a loop: two float16, then weight j beside weight j + 16 in one byte."""
    data = b""
    for d, m, q in zip(scale.reshape(-1), minimum.reshape(-1), quants.reshape(-1, 32), strict=True):
        data += struct.pack("<ee", d, m) + bytes(int(q[j]) + 16 * int(q[j + 16]) for j in range(16))
    return Tensor(name, (*quants.shape[:-2], quants.shape[-2] * 32), Q4_1, data)


def blocks_of_bytes(name, scale, quants):
    """Q8_0, block by block: a float16, then 32 signed bytes."""
    data = b""
    for d, q in zip(scale.reshape(-1), quants.reshape(-1, 32), strict=True):
        data += struct.pack("<e32b", d, *map(int, q))
    return Tensor(name, (*quants.shape[:-2], quants.shape[-2] * 32), Q8_0, data)


def gguf(metadata, tensors, alignment=32):
    """A whole file: header, what it says of its tensors, their bytes, each aligned."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(text(key) + value(content) for key, content in metadata.items())
    data = b""
    for tensor in tensors:
        data += bytes(-len(data) % alignment)
        offset = len(data) if tensor.offset is None else tensor.offset
        head += text(tensor.name) + struct.pack("<I", len(tensor.shape))
        head += struct.pack(f"<{len(tensor.shape)}Q", *tensor.shape[::-1]) + struct.pack("<IQ", tensor.kind, offset)
        data += tensor.data
    return head + bytes(-len(head) % alignment) + data
