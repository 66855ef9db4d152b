"""Make a built model small: by fewer bits, fewer weights, a smaller student, or smaller factors."""

from .awq import awq
from .calibration_data import output_error
from .channels import channel_plan
from .distillation import distil, distillation_loss
from .gptq import gptq
from .granularity import grouped
from .grids import Grid, affine_grid, dequantize, quantize, symmetric_grid
from .int8_layers import int8_dynamic, int8_static
from .integer_product import affine_product, integer_product
from .lora import LoRA, adapters, merge_lora, with_lora
from .low_rank import LowRank, low_rank, rank_for, truncated_svd
from .packing import pack_bits, unpack_bits
from .plans import layers_of, plan_for
from .pruning import Masked, SparseLayer, keep_largest, lottery_ticket, pruning_masks, two_of_four
from .quantization_aware import QuantizationAware
from .ranges import grid_for, least_error, min_max, percentile
from .recorded_inputs import record_inputs
from .smoothquant import smoothing_factors, smoothquant
from .stored_bytes import bytes_of
from .straight_through import fake_quantize
from .uneven_grids import float8, nearest, normal_float_levels
from .uneven_weights import Float8Layer, NormalFloatLayer
from .weight_only import weight_only

__all__ = [
    "Float8Layer",
    "Grid",
    "LoRA",
    "LowRank",
    "Masked",
    "NormalFloatLayer",
    "QuantizationAware",
    "SparseLayer",
    "adapters",
    "affine_grid",
    "affine_product",
    "awq",
    "bytes_of",
    "channel_plan",
    "dequantize",
    "distil",
    "distillation_loss",
    "fake_quantize",
    "float8",
    "gptq",
    "grid_for",
    "grouped",
    "int8_dynamic",
    "int8_static",
    "integer_product",
    "keep_largest",
    "layers_of",
    "least_error",
    "lottery_ticket",
    "low_rank",
    "merge_lora",
    "min_max",
    "nearest",
    "normal_float_levels",
    "output_error",
    "pack_bits",
    "percentile",
    "plan_for",
    "pruning_masks",
    "quantize",
    "rank_for",
    "record_inputs",
    "smoothing_factors",
    "smoothquant",
    "symmetric_grid",
    "truncated_svd",
    "two_of_four",
    "unpack_bits",
    "weight_only",
    "with_lora",
]
