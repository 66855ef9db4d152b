"""Attention is its definition, is torch's, sees what the mask allows and nothing else, and has the right gradients."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck
from torch.nn import functional as F
from torch.testing import assert_close

from lib.architectures import MultiHeadAttention, attention, merge_heads, split_heads
from lib.core import seeded

# The same examples in every run, and no deadline: a busy machine is no bug.
reproducible = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=seeded(seed))


def some_mask(*shape, seed=0):
    """A random mask in which every query may attend to something."""
    mask = torch.rand(*shape, generator=seeded(seed)) < 0.5
    mask[..., 0] |= ~mask.any(-1)
    return mask


def by_definition(query, key, value, allowed):
    """A query at a time, a key at a time, with exponentials of plain numbers."""
    out = torch.zeros(*query.shape[:-1], value.shape[-1], dtype=query.dtype)
    for *where, t in torch.cartesian_prod(*(torch.arange(size) for size in query.shape[:-1])).tolist():
        where = tuple(where)
        powers = {
            s: math.exp((query[where][t] @ key[where][s]).item() / math.sqrt(query.shape[-1]))
            for s in range(key.shape[-2])
            if allowed[where][t, s]
        }
        for s, power in powers.items():
            out[where][t] += power / sum(powers.values()) * value[where][s]
    return out


@pytest.mark.equation("eq-attention")
def test_attention_is_the_average_of_the_values_by_the_softmax_of_scaled_products():
    # Three features for the products, two in the values, more keys than queries: no two sizes agree by chance.
    query, key, value = random(2, 3, 4, 3), random(2, 3, 5, 3, seed=1), random(2, 3, 5, 2, seed=2)
    everything = torch.ones(2, 3, 4, 5, dtype=torch.bool)
    assert_close(attention(query, key, value), by_definition(query, key, value, everything))
    mask = some_mask(2, 3, 4, 5)
    assert_close(attention(query, key, value, mask=mask), by_definition(query, key, value, mask))


def test_a_query_along_one_key_takes_its_value_and_a_query_of_zeros_takes_the_mean():
    key = torch.eye(4)
    value = torch.tensor([[1.0], [2.0], [4.0], [9.0]])
    # A score of 1000/√4 = 500 above the others leaves them e⁻⁵⁰⁰, which is 0 in float32: equality is exact.
    assert attention(1000 * key[[2, 0]], key, value).tolist() == [[4.0], [1.0]]
    assert attention(torch.zeros(1, 4), key, value).item() == 4.0
    assert attention(torch.zeros(4, 4), key, value, causal=True)[:, 0].tolist() == [1.0, 1.5, pytest.approx(7 / 3), 4.0]


@pytest.mark.parametrize("leading", [(), (2,), (2, 3), (2, 1, 3)], ids=str)
@pytest.mark.parametrize("masked", ["nothing", "a mask", "the future", "a mask and the future"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_values_and_gradients_are_torchs(leading, masked, dtype):
    tensors = [random(*leading, 6, width, dtype=dtype, seed=width).requires_grad_() for width in (5, 5, 3)]
    tensors[1] = random(*leading, 6, 5, dtype=dtype, seed=9).requires_grad_()
    past = torch.ones(6, 6, dtype=torch.bool).tril()
    mask = some_mask(*leading, 6, 6) | torch.eye(6, dtype=torch.bool) if "mask" in masked else None
    causal = "future" in masked
    both = past if mask is None else mask & past
    outputs = [
        attention(*tensors, mask=mask, causal=causal),
        F.scaled_dot_product_attention(*tensors, attn_mask=both if causal else mask),
    ]
    assert_close(*outputs)
    gradients = [torch.autograd.grad(y.sin().sum(), tensors) for y in outputs]
    for mine, other in zip(*gradients, strict=True):
        # Sums of six products in another order: float32's default tolerance times a few for small numbers.
        assert_close(mine, other, rtol=1e-5, atol=1e-5 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize("shape", [(4, 5), (1, 5), (2, 1, 1, 5), (1, 3, 4, 1), (4, 1)], ids=str)
def test_a_mask_is_broadcast_as_torch_does_it(shape):
    query, key, value = random(2, 3, 4, 3), random(2, 3, 5, 3, seed=1), random(2, 3, 5, 2, seed=2)
    mask = some_mask(*shape)
    full = mask.expand(2, 3, 4, 5)
    assert_close(attention(query, key, value, mask=mask), attention(query, key, value, mask=full))
    assert_close(
        attention(query, key, value, mask=mask), F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    )


@reproducible
@given(moment=st.integers(0, 6), seed=st.integers(0, 99))
def test_the_future_has_no_influence_on_the_past(moment, seed):
    tensors = [random(2, 7, 4, seed=seed + i).requires_grad_() for i in range(3)]
    y = attention(*tensors, causal=True)
    changed = [torch.cat([x[:, : moment + 1], random(2, 6 - moment, 4, seed=seed + 9)], dim=1) for x in tensors]
    # Bit for bit: the scores of the future become −∞ whatever they were.
    assert torch.equal(attention(*changed, causal=True)[:, : moment + 1], y[:, : moment + 1])
    for gradient in torch.autograd.grad(y[:, : moment + 1].sum(), tensors):
        assert not gradient[:, moment + 1 :].any()


def test_what_comes_before_does_have_an_influence():
    x = random(1, 5, 4)
    other = x.clone()
    other[:, 0] += 1
    assert (attention(x, x, x, causal=True) != attention(other, other, other, causal=True)).all()


@reproducible
@given(hidden=st.sets(st.integers(0, 5), max_size=5), seed=st.integers(0, 99), size=st.sampled_from([1.0, 1e6]))
def test_masked_keys_have_no_influence(hidden, seed, size):
    query, key, value = (random(2, 6, 4, seed=seed + i) for i in range(3))
    seen = [i for i in range(6) if i not in hidden]
    mask = torch.tensor([[i in seen for i in range(6)]])
    y = attention(query, key, value, mask=mask)
    key[:, sorted(hidden)] = size * random(2, len(hidden), 4, seed=seed + 3)
    value[:, sorted(hidden)] = size * random(2, len(hidden), 4, seed=seed + 4)
    assert torch.equal(attention(query, key, value, mask=mask), y)
    assert_close(y, attention(query, key[:, seen], value[:, seen]))  # as if they were not there


def test_a_query_that_may_see_nothing_gets_zeros_and_no_gradient():
    tensors = [random(2, 3, 4, seed=i).requires_grad_() for i in range(3)]
    mask = torch.tensor([[True, False, True], [False, False, False], [True, True, True]])
    y = attention(*tensors, mask=mask)
    assert not y[:, 1].any()
    assert_close(y, F.scaled_dot_product_attention(*tensors, attn_mask=mask))
    with torch.autograd.set_detect_anomaly(True):  # no NaN on the way back either, not even one that is masked later
        gradients = torch.autograd.grad(y.sum(), tensors)
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert not gradients[0][:, 1].any()
    nothing = torch.zeros(3, 3, dtype=torch.bool)
    assert not attention(*tensors, mask=nothing).any()
    # Each allows something, both together nothing: the first query may only see the future.
    assert not attention(*tensors, mask=~torch.eye(3, dtype=torch.bool), causal=True)[:, 0].any()


def test_gradients_pass_a_numerical_check():
    tensors = [random(2, 4, 3, seed=i).requires_grad_() for i in range(3)]
    mask = some_mask(4, 4)
    mask[2] = False
    for options in ({}, {"causal": True}, {"mask": mask}):
        assert gradcheck(lambda *qkv, options=options: attention(*qkv, **options), tensors)


@reproducible
@given(order=st.permutations(range(6)))
def test_without_a_mask_permuted_positions_give_permuted_outputs(order):
    layer = MultiHeadAttention(8, 4).double()
    x = random(2, 6, 8)
    assert_close(layer(x[:, order]), layer(x)[:, order])
    # With the causal mask the order counts.
    if order[0] != 0:
        assert (layer(x[:, order], causal=True) - layer(x, causal=True)[:, order]).abs().max() > 1e-4


def test_scores_that_overflow_exp_are_harmless():
    key, value = torch.eye(2) * 1e4, torch.tensor([[3.0], [5.0]])
    assert attention(key, key, value)[:, 0].tolist() == [3.0, 5.0]


def test_heads_are_slices_of_neighbouring_features():
    x = torch.arange(24.0).reshape(1, 2, 12)
    heads = split_heads(x, 3)
    assert heads.shape == (1, 3, 2, 4)
    assert heads[0, 1].tolist() == [[4.0, 5.0, 6.0, 7.0], [16.0, 17.0, 18.0, 19.0]]
    assert torch.equal(merge_heads(heads), x)


@pytest.mark.equation("eq-multi-head")
@pytest.mark.parametrize("heads", [1, 2, 4])
def test_several_heads_are_one_attention_each_and_a_sum(heads):
    layer, x, d = MultiHeadAttention(8, heads).double(), random(3, 5, 8), 8 // heads
    expected = layer.output.bias.expand(3, 5, 8).clone()
    for i in range(heads):
        rows = slice(i * d, (i + 1) * d)
        q, k, v = (x @ part.weight[rows].T + part.bias[rows] for part in (layer.query, layer.key, layer.value))
        expected += attention(q, k, v, causal=True) @ layer.output.weight[:, rows].T
    assert_close(layer(x, causal=True), expected)


def into_torch(ours, bias=True):
    """The state dict under torch's names, by the mapping of the docstring."""
    state = {
        f"in_proj_{kind}": torch.cat([getattr(part, kind) for part in (ours.query, ours.key, ours.value)])
        for kind in (("weight", "bias") if bias else ("weight",))
    }
    return state | {f"out_proj.{name}": value for name, value in ours.output.state_dict().items()}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_values_and_gradients_are_those_of_torchs_layer(bias, causal):
    ours, torchs = MultiHeadAttention(12, 3, bias=bias), nn.MultiheadAttention(12, 3, bias=bias, batch_first=True)
    torchs.load_state_dict(into_torch(ours, bias))
    ours, torchs = ours.double(), torchs.double()
    x = random(2, 5, 12).requires_grad_()
    padding = torch.tensor([[True] * 5, [True, True, True, False, False]])
    hidden = torch.ones(5, 5, dtype=torch.bool).triu(1) if causal else None
    outputs = [
        ours(x, mask=padding[:, None, None, :], causal=causal),
        torchs(x, x, x, key_padding_mask=~padding, attn_mask=hidden, need_weights=False)[0],
    ]
    assert_close(*outputs)
    for y in outputs:
        y.sin().sum().backward(inputs=[x, *(ours if y is outputs[0] else torchs).parameters()])
    mine = {name: parameter.grad for name, parameter in ours.named_parameters()}
    stacked = torch.cat([mine["query.weight"], mine["key.weight"], mine["value.weight"]])
    assert_close(stacked, torchs.in_proj_weight.grad)
    assert_close(mine["output.weight"], torchs.out_proj.weight.grad)
    assert_close(*torch.autograd.grad(ours(x).cos().sum(), x), *torch.autograd.grad(torchs(x, x, x)[0].cos().sum(), x))


