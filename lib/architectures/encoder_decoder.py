"""The encoder–decoder Transformer: one stack reads the source, another writes the target and looks the source up."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.rules import PositiveFloat, PositiveInt
from lib.core.validation import check_divisible, check_indices

from .attention import Extend, KeysValues, MultiHeadAttention, padding_mask
from .dense import Linear
from .kv_cache import KVCache
from .normalization import LayerNorm
from .positions import sinusoidal_positions
from .transformer import Block

__all__ = ["Conditioned", "DecoderBlock", "EncoderDecoder", "EncoderDecoderConfig"]


class DecoderBlock(Block):
    """A :class:`~lib.architectures.transformer.Block` with a second attention, from the target to the source's ``memory``.

    Equation: eq-decoder-block

    It stands between the first attention and the MLP, with a norm of its own (Vaswani et al. 2017, section 3.1).

    >>> DecoderBlock(8, 2, 32)(torch.zeros(1, 5, 8), torch.zeros(1, 7, 8), causal=True).shape
    torch.Size([1, 5, 8])

    Raises:
        TypeError: as :class:`~lib.architectures.transformer.Block`.
        ValueError: as :class:`~lib.architectures.transformer.Block`.
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
        super().__init__(width, heads, mlp_width, norm=norm, eps=eps)
        self.cross_norm = LayerNorm(width, eps)
        self.cross_attention = MultiHeadAttention(width, heads)

    def forward(
        self,
        x: Float[Tensor, "batch time width"],
        memory: Float[Tensor, "batch source width"] | KeysValues,
        *,
        mask: Bool[Tensor, "..."] | None = None,
        memory_mask: Bool[Tensor, "..."] | None = None,
        causal: bool = False,
        cache: Extend | None = None,
    ) -> Float[Tensor, "batch time width"]:
        x = self.added(self.attention_norm, partial(self.attention, mask=mask, causal=causal, cache=cache), x)
        x = self.added(self.cross_norm, partial(self.cross_attention, context=memory, mask=memory_mask), x)
        return self.added(self.mlp_norm, self.mlp, x)


@checked
@dataclass(frozen=True)
class EncoderDecoderConfig:
    """Sizes of an encoder–decoder: ``layers`` in each of the two stacks, the rest as in a Transformer's configuration.

    A ``shared`` table serves both embeddings and, without a bias, the head; it needs one vocabulary for both sides.

    >>> EncoderDecoderConfig(2, width=8, heads=2, source_vocabulary=27, target_vocabulary=42, context=16).mlp_width
    32

    Raises:
        TypeError: sizes that are not ints.
        ValueError: sizes below 1, an odd width or one that the heads do not divide, an eps that is not positive, another
            place of the norm, a shared table for vocabularies of different size.
    """

    layers: PositiveInt
    width: PositiveInt
    heads: PositiveInt
    source_vocabulary: PositiveInt
    target_vocabulary: PositiveInt
    context: PositiveInt
    mlp_width: PositiveInt | None = None
    norm: Literal["pre", "post"] = "pre"
    shared: bool = False
    eps: PositiveFloat = 1e-5

    def __post_init__(self) -> None:
        if self.mlp_width is None:
            object.__setattr__(self, "mlp_width", 4 * self.width)
        check_divisible("width", self.width, "heads", self.heads)
        check_divisible("width", self.width, "pairs of", 2)
        if self.shared and self.source_vocabulary != self.target_vocabulary:
            raise ValueError(
                f"a shared table needs one vocabulary, got {self.source_vocabulary} and {self.target_vocabulary} tokens"
            )


