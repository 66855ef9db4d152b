"""The Transformer of Llama: positions turned into queries and keys, a gated MLP, norms that only scale, no biases."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.rules import NonNegativeInt, PositiveFloat, PositiveInt
from lib.core.validation import check_divisible

from .activations import sigmoid
from .attention import Extend, MultiHeadAttention, split_heads
from .dense import Linear
from .initialization import normal_matrices
from .kv_cache import KVCache, position_of_next
from .normalization import RMSNorm
from .positions import rotary

__all__ = ["Llama", "LlamaBlock", "LlamaConfig", "RotaryAttention", "SwiGLU"]

Pairs = Literal["neighbours", "halves"]


@checked
@dataclass(frozen=True)
class LlamaConfig:
    """Sizes of a Llama; ``base`` and ``pairs`` as in :func:`~lib.architectures.positions.rotary`.

    A ``tied`` head is the table of the embedding.

    >>> LlamaConfig(layers=2, width=8, heads=4, kv_heads=2, mlp_width=24, vocabulary=50, context=16).base
    10000.0

    Raises:
        TypeError: sizes that are not ints.
        ValueError: sizes below 1, heads that do not divide the width into even parts, kv_heads that do not divide the
            heads, a base or eps that is not positive, other pairs.
    """

    layers: PositiveInt
    width: PositiveInt
    heads: PositiveInt
    kv_heads: PositiveInt
    mlp_width: PositiveInt
    vocabulary: PositiveInt
    context: PositiveInt
    base: PositiveFloat = 10_000.0
    eps: PositiveFloat = 1e-5
    tied: bool = True
    pairs: Pairs = "neighbours"

    def __post_init__(self) -> None:
        check_divisible("width", self.width, "twice the heads,", 2 * self.heads)
        check_divisible("heads", self.heads, "kv_heads", self.kv_heads)


class SwiGLU(nn.Module):
    """A gated MLP, ``down(silu(gate(x)) · up(x))`` with silu(z) = z σ(z) (Shazeer 2020, equation 6; no biases).

    Equation: eq-swiglu

    >>> SwiGLU(8, 24)(torch.zeros(1, 5, 8)).shape
    torch.Size([1, 5, 8])

    Raises:
        TypeError: sizes that are not ints; in the call as :func:`~lib.architectures.dense.linear`.
        ValueError: sizes below 1; in the call as :func:`~lib.architectures.dense.linear`.
    """

    @checked
    def __init__(self, width: PositiveInt, mlp_width: PositiveInt) -> None:
        super().__init__()
        self.gate = Linear(width, mlp_width, bias=False)
        self.up = Linear(width, mlp_width, bias=False)
        self.down = Linear(mlp_width, width, bias=False)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        gate = self.gate(x)
        return self.down(gate * sigmoid(gate) * self.up(x))


class RotaryAttention(MultiHeadAttention):
    """Causal attention whose queries and keys are turned by their positions, of which the first is ``start``.

    Keys are turned before a cache keeps them: one that is kept need not be turned again.

    >>> RotaryAttention(8, 4, kv_heads=2)(torch.zeros(1, 5, 8), start=3).shape
    torch.Size([1, 5, 8])

    Raises:
        TypeError: as :class:`~lib.architectures.attention.MultiHeadAttention`; a start that is not an int.
        ValueError: as :class:`~lib.architectures.attention.MultiHeadAttention` and
            :func:`~lib.architectures.positions.rotary`.
    """

    @checked
    def __init__(
        self,
        width: PositiveInt,
        heads: PositiveInt,
        *,
        kv_heads: PositiveInt | None = None,
        base: PositiveFloat = 10_000.0,
        pairs: Pairs = "neighbours",
    ) -> None:
        super().__init__(width, heads, kv_heads=kv_heads, bias=False)
        self.base, self.pairs = base, pairs

    @checked
    def forward(
        self, x: Float[Tensor, "batch time width"], *, start: NonNegativeInt = 0, cache: Extend | None = None
    ) -> Float[Tensor, "batch time width"]:
        q, (k, v) = split_heads(self.query(x), self.heads), self.keys_values(x)
        turned = rotary(torch.cat([q, k], 1), start=start, base=self.base, pairs=self.pairs)
        q, k = turned.split([q.shape[1], k.shape[1]], 1)
        return self.attended(q, k, v, causal=True, cache=cache)


class LlamaBlock(nn.Module):
    """One layer, pre-norm: ``x + attention(norm(x))``, then ``x + mlp(norm(x))`` (Touvron et al. 2023, section 2.2).

    >>> config = LlamaConfig(layers=1, width=8, heads=4, kv_heads=2, mlp_width=24, vocabulary=50, context=16)
    >>> LlamaBlock(config)(torch.zeros(1, 5, 8)).shape
    torch.Size([1, 5, 8])

    Raises:
        TypeError: as :class:`RotaryAttention`.
        ValueError: as :class:`RotaryAttention`.
    """

    @checked
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        c = config
        self.attention_norm = RMSNorm(c.width, c.eps)
        self.attention = RotaryAttention(c.width, c.heads, kv_heads=c.kv_heads, base=c.base, pairs=c.pairs)
        self.mlp_norm = RMSNorm(c.width, c.eps)
        self.mlp = SwiGLU(c.width, c.mlp_width)

    def forward(
        self, x: Float[Tensor, "batch time width"], *, start: int = 0, cache: Extend | None = None
    ) -> Float[Tensor, "batch time width"]:
        x = x + self.attention(self.attention_norm(x), start=start, cache=cache)
        return x + self.mlp(self.mlp_norm(x))


class Llama(nn.Module):
    """Tokens in, logits for the next token out: embedding, blocks, a norm, a head (Touvron et al. 2023, section 2.2).

    Position t sees tokens 0 … t. Weights start normal with standard deviation 0.02. With a ``cache`` the tokens are the
    next ones of those that it has read, and only their logits are computed.

    >>> config = LlamaConfig(layers=2, width=8, heads=4, kv_heads=2, mlp_width=24, vocabulary=50, context=16)
    >>> Llama(config)(torch.tensor([[3, 1, 4]])).shape
    torch.Size([1, 3, 50])

    Raises:
        TypeError: tokens that are not int64.
        ValueError: more than ``context`` tokens, none, or a token outside the vocabulary; in the call as
            :meth:`~lib.architectures.kv_cache.KVCache.extend`.
    """

    @checked
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = c = config
        self.embedding = nn.Embedding(c.vocabulary, c.width)
        self.blocks = nn.ModuleList(LlamaBlock(c) for _ in range(c.layers))
        self.norm = RMSNorm(c.width, c.eps)
        self.head = Linear(c.width, c.vocabulary, bias=False)
        if c.tied:
            self.head.weight = self.embedding.weight
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights of all maps and of the table anew."""
        normal_matrices(self, 0.02)

    @checked
    def forward(
        self, tokens: Int64[Tensor, "batch time"], *, cache: KVCache | None = None
    ) -> Float[Tensor, "batch time vocabulary"]:
        c = self.config
        start = position_of_next(tokens, cache, context=c.context, vocabulary=c.vocabulary)
        x = self.embedding(tokens)
        for layer, block in enumerate(self.blocks):
            x = block(x, start=start, cache=None if cache is None else partial(cache.extend, layer))
        return self.head(self.norm(x))
