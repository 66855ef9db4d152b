"""Tensor parallelism: the matrices of one layer are cut, and every rank works on every example with its piece.

After Megatron-LM (Shoeybi et al. 2019, section 3). What all ranks hold alike goes in through *f*
(:func:`~lib.parallelism.conjugate_pairs.copy_to_ranks`) and comes out through *g*
(:func:`~lib.parallelism.conjugate_pairs.reduce_from_ranks`); between the two no rank needs another one. So the formulas
of :mod:`lib.architectures` stay as they are, and only their matrices become smaller.
"""

from typing import ClassVar

import torch.distributed as dist
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lib.architectures import MLP, Block, LayerNorm, Linear, MultiHeadAttention, Transformer, TransformerConfig, linear
from lib.core.validation import check_divisible, check_positive_int

from .agreement import place_in_group
from .conjugate_pairs import copy_to_ranks, reduce_from_ranks, split_to_ranks
from .sharded_state import shard_state_dict
from .vocabulary_parallel import VocabularyParallelEmbedding

__all__ = [
    "ColumnParallelLinear",
    "RowParallelLinear",
    "TensorParallelAttention",
    "TensorParallelBlock",
    "TensorParallelMLP",
    "TensorParallelTransformer",
]

Group = dist.ProcessGroup | None


class ColumnParallelLinear(nn.Module):
    """``x Wᵀ + b`` cut by outputs: x is whole on every rank, y is this rank's slice of the features.

    Equation: eq-column-parallel

    The paper writes XA and cuts the columns of A; torch stores A transposed, so these are rows of ``weight``.
    The input passes *f* on its way in. ``copy_input=False`` leaves that to the caller, who has several
    layers that read one x and needs one *f* for all. The same seed on all ranks gives the slices of one
    :class:`~lib.architectures.dense.Linear`.

    Raises:
        TypeError: features that are not ints; in the call as :func:`~lib.architectures.dense.linear`.
        ValueError: ranks that do not divide the outputs; no process group; in the call as
            :func:`~lib.architectures.dense.linear`.
    """

    sharded: ClassVar[dict[str, int]] = {"weight": 0, "bias": 0}

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, group: Group = None, copy_input: bool = True
    ) -> None:
        super().__init__()
        self.group, self.copy_input = group, copy_input
        _check_cut("out_features", out_features, group)
        whole = Linear(in_features, out_features, bias)
        self.weight = nn.Parameter(split_to_ranks(whole.weight.detach(), dim=0, group=group))
        self.bias = nn.Parameter(split_to_ranks(whole.bias.detach(), dim=0, group=group)) if bias else None

    def forward(self, x: Float[Tensor, "*batch in_features"]) -> Float[Tensor, "*batch out_part"]:
        x = copy_to_ranks(x, group=self.group) if self.copy_input else x
        return linear(x, self.weight, self.bias)


class RowParallelLinear(nn.Module):
    """``x Wᵀ + b`` cut by inputs: x is this rank's slice of the features, y is whole on every rank.

    Equation: eq-row-parallel

    Each rank has one addend of the sum over features; *g* adds them up. The bias is whole on every rank and
    is added once, after the sum. The same seed on all ranks gives the slices of one
    :class:`~lib.architectures.dense.Linear`.

    Raises:
        TypeError: features that are not ints; in the call as :func:`~lib.architectures.dense.linear`.
        ValueError: ranks that do not divide the inputs; no process group; in the call as
            :func:`~lib.architectures.dense.linear`, or when ranks differ in shape.
    """

    sharded: ClassVar[dict[str, int]] = {"weight": 1}

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, group: Group = None) -> None:
        super().__init__()
        self.group = group
        _check_cut("in_features", in_features, group)
        whole = Linear(in_features, out_features, bias)
        self.weight = nn.Parameter(split_to_ranks(whole.weight.detach(), dim=1, group=group))
        self.bias = whole.bias

    def forward(self, x: Float[Tensor, "*batch in_part"]) -> Float[Tensor, "*batch out_features"]:
        y = reduce_from_ranks(linear(x, self.weight), group=self.group)
        return y if self.bias is None else y + self.bias


