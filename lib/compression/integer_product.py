"""Multiply matrices of integers exactly, and put scales and zero points in afterwards."""

from functools import cache

import torch
from jaxtyping import Float, Int8, Int32, Integer
from torch import Tensor

from lib.core.boundary import checked

from .grids import Grid

__all__ = ["affine_product", "integer_product"]

# (−128)² · 131,071 is the largest sum that an int32 is sure to hold.
_LONGEST = 2**31 // 2**14 - 1
# Sums of 1,024 products of two int8 are at most 2^24: float32 holds them exactly.
_EXACT = 2**24 // 2**14


@checked
def integer_product(a: Int8[Tensor, "batch inner"], b: Int8[Tensor, "columns inner"]) -> Int32[Tensor, "batch columns"]:
    """a bᵀ for matrices of int8, added up in int32: exact.

    By torch's int8 kernel where it has one that is exact. On x86 processors without VNNI that kernel adds pairs of
    products in 16 bits and clips them, silently: one product whose result is known tells, once a process. Where the
    processor has AVX2 and no more, the kernel is exact and ten times slower than floats. Elsewhere, then, by float32
    products short enough to be exact.

    >>> integer_product(torch.tensor([[127, -128]]).to(torch.int8), torch.tensor([[127, -128]]).to(torch.int8))
    tensor([[32513]], dtype=torch.int32)

    Raises:
        TypeError: another dtype than int8.
        ValueError: rows of different length, or longer than 131,071, which an int32 may not hold.
    """
    if a.shape[1] > _LONGEST:
        raise ValueError(f"inner must be at most {_LONGEST}, or an int32 may overflow, got {a.shape[1]}")
    return torch._int_mm(a, b.T) if _has_kernel(a, b) else _by_floats(a, b)


@checked
def affine_product(
    a: Integer[Tensor, "batch inner"], a_grid: Grid, b: Integer[Tensor, "columns inner"], b_grid: Grid
) -> Float[Tensor, "batch columns"]:
    """The product of two matrices that are given by their codes: s_a s_b (Σ q_a q_b − z_b Σ q_a − z_a Σ q_b + n z_a z_b).

    Equation: eq-integer-product

    Grids have one step for the matrix or one for each row (scale [rows, 1]). The sums are exact, so the result is the
    product of the dequantized matrices, rounded only where the scales come in. Source: Jacob et al. 2018, equation 7.

    >>> from lib.compression import affine_grid, quantize
    >>> a, grid = torch.tensor([[0.0, 3.0]]), affine_grid(torch.tensor(-1.0), torch.tensor(3.0), bits=8)
    >>> affine_product(quantize(a, grid), grid, quantize(a, grid), grid)
    tensor([[8.9765]])

    Raises:
        TypeError: codes that are neither int8 nor uint8.
        ValueError: as :func:`~lib.compression.integer_product.integer_product`.
    """
    (a, a_zero), (b, b_zero) = _signed("a", a, a_grid), _signed("b", b, b_grid)
    a_zero, b_zero = a_zero.reshape(-1, 1), b_zero.reshape(1, -1)
    a_sums, b_sums = a.sum(1, dtype=torch.int32)[:, None], b.sum(1, dtype=torch.int32)[None]
    # In int64: with zero points the four terms may each be larger than what is left of them.
    sums = integer_product(a, b).long() - b_zero * a_sums - a_zero * b_sums + a.shape[1] * a_zero * b_zero
    return a_grid.scale.reshape(-1, 1) * b_grid.scale.reshape(1, -1) * sums


def _signed(name: str, codes: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """Codes as int8 and their zero point as int64: 128 is taken from both where codes are uint8."""
    if codes.dtype == torch.int8:
        return codes, grid.zero_point.long()
    if codes.dtype != torch.uint8:
        raise TypeError(f"{name} must hold codes of dtype torch.int8 or torch.uint8, got {codes.dtype}")
    return (codes.short() - 128).to(torch.int8), grid.zero_point.long() - 128


def _has_kernel(a: Tensor, b: Tensor) -> bool:
    if a.is_cuda and (len(a) <= 16 or a.shape[1] % 8 or len(b) % 8):  # cuBLASLt's rules
        return False
    if a.device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2":
        return False
    return a.is_meta or _kernel_is_exact(a.device.type)


@cache
def _kernel_is_exact(device: str) -> bool:
    for rows in (1, 32):
        a = torch.full((rows, 64), 127, dtype=torch.int8, device=device)
        try:
            product = torch._int_mm(a, -a[:1].expand(32, 64).T.contiguous())
        except (NotImplementedError, RuntimeError):
            if device == "cuda" and rows == 1:
                continue
            return False
        if (product != -64 * 127 * 127).any():
            return False
    return True


def _by_floats(a: Tensor, b: Tensor) -> Tensor:
    total = torch.zeros(len(a), len(b), dtype=torch.int32, device=a.device)
    with torch.autocast(a.device.type, enabled=False):
        for a_part, b_part in zip(a.split(_EXACT, 1), b.split(_EXACT, 1), strict=True):
            total += (a_part.float() @ b_part.float().T).int()
    return total
