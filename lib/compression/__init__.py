"""Make a built model small: by fewer bits, fewer weights, a smaller student, or smaller factors."""

from .packing import pack_bits, unpack_bits
from .plans import merged_plans, plan_for
from .recorded_inputs import record_inputs
from .stored_bytes import bytes_of

__all__ = [
    "bytes_of",
    "merged_plans",
    "pack_bits",
    "plan_for",
    "record_inputs",
    "unpack_bits",
]