class TensorParallelMLP(MLP):
    """:class:`~lib.architectures.transformer.MLP`, first map cut by outputs, second by inputs: one all-reduce each way.

    Equation: eq-tensor-parallel-mlp

    GELU acts on each hidden feature alone, so a rank that has a feature whole needs nobody else for it.

    Raises:
        TypeError: sizes that are not ints.
        ValueError: ranks that do not divide ``mlp_width``; no process group.
    """

    def __init__(self, width: int, mlp_width: int, *, group: Group = None) -> None:
        nn.Module.__init__(self)  # other parts, the same formula: forward is MLP's
        _check_cut("mlp_width", mlp_width, group)
        self.up = ColumnParallelLinear(width, mlp_width, group=group)
        self.down = RowParallelLinear(mlp_width, width, group=group)


class TensorParallelAttention(MultiHeadAttention):
    """:class:`~lib.architectures.attention.MultiHeadAttention` with the heads dealt out: one all-reduce each way.

    Heads meet for the first time in the output map, which is cut by inputs.

    Raises:
        TypeError: sizes that are not ints; in the call as :class:`~lib.architectures.attention.MultiHeadAttention`.
        ValueError: heads that do not divide ``width``, ranks that do not divide the heads; no process group;
            in the call as :class:`~lib.architectures.attention.MultiHeadAttention`.
    """

    def __init__(self, width: int, heads: int, *, bias: bool = True, group: Group = None) -> None:
        nn.Module.__init__(self)  # other parts, the same formula: forward calls MultiHeadAttention's
        _check_cut("heads", heads, group)
        check_positive_int("width", width)
        check_divisible("width", width, "heads", heads)
        _, ranks = place_in_group(group)
        self.group, self.heads = group, heads // ranks
        self.query = ColumnParallelLinear(width, width, bias, group=group, copy_input=False)
        self.key = ColumnParallelLinear(width, width, bias, group=group, copy_input=False)
        self.value = ColumnParallelLinear(width, width, bias, group=group, copy_input=False)
        self.output = RowParallelLinear(width, width, bias, group=group)

    def forward(
        self, x: Float[Tensor, "batch time width"], *, mask: Bool[Tensor, "..."] | None = None, causal: bool = False
    ) -> Float[Tensor, "batch time width"]:
        return super().forward(copy_to_ranks(x, group=self.group), mask=mask, causal=causal)


class TensorParallelBlock(Block):
    """:class:`~lib.architectures.transformer.Block` on several ranks: two all-reduces forward, two backward.

    The normalizations and the residual sum are not cut: every rank does them again, and gets the same.

    Raises:
        TypeError: as :class:`TensorParallelAttention` and :class:`TensorParallelMLP`.
        ValueError: as :class:`TensorParallelAttention` and :class:`TensorParallelMLP`.
    """

    def __init__(self, width: int, heads: int, mlp_width: int, *, eps: float = 1e-5, group: Group = None) -> None:
        nn.Module.__init__(self)  # other parts, the same formula: forward is Block's
        self.attention_norm = LayerNorm(width, eps)
        self.attention = TensorParallelAttention(width, heads, group=group)
        self.mlp_norm = LayerNorm(width, eps)
        self.mlp = TensorParallelMLP(width, mlp_width, group=group)


class TensorParallelTransformer(Transformer):
    """:class:`~lib.architectures.transformer.Transformer` on several ranks, from tokens to this rank's slice of logits.

    The same seed on all ranks gives the parts of one model: each rank draws the whole and keeps its part,
    which needs room for the whole once. The loss is :func:`~lib.parallelism.vocabulary_parallel.vocabulary_parallel_cross_entropy`.

    Raises:
        TypeError: as :class:`~lib.architectures.transformer.Transformer`.
        ValueError: as :class:`~lib.architectures.transformer.Transformer`; ranks that do not divide the heads,
            ``mlp_width`` or the vocabulary; no process group.
    """

    def __init__(
        self,
        layers: int,
        width: int,
        heads: int,
        *,
        vocabulary: int,
        context: int,
        mlp_width: int | None = None,
        causal: bool = True,
        group: Group = None,
    ) -> None:
        super().__init__(TransformerConfig(layers, width, heads, vocabulary, context, mlp_width, causal))
        whole = self.state_dict()
        mlp_width = len(self.blocks[0].mlp.up.weight)
        self.embedding = VocabularyParallelEmbedding(vocabulary, width, group=group)
        self.blocks = nn.ModuleList(TensorParallelBlock(width, heads, mlp_width, group=group) for _ in range(layers))
        self.head = ColumnParallelLinear(width, vocabulary, group=group)
        self.load_state_dict(shard_state_dict(whole, self, group=group))


def _check_cut(name: str, value: int, group: Group) -> None:
    check_positive_int(name, value)
    _, ranks = place_in_group(group)
    check_divisible(name, value, "ranks", ranks)
