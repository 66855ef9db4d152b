"""Integer products are exact, by whichever way they are computed."""

from importlib import import_module

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.compression import affine_product, dequantize, grid_for, integer_product, quantize
from lib.core import seeded

ways = import_module("lib.compression.integer_product")  # the package has a function of this name


def codes(*shape, seed, low=-128):
    return torch.randint(low, 128, shape, generator=seeded(seed), dtype=torch.int8)


def saturating(a, b):
    """What x86 processors without VNNI do: pairs of products of an unsigned and a signed byte are added in 16 bits."""
    pairs = ((a.int() + 128)[:, :, None] * b.int()).unflatten(1, (-1, 2)).sum(2).clamp(-(2**15), 2**15 - 1)
    return (pairs.sum(1) - 128 * b.int().sum(0)).int()


@pytest.fixture(params=["kernel", "floats"])
def way(request, monkeypatch):
    if request.param == "floats":
        monkeypatch.setattr(ways, "_kernel_is_exact", lambda device: False)


@pytest.mark.parametrize(
    ("rows", "inner", "columns"), [(1, 1, 1), (1, 64, 8), (17, 33, 5), (3, 1025, 2), (64, 4001, 9)]
)
@pytest.mark.parametrize("extreme", [False, True])
def test_products_are_those_of_long_integers(way, rows, inner, columns, extreme):
    a, b = codes(rows, inner, seed=1), codes(columns, inner, seed=2)
    if extreme:
        a, b = torch.full_like(a, 127), torch.full_like(b, -128)
        b[0] = 127  # odd products, whose sums float32 could not hold
    product = integer_product(a, b)
    assert product.dtype == torch.int32
    assert torch.equal(product.long(), a.long() @ b.long().T)


def test_the_longest_row_that_is_taken_does_not_overflow(way):
    a = torch.full((1, 131_071), -128, dtype=torch.int8)
    assert integer_product(a, a).item() == 131_071 * 2**14


@pytest.fixture
def replace_kernel(monkeypatch):
    """Put a function in the place of torch's kernel, on a processor where it is asked for and not yet judged."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    ways._kernel_is_exact.cache_clear()
    yield lambda kernel: monkeypatch.setattr(torch, "_int_mm", kernel)
    ways._kernel_is_exact.cache_clear()


def test_a_kernel_that_saturates_is_found_out(replace_kernel):
    replace_kernel(saturating)
    a, b = codes(4, 64, seed=1), codes(3, 64, seed=2)
    assert not torch.equal(saturating(a, b.T).long(), a.long() @ b.long().T)
    assert torch.equal(integer_product(a, b).long(), a.long() @ b.long().T)


def test_a_missing_kernel_gives_way(replace_kernel):
    def missing(a, b):
        raise NotImplementedError("no kernel")

    replace_kernel(missing)
    a, b = codes(2, 8, seed=1), codes(3, 8, seed=2)
    assert torch.equal(integer_product(a, b).long(), a.long() @ b.long().T)


@pytest.mark.parametrize(("capability", "called"), [("AVX2", 0), ("AVX512", 1), ("DEFAULT", 1)])
def test_torchs_kernel_is_passed_by_where_it_is_slow(monkeypatch, capability, called):
    calls = []
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(ways, "_kernel_is_exact", lambda device: True)
    monkeypatch.setattr(torch, "_int_mm", lambda a, b: calls.append(1) or (a.long() @ b.long()).int())
    a, b = codes(4, 64, seed=1), codes(3, 64, seed=2)
    assert torch.equal(integer_product(a, b).long(), a.long() @ b.long().T)
    assert len(calls) == called


def test_autocast_does_not_round_the_sums(monkeypatch):
    monkeypatch.setattr(ways, "_kernel_is_exact", lambda device: False)
    a, b = codes(4, 300, seed=1), codes(3, 300, seed=2)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(integer_product(a, b).long(), a.long() @ b.long().T)


@given(
    seed=st.integers(0, 1000), a_kind=st.sampled_from(["row", "all"]), symmetric=st.tuples(st.booleans(), st.booleans())
)
@pytest.mark.equation("eq-integer-product")
def test_scales_and_zero_points_give_the_product_of_what_the_codes_stand_for(seed, a_kind, symmetric):
    a = torch.randn(5, 30, generator=seeded(seed), dtype=torch.float64) + 1
    b = torch.randn(4, 30, generator=seeded(seed + 1), dtype=torch.float64) - 0.5
    a_grid = grid_for(a if a_kind == "row" else a.reshape(1, -1), 8, symmetric=symmetric[0])
    b_grid = grid_for(b, 8, symmetric=symmetric[1])
    qa, qb = quantize(a, a_grid), quantize(b, b_grid)
    expected = dequantize(qa, a_grid) @ dequantize(qb, b_grid).T
    # Sums of 30 products, in another order of multiplying: roundings of float64.
    torch.testing.assert_close(affine_product(qa, a_grid, qb, b_grid), expected, atol=1e-11, rtol=1e-11)
