"""The two ends of a language model, cut by vocabulary: rank r has tokens r·V/p … (r+1)·V/p − 1, in and out."""

from typing import ClassVar

import torch
import torch.distributed as dist
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from lib.core.validation import (
    check_divisible,
    check_floating,
    check_not_empty,
    check_positive_int,
    check_rank,
    check_same_length,
)

from .agreement import check_agreement, place_in_group
from .conjugate_pairs import reduce_from_ranks, split_to_ranks

__all__ = ["VocabularyParallelEmbedding", "vocabulary_parallel_cross_entropy"]

Group = dist.ProcessGroup | None


class VocabularyParallelEmbedding(nn.Module):
    """A table of embeddings cut by tokens: a rank looks up the tokens that it has, and *g* adds the ranks' rows.

    A token that lives elsewhere counts as zeros here, so every sum has one addend that is not zero.

    Raises:
        TypeError: sizes that are not ints, tokens that are not int64.
        ValueError: ranks that do not divide the vocabulary; no process group; no tokens, or one outside it.
    """

    sharded: ClassVar[dict[str, int]] = {"weight": 0}

    def __init__(self, vocabulary: int, width: int, *, group: Group = None) -> None:
        super().__init__()
        check_positive_int("vocabulary", vocabulary)
        check_positive_int("width", width)
        _, ranks = place_in_group(group)
        check_divisible("vocabulary", vocabulary, "ranks", ranks)
        self.group, self.vocabulary = group, vocabulary
        whole = nn.Embedding(vocabulary, width)
        self.weight = nn.Parameter(split_to_ranks(whole.weight.detach(), dim=0, group=group))

    def forward(self, tokens: Int64[Tensor, "*batch"]) -> Float[Tensor, "*batch width"]:
        _check_numbers("tokens", tokens, self.vocabulary)
        local, here = _local(tokens, len(self.weight), self.group)
        return reduce_from_ranks(self.weight[local].where(here[..., None], 0), group=self.group)


def vocabulary_parallel_cross_entropy(
    logits_shard: Float[Tensor, "batch class_part"], labels: Int64[Tensor, " batch"], *, group: Group = None
) -> Float[Tensor, ""]:
    """Mean surprise at the labels, in nats, from logits that no rank has whole; the same on all ranks.

    Equation: eq-vocabulary-parallel-cross-entropy

    Per example three numbers travel, a maximum and two sums, in place of all the logits. The largest
    logit is subtracted before exp, so nothing overflows. The slope at this rank's logits is softmax minus
    truth, over the batch, and needs no message.

    Raises:
        TypeError: integer logits, or labels that are not int64.
        ValueError: wrong rank, empty batch, lengths that differ, ranks that differ in shape, or a label that
            names no class; no process group.
    """
    check_rank("logits_shard", logits_shard, "batch classes/ranks")
    check_floating("logits_shard", logits_shard)
    check_not_empty("logits_shard", logits_shard)
    check_rank("labels", labels, "batch")
    check_same_length(logits_shard=logits_shard, labels=labels)
    check_agreement("vocabulary_parallel_cross_entropy", logits_shard, group=group)
    _, ranks = place_in_group(group)
    own_classes = logits_shard.shape[1]
    _check_numbers("labels", labels, own_classes * ranks)

    largest = logits_shard.detach().amax(1)
    dist.all_reduce(largest, dist.ReduceOp.MAX, group=group)
    shifted = logits_shard - largest[:, None]  # a constant: the loss is blind to it and so is its gradient
    total = reduce_from_ranks(shifted.exp().sum(1), group=group)
    local, here = _local(labels, own_classes, group)
    at_label = reduce_from_ranks(shifted.gather(1, local[:, None])[:, 0].where(here, 0), group=group)
    return (total.log() - at_label).mean()


def _check_numbers(name: str, numbers: Tensor, count: int) -> None:
    if numbers.dtype != torch.int64:
        raise TypeError(f"{name} must have dtype torch.int64, got {numbers.dtype}")
    check_not_empty(name, numbers)
    outside = numbers[(numbers < 0) | (numbers >= count)]
    if len(outside):
        raise ValueError(f"{name} must lie in 0 … {count - 1}, got {outside[0].item()}")


def _local(
    numbers: Int64[Tensor, "*batch"], own: int, group: Group
) -> tuple[Int64[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
    """Number them from this rank's first one on, and say which are its own; 0 stands in for the others."""
    rank, _ = place_in_group(group)
    local = numbers - rank * own
    here = (local >= 0) & (local < own)
    return local.where(here, 0), here
