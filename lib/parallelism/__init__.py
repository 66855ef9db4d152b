"""Several processes working on one model."""

from .collectives import Traffic, broadcast, ring_all_gather, ring_all_reduce, ring_all_reduce_cost, ring_reduce_scatter
from .conjugate_pairs import copy_to_ranks, gather_from_ranks, reduce_from_ranks, split_to_ranks
from .data_parallel import BucketedDataParallel, average_gradients, weigh_by_examples
from .launch import run_ranks
from .memory import HeldBytes, held_bytes, saved_activations, state_bytes
from .sharded_state import gather_state_dict, shard_state_dict
from .tensor_parallel import (
    ColumnParallelLinear,
    RowParallelLinear,
    TensorParallelAttention,
    TensorParallelBlock,
    TensorParallelMLP,
    TensorParallelTransformer,
)
from .vocabulary_parallel import VocabularyParallelEmbedding, vocabulary_parallel_cross_entropy

__all__ = [
    "BucketedDataParallel",
    "ColumnParallelLinear",
    "HeldBytes",
    "RowParallelLinear",
    "TensorParallelAttention",
    "TensorParallelBlock",
    "TensorParallelMLP",
    "TensorParallelTransformer",
    "Traffic",
    "VocabularyParallelEmbedding",
    "average_gradients",
    "broadcast",
    "copy_to_ranks",
    "gather_from_ranks",
    "gather_state_dict",
    "held_bytes",
    "reduce_from_ranks",
    "ring_all_gather",
    "ring_all_reduce",
    "ring_all_reduce_cost",
    "ring_reduce_scatter",
    "run_ranks",
    "saved_activations",
    "shard_state_dict",
    "split_to_ranks",
    "state_bytes",
    "vocabulary_parallel_cross_entropy",
    "weigh_by_examples",
]