def test_torchs_state_goes_into_ours():
    ours, torchs = MultiHeadAttention(12, 4), nn.MultiheadAttention(12, 4, batch_first=True)
    with torch.no_grad():
        torchs.in_proj_bias.normal_()
        torchs.out_proj.bias.normal_()
    state = {f"output.{name}": value for name, value in torchs.out_proj.state_dict().items()}
    for kind, packed in {"weight": torchs.in_proj_weight, "bias": torchs.in_proj_bias}.items():
        for name, part in zip(("query", "key", "value"), packed.chunk(3), strict=True):
            state[f"{name}.{kind}"] = part
    ours.load_state_dict(state)
    x = random(2, 5, 12, dtype=torch.float32)
    assert_close(ours(x), torchs(x, x, x)[0])


def test_fewer_queries_than_keys_are_the_last_positions():
    query, key, value = (random(2, 6, 4, seed=i) for i in range(3))
    whole = attention(query, key, value, causal=True)
    for last in (1, 2, 5):
        assert_close(attention(query[:, -last:], key, value, causal=True), whole[:, -last:])


def test_a_mask_of_three_axes_is_refused_beside_heads_however_well_its_sizes_fit():
    layer, x = MultiHeadAttention(8, heads=2), torch.randn(2, 3, 8)
    mask = torch.tensor([[True, True, False], [True, True, True]])[:, None].expand(2, 3, 3)
    with pytest.raises(ValueError, match=r"mask must have the axes \(queries, keys\) or all of \(2, 2, 3, 3\)"):
        layer(x, mask=mask)
    alone = torch.cat([layer(one[None], mask=its[None, None]) for one, its in zip(x, mask, strict=True)])
    assert_close(layer(x, mask=mask[:, None]), alone)
