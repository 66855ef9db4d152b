"""Make a built model small: by fewer bits, fewer weights, a smaller student, or smaller factors."""

from .channels import channel_plan
from .distillation import distil, distillation_loss
from .lora import LoRA, adapters, merge_lora, with_lora
from .low_rank import LowRank, low_rank, rank_for, truncated_svd
from .packing import pack_bits, unpack_bits
from .plans import layers_of, merged_plans, plan_for
from .pruning import Masked, SparseLayer, keep_largest, lottery_ticket, pruning_masks, two_of_four
from .recorded_inputs import record_inputs
from .stored_bytes import bytes_of

__all__ = [
    "LoRA",
    "LowRank",
    "Masked",
    "SparseLayer",
    "adapters",
    "bytes_of",
    "channel_plan",
    "distil",
    "distillation_loss",
    "keep_largest",
    "layers_of",
    "lottery_ticket",
    "low_rank",
    "merge_lora",
    "merged_plans",
    "pack_bits",
    "plan_for",
    "pruning_masks",
    "rank_for",
    "record_inputs",
    "truncated_svd",
    "two_of_four",
    "unpack_bits",
    "with_lora",
]
