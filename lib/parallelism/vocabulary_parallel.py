"""The two ends of a language model, cut by vocabulary: rank r has tokens r·⌈V/p⌉ … (r+1)·⌈V/p⌉ − 1, in and out."""

import torch
import torch.distributed as dist
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from lib.core.validation import (
    check_floating,
    check_indices,
    check_not_empty,
    check_positive_int,
    check_rank,
    check_same_length,
)

from .agreement import Group, check_agreement, place_in_group
from .conjugate_pairs import reduce_from_ranks
from .sharded_state import Placement, own_part

__all__ = ["VocabularyParallelEmbedding", "vocabulary_parallel_cross_entropy"]


class VocabularyParallelEmbedding(nn.Module):
    """A table of embeddings cut by tokens: a rank looks up the tokens that it has, and *g* adds the ranks' rows.

    A token that lives elsewhere counts as zeros here, so every sum has one addend that is not zero. Where ranks do not
    divide the vocabulary, rows of zeros stand behind its end.

    >>> from lib.parallelism import run_ranks
    >>> run_ranks(lambda: [*VocabularyParallelEmbedding(10, 4)(torch.tensor([[1, 9]])).shape], 2)
    [[1, 2, 4], [1, 2, 4]]

    Raises:
        TypeError: sizes that are not ints, tokens that are not int64.
        ValueError: sizes below 1; no process group; no tokens, or one outside the vocabulary.
    """

    def __init__(self, vocabulary: int, width: int, *, group: Group = None) -> None:
        super().__init__()
        check_positive_int("vocabulary", vocabulary)
        check_positive_int("width", width)
        self.group = group
        self._take(nn.Embedding(vocabulary, width))

    @classmethod
    def of(cls, table: nn.Embedding, *, group: Group = None) -> "VocabularyParallelEmbedding":
        """This rank's part of a table; nothing is drawn.

        Raises:
            ValueError: a table that pads, rescales or has sparse gradients.
        """
        if table.padding_idx is not None or table.max_norm is not None or table.sparse:
            raise ValueError(
                f"a table to be cut must have neither padding_idx nor max_norm nor sparse gradients, got {table}"
            )
        with torch.device("meta"):
            part = cls(*table.weight.shape, group=group)
        part._take(table)
        return part

    def _take(self, table: nn.Embedding) -> None:
        self.vocabulary = len(table.weight)
        self.placements = {"weight": Placement(0, self.vocabulary, group=self.group)}
        own = own_part(table.weight, self.placements["weight"])
        self.weight = nn.Parameter(own, table.weight.requires_grad)

    def forward(self, tokens: Int64[Tensor, "*batch"]) -> Float[Tensor, "*batch width"]:
        check_indices("tokens", tokens, self.vocabulary, "the vocabulary")
        check_not_empty("tokens", tokens)
        local, here = _local(tokens, len(self.weight), self.group)
        return reduce_from_ranks(self.weight[local].where(here[..., None], 0), group=self.group)


def vocabulary_parallel_cross_entropy(
    logits_shard: Float[Tensor, "batch class_part"],
    labels: Int64[Tensor, " batch"],
    *,
    vocabulary: int | None = None,
    group: Group = None,
) -> Float[Tensor, ""]:
    """Mean surprise at the labels, in nats, from logits that no rank has whole; the same on all ranks.

    Equation: eq-vocabulary-parallel-cross-entropy

    Per example three numbers travel, a maximum and two sums, in place of all the logits. The largest logit is
    subtracted before exp, so nothing overflows. The slope at this rank's logits is softmax minus truth, over the
    batch, and needs no message. ``vocabulary`` counts the classes on all ranks; columns behind its end do not count.

    >>> from lib.parallelism import run_ranks
    >>> loss = lambda: vocabulary_parallel_cross_entropy(torch.zeros(1, 2), torch.tensor([3]), vocabulary=4)
    >>> run_ranks(lambda: round(loss().item(), 4), 2)  # ln 4
    [1.3863, 1.3863]

    Raises:
        TypeError: integer logits, or labels that are not int64.
        ValueError: no vocabulary, or logits that are not this rank's part of it, such as the whole; wrong rank, empty
            batch, lengths that differ, ranks that differ in shape, a label that names no class; no process group.
    """
    check_rank("logits_shard", logits_shard, "batch classes/ranks")
    check_floating("logits_shard", logits_shard)
    check_not_empty("logits_shard", logits_shard)
    check_rank("labels", labels, "batch")
    check_same_length(logits_shard=logits_shard, labels=labels)
    rank, ranks = place_in_group(group)
    if vocabulary is None:
        raise ValueError(
            f"vocabulary must be given, to tell a part of the logits from the whole, got None and {ranks} ranks"
        )
    check_positive_int("vocabulary", vocabulary)
    own_classes = -(-vocabulary // ranks)
    if logits_shard.shape[1] != own_classes:
        raise ValueError(
            f"logits_shard must have {own_classes} columns, one of {ranks} parts of a vocabulary of {vocabulary}, "
            f"got shape {tuple(logits_shard.shape)}"
        )
    check_indices("labels", labels, vocabulary, "the vocabulary")
    check_agreement("vocabulary_parallel_cross_entropy", logits_shard, group=group)

    if vocabulary % ranks:
        columns = rank * own_classes + torch.arange(own_classes, device=logits_shard.device)
        logits_shard = logits_shard.masked_fill(columns >= vocabulary, -torch.inf)
    largest = logits_shard.detach().amax(1)
    dist.all_reduce(largest, dist.ReduceOp.MAX, group=group)
    shifted = logits_shard - largest[:, None]  # a constant: the loss is blind to it and so is its gradient
    total = reduce_from_ranks(shifted.exp().sum(1), group=group)
    local, here = _local(labels, own_classes, group)
    at_label = reduce_from_ranks(shifted.gather(1, local[:, None])[:, 0].where(here, 0), group=group)
    return (total.log() - at_label).mean()


def _local(
    numbers: Int64[Tensor, "*batch"], own: int, group: Group
) -> tuple[Int64[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
    """Number them from this rank's first one on, and say which are its own; 0 stands in for the others."""
    rank, _ = place_in_group(group)
    local = numbers - rank * own
    here = (local >= 0) & (local < own)
    return local.where(here, 0), here
