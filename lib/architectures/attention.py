"""Attention: each position asks, all positions answer, and the answers are averaged by how well they fit."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.precision import autocasts, in_float32
from lib.core.rules import PositiveInt
from lib.core.validation import check_divisible, check_lengths

from .dense import Linear
from .softmax import softmax

__all__ = ["MultiHeadAttention", "attention", "merge_heads", "padding_mask", "split_heads"]

#: Keys and values of all heads.
KeysValues = tuple[Float[Tensor, "batch kv_heads keys head_dim"], Float[Tensor, "batch kv_heads keys head_dim"]]

#: Takes the keys and values of new positions and gives those of all: ``functools.partial(cache.extend, layer)``.
Extend = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@checked
@autocasts
@in_float32
def attention(
    query: Float[Tensor, "*leading queries head_dim"],
    key: Float[Tensor, "*leading keys head_dim"],
    value: Float[Tensor, "*leading keys value_dim"],
    *,
    mask: Bool[Tensor, "..."] | None = None,
    causal: bool = False,
    bias: Float[Tensor, "..."] | None = None,
) -> Float[Tensor, "*leading queries value_dim"]:
    """Average the values by the softmax of the scaled products of query and key (Vaswani et al. 2017, eq. 1).

    Equation: eq-attention

    A boolean ``mask`` is True where a query may attend to a key: ``[queries, keys]``, or with all leading axes, each
    as long as the scores' or 1. ``causal`` allows each position itself and what came before it; fewer queries
    than keys are the last positions, as when the keys of earlier ones are cached. Where both are given, both must
    allow. A query that may attend to nothing gets zeros, and passes no gradient on. A ``bias``, of a mask's axes, is
    added to the scores.

    >>> x = torch.eye(2)
    >>> attention(x, x, x, causal=True)[0]  # the first position sees itself only
    tensor([1., 0.])

    Raises:
        TypeError: integer tensors, tensors of different dtype, a mask that is not boolean (so an additive one).
        ValueError: shapes that disagree, no elements, a mask or bias of other axes, ``causal`` with more queries than
            keys.
    """
    # Dividing the queries divides the scores, of which there are more.
    scores = (query / math.sqrt(query.shape[-1])) @ key.mT  # *leading queries keys
    if bias is not None:
        _check_axes("bias", bias, scores)
        scores = scores + bias
    allowed = _allowed(scores, mask, causal)
    if allowed is None:
        return softmax(scores) @ value
    if mask is None:  # causal alone, where each position sees itself: a sum passes gradients on as they are
        future = scores.new_zeros(allowed.shape).masked_fill(~allowed, -math.inf)
        return softmax(scores.add_(future)) @ value  # in place: nobody else has seen these scores
    # The softmax of −∞ alone would be NaN: a row with nothing to see is computed unmasked and then dropped.
    blind = ~allowed.any(-1, keepdim=True)
    weights = softmax(scores.masked_fill(~(allowed | blind), -math.inf))
    return weights.masked_fill(blind, 0) @ value


@checked
def padding_mask(lengths: Int64[Tensor, " batch"], time: PositiveInt) -> Bool[Tensor, "batch 1 1 time"]:
    """Say which of ``time`` keys are no padding, as the ``mask`` of several heads: sequence i ends after ``lengths[i]``.

    >>> padding_mask(torch.tensor([3, 1]), 3)[:, 0, 0]
    tensor([[ True,  True,  True],
            [ True, False, False]])

    Raises:
        TypeError: lengths that are not int64.
        ValueError: lengths below 1 or beyond ``time``.
    """
    check_lengths("lengths", lengths, time)
    return (torch.arange(time, device=lengths.device) < lengths[:, None])[:, None, None]


@checked
def split_heads(
    x: Float[Tensor, "*batch time width"], heads: PositiveInt
) -> Float[Tensor, "*batch heads time head_dim"]:
    """Cut the last axis into ``heads`` equal pieces, neighbouring features together: a view.

    >>> split_heads(torch.zeros(1, 5, 8), 2).shape
    torch.Size([1, 2, 5, 4])

    Raises:
        ValueError: fewer than one head, or a width that the heads do not divide.
    """
    check_divisible("width", x.shape[-1], "heads", heads)
    return x.unflatten(-1, (heads, -1)).transpose(-3, -2)


@checked
def merge_heads(x: Float[Tensor, "*batch heads time head_dim"]) -> Float[Tensor, "*batch time width"]:
    """Put the heads of each position beside each other: undoes :func:`split_heads`.

    >>> merge_heads(torch.zeros(1, 2, 5, 4)).shape
    torch.Size([1, 5, 8])
    """
    return x.transpose(-3, -2).flatten(-2)


class MultiHeadAttention(nn.Module):
    """Attention of several heads, each in its own slice of the features (Vaswani et al. 2017, section 3.2.2).

    Equation: eq-multi-head

    The paper's matrices for head i are rows i·d … (i+1)·d of ``query``, ``key`` and ``value`` and the same
    columns of ``output``, with d = width / heads. :class:`torch.nn.MultiheadAttention` stacks the first three:
    its ``in_proj_weight`` is ``torch.cat([query.weight, key.weight, value.weight])``, its ``in_proj_bias``
    likewise, and its ``out_proj`` is ``output``. With fewer ``kv_heads``, neighbouring heads share one pair of key
    and value (Ainslie et al. 2023, section 2.2). Keys and values come from ``context`` where it is given, which may
    also be what :meth:`keys_values` has made of it.

    >>> MultiHeadAttention(8, 2)(torch.zeros(1, 5, 8), causal=True).shape
    torch.Size([1, 5, 8])

    Raises:
        TypeError: sizes that are not ints; in the call as :func:`attention`.
        ValueError: sizes below 1, a width that the heads do not divide, heads that the kv_heads do not; in the call
            as :func:`attention` and :meth:`~lib.architectures.kv_cache.KVCache.extend`.
    """

    @checked
    def __init__(
        self, width: PositiveInt, heads: PositiveInt, *, kv_heads: PositiveInt | None = None, bias: bool = True
    ) -> None:
        super().__init__()
        check_divisible("width", width, "heads", heads)
        kv_heads = kv_heads or heads
        check_divisible("heads", heads, "kv_heads", kv_heads)
        self.heads, self.sharing = heads, heads // kv_heads  # so many heads share one pair of key and value
        self.query = Linear(width, width, bias)
        self.key = Linear(width, width // heads * kv_heads, bias)
        self.value = Linear(width, width // heads * kv_heads, bias)
        self.output = Linear(width, width, bias)

    @checked
    def forward(
        self,
        x: Float[Tensor, "batch time width"],
        context: Float[Tensor, "batch keys width"] | KeysValues | None = None,
        *,
        mask: Bool[Tensor, "..."] | None = None,
        causal: bool = False,
        bias: Float[Tensor, "..."] | None = None,
        cache: Extend | None = None,
    ) -> Float[Tensor, "batch time width"]:
        q = split_heads(self.query(x), self.heads)
        k, v = context if isinstance(context, tuple) else self.keys_values(x if context is None else context)
        return self.attended(q, k, v, mask=mask, causal=causal, bias=bias, cache=cache)

    def keys_values(self, context: Float[Tensor, "batch keys width"]) -> KeysValues:
        """Project what will be attended to more than once, such as an encoder's output."""
        return tuple(split_heads(layer(context), self.heads // self.sharing) for layer in (self.key, self.value))

    def attended(
        self,
        q: Float[Tensor, "batch heads time head_dim"],
        k: Float[Tensor, "batch kv_heads new head_dim"],
        v: Float[Tensor, "batch kv_heads new head_dim"],
        *,
        cache: Extend | None = None,
        **how: Tensor | bool | None,
    ) -> Float[Tensor, "batch time width"]:
        """What the queries find in new keys and values and those of the cache, mapped to the output."""
        if cache is not None:
            k, v = cache(k, v)
        if self.sharing > 1:
            k, v = (part.repeat_interleave(self.sharing, 1) for part in (k, v))
        return self.output(merge_heads(attention(q, k, v, **how)))

    def extra_repr(self) -> str:
        return f"heads={self.heads}" + (f", kv_heads={self.heads // self.sharing}" if self.sharing > 1 else "")


def _allowed(scores: Tensor, mask: Tensor | None, causal: bool) -> Tensor | None:
    """Say which pairs may meet, or None for all."""
    queries, keys = scores.shape[-2:]
    if mask is not None:
        _check_axes("mask", mask, scores)
    if not causal:
        return mask
    if queries > keys:
        raise ValueError(f"causal attention needs a key for each query, got {queries} queries and {keys} keys")
    if queries == 1:  # the last position, which sees all
        return mask
    # Aligned at the end: the last query is the last key's position.
    past = torch.ones(queries, keys, dtype=torch.bool, device=scores.device).tril(keys - queries)
    return past if mask is None else mask & past


def _check_axes(name: str, given: Tensor, scores: Tensor) -> None:
    # With three axes nobody could tell a mask for each example from one for each head.
    fits = given.ndim in (2, scores.ndim) and all(
        size in (1, full) for size, full in zip(given.shape[::-1], scores.shape[::-1], strict=False)
    )
    if not fits:
        raise ValueError(
            f"{name} must have the axes (queries, keys) or all of {tuple(scores.shape)}, each of that size or 1, "
            f"got {tuple(given.shape)}"
        )
