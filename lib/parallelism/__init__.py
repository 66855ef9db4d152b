"""Several processes working on one model."""

from .bucketed_data_parallel import BucketedDataParallel
from .collectives import Traffic, broadcast, ring_all_gather, ring_all_reduce, ring_all_reduce_cost, ring_reduce_scatter
from .conjugate_pairs import copy_to_ranks, gather_from_ranks, reduce_from_ranks, split_to_ranks
from .data_parallel import average_gradients, weigh_by_examples
from .deferred import Draws, deferred
from .launch import run_ranks
from .memory import HeldBytes, MemoryTimeline, held_bytes, state_bytes
from .sharded_state import (
    Placement,
    assert_replicas_equal,
    clip_gradients,
    gather_state_dict,
    gradient_norm,
    placements,
    shard_state_dict,
)
from .step_times import step_seconds
from .tensor_parallel import ColumnParallelLinear, RowParallelLinear, tensor_parallel, tensor_parallel_plan
from .vocabulary_parallel import VocabularyParallelEmbedding, vocabulary_parallel_cross_entropy

__all__ = [
    "BucketedDataParallel",
    "ColumnParallelLinear",
    "Draws",
    "HeldBytes",
    "MemoryTimeline",
    "Placement",
    "RowParallelLinear",
    "Traffic",
    "VocabularyParallelEmbedding",
    "assert_replicas_equal",
    "average_gradients",
    "broadcast",
    "clip_gradients",
    "copy_to_ranks",
    "deferred",
    "gather_from_ranks",
    "gather_state_dict",
    "gradient_norm",
    "held_bytes",
    "placements",
    "reduce_from_ranks",
    "ring_all_gather",
    "ring_all_reduce",
    "ring_all_reduce_cost",
    "ring_reduce_scatter",
    "run_ranks",
    "shard_state_dict",
    "split_to_ranks",
    "state_bytes",
    "step_seconds",
    "tensor_parallel",
    "tensor_parallel_plan",
    "vocabulary_parallel_cross_entropy",
    "weigh_by_examples",
]