class EncoderDecoder(nn.Module):
    """Source and target tokens in, logits for the token after each target token out (Vaswani et al. 2017, figure 1).

    Each source position sees all of its source; target position t sees the source and target tokens 0 … t. Sources
    are padded at their ends and come beside their lengths. Targets need none: no token sees the padding after it.
    Embeddings are multiplied by √width and sinusoids added. Pre-norm stacks end in a norm of their own, post-norm
    stacks in their last layer's. Differs from the paper in its GELU and in that nothing is dropped.

    >>> sizes = {"width": 8, "heads": 2, "source_vocabulary": 27, "target_vocabulary": 42, "context": 16}
    >>> model = EncoderDecoder(EncoderDecoderConfig(2, **sizes))
    >>> model(torch.tensor([[3, 1, 20]]), torch.tensor([[1, 5]]), torch.tensor([3])).shape
    torch.Size([1, 2, 42])

    Raises:
        TypeError: tokens or lengths that are not int64.
        ValueError: more than ``context`` tokens, none, a token outside its vocabulary, lengths below 1 or beyond the
            padding.
    """

    @checked
    def __init__(self, config: EncoderDecoderConfig) -> None:
        super().__init__()
        self.config = c = config
        self.source_embedding = nn.Embedding(c.source_vocabulary, c.width)
        self.target_embedding = self.source_embedding if c.shared else nn.Embedding(c.target_vocabulary, c.width)
        self.register_buffer("positions", sinusoidal_positions(c.context, c.width), persistent=False)
        sizes, options = (c.width, c.heads, c.mlp_width), {"norm": c.norm, "eps": c.eps}
        self.encoder = nn.ModuleList(Block(*sizes, **options) for _ in range(c.layers))
        self.decoder = nn.ModuleList(DecoderBlock(*sizes, **options) for _ in range(c.layers))
        self.encoder_norm, self.decoder_norm = (
            LayerNorm(c.width, c.eps) if c.norm == "pre" else nn.Identity() for _ in range(2)
        )
        self.head = Linear(c.width, c.target_vocabulary, bias=not c.shared)
        if c.shared:
            self.head.weight = self.target_embedding.weight
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw affine maps as Glorot and Bengio (2010) and tables with variance 1/width; set biases to 0."""
        for module in self.modules():
            if isinstance(module, Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for table in (self.source_embedding, self.target_embedding):
            nn.init.normal_(table.weight, std=self.config.width**-0.5)

    @checked
    def forward(
        self,
        source: Int64[Tensor, "batch source_time"],
        target: Int64[Tensor, "batch time"],
        source_lengths: Int64[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch time target_vocabulary"]:
        return self.given(source, source_lengths)(target)

    def given(
        self, source: Int64[Tensor, "batch source_time"], lengths: Int64[Tensor, " batch"] | None = None
    ) -> "Conditioned":
        """Read the sources once: what comes back maps target tokens to logits, as decoding asks for."""
        return Conditioned(self, self.encode(source, lengths), lengths)

    @checked
    def encode(
        self, source: Int64[Tensor, "batch source_time"], lengths: Int64[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "batch source_time width"]:
        """The features of each source token in its source; zeros in the padding."""
        x = self._embedded("source", source, self.source_embedding, 0)
        mask = None if lengths is None else padding_mask(lengths, source.shape[1])
        for block in self.encoder:
            x = block(x, mask=mask)
        x = self.encoder_norm(x)
        return x if mask is None else x.masked_fill(~mask[:, 0, 0, :, None], 0)

    def _embedded(
        self, name: str, tokens: Tensor, table: nn.Embedding, begin: int
    ) -> Float[Tensor, "batch time width"]:
        end = begin + tokens.shape[1]
        if end > self.config.context:
            raise ValueError(f"{name} must be at most {self.config.context} long, the context, got {end}")
        check_indices(name, tokens, table.num_embeddings, f"the {name}'s vocabulary")
        return math.sqrt(self.config.width) * table(tokens) + self.positions[begin:end]


class Conditioned:
    """The decoder of a model with its sources read: called with target tokens, it gives logits for the next ones.

    The source's keys and values are computed once. A single source may be read for targets of any number, as in
    :func:`~lib.architectures.decoding.beam_search`. With a ``cache`` the tokens are the next ones of those that it has
    read, and only their logits are computed.

    Raises:
        TypeError: tokens that are not int64.
        ValueError: more than ``context`` tokens, none, a token outside the vocabulary, another batch than the sources'.
    """

    def __init__(
        self, model: EncoderDecoder, memory: Float[Tensor, "batch source_time width"], lengths: Tensor | None
    ) -> None:
        self.config, self._model = model.config, model
        self._memory = [block.cross_attention.keys_values(memory) for block in model.decoder]
        self._mask = None if lengths is None else padding_mask(lengths, memory.shape[1])

    @checked
    def __call__(
        self, target: Int64[Tensor, "batch time"], *, cache: KVCache | None = None
    ) -> Float[Tensor, "batch time target_vocabulary"]:
        model, sources = self._model, len(self._memory[0][0])
        if sources not in (1, len(target)):
            raise ValueError(f"target must have a row for each of the {sources} sources, got {len(target)}")
        x = model._embedded("target", target, model.target_embedding, 0 if cache is None else cache.length)
        for layer, (block, memory) in enumerate(zip(model.decoder, self._memory, strict=True)):
            memory = tuple(part.expand(len(target), -1, -1, -1) for part in memory)
            extend = None if cache is None else partial(cache.extend, layer)
            x = block(x, memory, memory_mask=self._mask, causal=True, cache=extend)
        return model.head(model.decoder_norm(x))
