"""A small Transformer: attention moves between positions, an MLP works on each, residuals carry the sum."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.rules import PositiveFloat, PositiveInt
from lib.core.validation import check_divisible

from .activations import gelu
from .attention import Extend, MultiHeadAttention
from .dense import Linear
from .initialization import normal_matrices
from .kv_cache import KVCache, position_of_next
from .normalization import LayerNorm
from .positions import LearnedPositions

__all__ = ["MLP", "Block", "Transformer", "TransformerConfig"]


class MLP(nn.Module):
    """Two affine maps with a GELU between them, at each position by itself (Vaswani et al. 2017, eq. 2, with GELU).

    >>> MLP(8, 32)(torch.zeros(1, 5, 8)).shape
    torch.Size([1, 5, 8])

    Raises:
        TypeError: sizes that are not ints; in the call as :func:`~lib.architectures.dense.linear`.
        ValueError: sizes below 1; in the call as :func:`~lib.architectures.dense.linear`.
    """

    @checked
    def __init__(self, width: PositiveInt, mlp_width: PositiveInt) -> None:
        super().__init__()
        self.up = Linear(width, mlp_width)
        self.down = Linear(mlp_width, width)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        return self.down(gelu(self.up(x)))


class Block(nn.Module):
    """One pre-norm layer: ``x + attention(norm(x))``, then ``x + mlp(norm(x))`` (Xiong et al. 2020, figure 1b).

    Equation: eq-pre-norm-block

    With ``norm="post"`` it is ``norm(x + attention(x))``, then ``norm(x + mlp(x))``, as in the paper that introduced
    the Transformer (Vaswani et al. 2017, section 3.1). With the norm before, the residual path runs from the
    first layer to the last untouched, and training needs no warm-up to begin.

    >>> Block(8, 2, 32)(torch.zeros(1, 5, 8)).shape
    torch.Size([1, 5, 8])

    Raises:
        TypeError: as :class:`~lib.architectures.attention.MultiHeadAttention`.
        ValueError: as :class:`~lib.architectures.attention.MultiHeadAttention`; another place of the norm.
    """

    @checked
    def __init__(
        self,
        width: PositiveInt,
        heads: PositiveInt,
        mlp_width: PositiveInt,
        *,
        norm: Literal["pre", "post"] = "pre",
        eps: PositiveFloat = 1e-5,
    ) -> None:
        super().__init__()
        self.norm = norm
        self.attention_norm = LayerNorm(width, eps)
        self.attention = MultiHeadAttention(width, heads)
        self.mlp_norm = LayerNorm(width, eps)
        self.mlp = MLP(width, mlp_width)

    def forward(
        self,
        x: Float[Tensor, "batch time width"],
        *,
        mask: Bool[Tensor, "..."] | None = None,
        causal: bool = False,
        cache: Extend | None = None,
    ) -> Float[Tensor, "batch time width"]:
        x = self.added(self.attention_norm, partial(self.attention, mask=mask, causal=causal, cache=cache), x)
        return self.added(self.mlp_norm, self.mlp, x)

    def added(
        self, norm: LayerNorm, sublayer: Callable[[Tensor], Tensor], x: Float[Tensor, "batch time width"]
    ) -> Float[Tensor, "batch time width"]:
        """Add what a part of the layer makes of x, with the norm before or after it."""
        return x + sublayer(norm(x)) if self.norm == "pre" else norm(x + sublayer(x))


@checked
@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of a Transformer: how many layers, features, heads, tokens, positions. ``mlp_width`` is 4 × ``width`` unless given.

    A ``tied`` head is the table of the embedding, and has no bias (Press & Wolf 2017).

    >>> TransformerConfig(layers=2, width=8, heads=2, vocabulary=50, context=16).mlp_width
    32

    Raises:
        TypeError: sizes that are not ints.
        ValueError: sizes below 1, a width that the heads do not divide, an eps that is not positive.
    """

    layers: PositiveInt
    width: PositiveInt
    heads: PositiveInt
    vocabulary: PositiveInt
    context: PositiveInt
    mlp_width: PositiveInt | None = None
    causal: bool = True
    tied: bool = False
    eps: PositiveFloat = 1e-5

    def __post_init__(self) -> None:
        if self.mlp_width is None:
            object.__setattr__(self, "mlp_width", 4 * self.width)
        check_divisible("width", self.width, "heads", self.heads)


class Transformer(nn.Module):
    """Tokens in, logits for the next token out: embedding, learned positions, pre-norm blocks, a norm, a head.

    This is the form of GPT. Position t sees tokens 0 … t; with ``causal=False`` all see all. Weights start
    normal with standard deviation 0.02, biases at 0 (Radford et al. 2018, section 4.1). With a ``cache`` the tokens
    are the next ones of those that it has read, and only their logits are computed.

    >>> config = TransformerConfig(layers=2, width=8, heads=2, vocabulary=50, context=16)
    >>> Transformer(config)(torch.tensor([[3, 1, 4]])).shape
    torch.Size([1, 3, 50])

    Raises:
        TypeError: tokens that are not int64.
        ValueError: more than ``context`` tokens, none, or a token outside the vocabulary.
    """

    @checked
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        self.embedding = nn.Embedding(c.vocabulary, c.width)
        self.positions = LearnedPositions(c.context, c.width)
        self.blocks = nn.ModuleList(Block(c.width, c.heads, c.mlp_width, eps=c.eps) for _ in range(c.layers))
        self.norm = LayerNorm(c.width, c.eps)
        self.head = Linear(c.width, c.vocabulary, bias=not c.tied)
        if c.tied:
            self.head.weight = self.embedding.weight
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights of all embeddings and affine maps anew, and set the biases to 0."""
        normal_matrices(self, 0.02)

    @checked
    def forward(
        self, tokens: Int64[Tensor, "batch time"], *, cache: KVCache | None = None
    ) -> Float[Tensor, "batch time vocabulary"]:
        c = self.config
        if cache is not None and not c.causal:
            raise ValueError("a cache needs a causal model: without, earlier positions would see later ones")
        start = position_of_next(tokens, cache, context=c.context, vocabulary=c.vocabulary)
        x = self.positions(self.embedding(tokens), start=start)
        for layer, block in enumerate(self.blocks):
            x = block(x, causal=c.causal, cache=None if cache is None else partial(cache.extend, layer))
        return self.head(self.norm(x))
