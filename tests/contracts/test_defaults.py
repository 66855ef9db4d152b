"""The defaults of public calls: chapters were computed with them, and whoever gives no value relies on them.

The table holds every public function and class that has a default; a new one is named by the test until it stands here.
"""

import importlib
import inspect
import pkgutil
from pathlib import PurePath

import pytest
import torch

import lib

DEFAULTS = {
    "core": {
        "checkpoint": "folder='../checkpoints'",
        "evaluate": "batch_size=256",
        "seeded": "device='cpu'",
        "train": "progress=True",
    },
    "data": {
        "MaunaLoa": "first_month=(1958, 3)",
        "Pronunciations": "padding=0, begin=1, end=2",
        "Sunspots": "first_year=1700",
        "load_diabetes": "split=0",
        "load_surnames": "split=0",
        "load_titanic": "split=0",
    },
    "architectures": {
        "AvgPool2d": "padding=0",
        "BasicBlock": "stride=1, shortcut=True",
        "BatchNorm": "eps=1e-05, momentum=0.1, affine=True",
        "Block": "norm='pre', eps=1e-05",
        "Bottleneck": "stride=1, shortcut=True",
        "Conv1d": "stride=1, padding=0, dilation=1, groups=1, bias=True, padding_mode='zeros'",
        "Conv2d": "stride=1, padding=0, dilation=1, groups=1, bias=True, padding_mode='zeros'",
        "DecoderBlock": "norm='pre', eps=1e-05",
        "DenseNetConfig": "stem='imagenet', classes=1000, channels=3",
        "EncoderDecoderConfig": "norm='pre', shared=False, eps=1e-05",
        "GRU": "reset='after'",
        "GroupNorm": "eps=1e-05, affine=True",
        "LSTM": "layers=1, bidirectional=False, bias=True",
        "LayerNorm": "eps=1e-05, affine=True",
        "LeNet5": "num_classes=10",
        "Linear": "bias=True",
        "LlamaConfig": "base=10000.0, eps=1e-05, tied=True, pairs='neighbours'",
        "MaxPool2d": "padding=0",
        "MultiHeadAttention": "bias=True",
        "RMSNorm": "eps=1e-05, affine=True",
        "RNN": "nonlinearity='tanh'",
        "ResNetConfig": "block='basic', stem='imagenet', shortcut='projection', classes=1000, channels=3",
        "RotaryAttention": "base=10000.0, pairs='neighbours'",
        "Subsampled": "stride=1",
        "ToySuperposition": "copies=1",
        "TransformerConfig": "causal=True, tied=False, eps=1e-05",
        "VGG": "norm=False, classes=1000, channels=3, image_size=224",
        "attention": "causal=False",
        "avg_pool2d": "padding=0",
        "batch_norm": "eps=1e-05",
        "beam_search": "length_penalty=0.0",
        "candidates": "temperature=1.0",
        "conv1d": "stride=1, padding=0, dilation=1, groups=1",
        "conv2d": "stride=1, padding=0, dilation=1, groups=1",
        "conv2d_formula": "stride=1, padding=0, dilation=1, groups=1",
        "conv_output_size": "stride=1, padding=0, dilation=1",
        "densenet": "classes=1000, channels=3",
        "generate": "temperature=1.0, cached=True",
        "group_norm": "eps=1e-05",
        "layer_norm": "eps=1e-05",
        "log_softmax": "dim=-1",
        "max_pool2d": "padding=0",
        "resnet": "classes=1000, channels=3",
        "rms_norm": "eps=1e-05",
        "rotary": "start=0, base=10000.0, pairs='neighbours'",
        "sinusoidal_positions": "start=0, base=10000.0",
        "small_densenet": "growth=12, classes=10, channels=3",
        "small_resnet": "width=16, classes=10, channels=3, shortcut='zeros'",
        "softmax": "dim=-1, temperature=1.0",
        "train_toy_superposition": "batch_size=512, rate=0.01",
    },
    "compression": {
        "Float8Layer": "kind='e4m3', per='channel'",
        "NormalFloatLayer": "per=64",
        "QuantizationAware": "bits=8, per='channel', symmetric=True, inputs=False, momentum=0.1",
        "awq": "bits=4, per='channel', symmetric=True, limits=min_max, candidates=8",
        "distil": "temperature=4.0, soft_share=0.9, progress=True",
        "distillation_loss": "temperature=4.0, soft_share=0.9",
        "float8": "kind='e4m3'",
        "gptq": "bits=4, symmetric=True, limits=min_max, damping=0.01",
        "grid_for": "symmetric=True, limits=min_max",
        "grouped": "per='channel'",
        "int8_static": "limits=min_max",
        "keep_largest": "per='matrix'",
        "layers_of": "kinds=(Linear, Linear, Conv2d, Conv2d)",
        "least_error": "symmetric=True, candidates=40",
        "lottery_ticket": "per='layer'",
        "percentile": "share=0.999",
        "plan_for": "kinds=(Linear, Linear, Conv2d, Conv2d)",
        "pruning_masks": "per='layer'",
        "record_inputs": "keep='inputs'",
        "smoothing_factors": "strength=0.5",
        "smoothquant": "strength=0.5, static=False",
        "truncated_svd": "damping=0.001",
        "weight_only": "bits=8, per='channel', symmetric=True, limits=min_max, scales=torch.float32",
    },
    "parallelism": {
        "BucketedDataParallel": "bucket_bytes=1048576",
        "ColumnParallelLinear": "bias=True, copy_input=True, pad=False",
        "HeldBytes": "activations=0",
        "Placement": "size=0",
        "RowParallelLinear": "bias=True",
        "Traffic": "messages=0, bytes=0",
        "broadcast": "source=0",
        "gather_from_ranks": "dim=-1",
        "run_ranks": "timeout=60.0, check=False",
        "split_to_ranks": "dim=-1",
        "state_bytes": "ranks=1, sharded='nothing', parameter_bytes=4, gradient_bytes=4, optimizer_bytes=8",
        "step_seconds": "repeats=5, rounds=1",
    },
    "explanations": {
        "accumulated_effects": "intervals=20",
        "accumulated_interaction": "intervals=10",
        "anchor": "precision=0.95, longest=3, samples=1000",
        "attention_patterns": "value='value', output='output'",
        "completeness_gap": "baseline=0.0",
        "concept_vector": "fit='plane', penalty=1.0, standardise=False",
        "counterfactuals": "changes=2, values=20",
        "dataset_examples": "over='max', batch_size=256",
        "deep_lift": "baseline=0.0",
        "deletion_curve": "steps=20, baseline=0.0, outputs='logits'",
        "direct_logit_attribution": "heads=1, position=-1, norm='norm', head='head', output='output'",
        "expected_gradients": "samples=200",
        "feature_visualization": "steps=200, rate=0.05, parametrization='pixel', jitter=0, over='max'",
        "grad_cam": "relu=True",
        "grad_cam_map": "relu=True",
        "gradient_weighted_attention": "value='value', output='output'",
        "individual_effects": "grid=20",
        "infidelity": "baseline=0.0, scaled=False, samples=200",
        "insertion_curve": "steps=20, baseline=0.0, outputs='logits'",
        "integrated_gradients": "baseline=0.0, steps=50, power=1",
        "kernel_shap": "samples=2048",
        "lime": "samples=1000, ridge=1.0",
        "linear_probe": "standardise=True",
        "logit_lens": "position=-1, norm='norm', head='head'",
        "max_sensitivity": "radius=0.02, samples=10",
        "occlusion": "baseline=0.0, reveal=False",
        "partial_dependence": "grid=20",
        "permutation_importance": "repeats=10",
        "permutation_shapley": "rounds=10",
        "rise": "samples=1000, baseline=0.0",
        "smoothgrad": "noise=0.1, samples=32",
        "surrogate_tree": "leaves=6, smallest=1",
        "train_sparse_autoencoder": "batch_size=256, rate=0.002, revive_every=50",
        "unit_activations": "over='max', batch_size=256",
        "without_heads": "by='zero', output='output'",
    },
    "figures": {
        "describe_attributions": "share=0.05",
        "show_attributions": "share=0.05, percentile=99.0, cells=32, columns=3, size=1.5",
        "show_images": "signed=False, same_scale=False, size=1.2",
        "show_tree": "digits=2",
    },
}


def shown(value) -> str:
    """Numbers, words and switches, functions and classes by their names; empty for what tells nothing by itself."""
    if isinstance(value, bool | int | float | str | torch.dtype):
        return repr(value)
    if isinstance(value, PurePath):
        return repr(value.as_posix())
    if isinstance(value, tuple):  # names of columns and classes are told by the data set
        return "" if not value or isinstance(value[0], str) else f"({', '.join(map(shown, value))})"
    # A dataclass's factory has no name; what a lambda does is held by the tests of what it is for.
    return getattr(value, "__name__", "").replace("<lambda>", "")


def defaults(called) -> str:
    """What stands in when nothing is given; a licence is told by the data set."""
    parameters = (
        inspect.signature(called).parameters.values() if inspect.isroutine(called) or inspect.isclass(called) else ()
    )
    return ", ".join(
        f"{parameter.name}={text}"
        for parameter in parameters
        if parameter.default is not parameter.empty
        and parameter.name != "licence"
        and (text := shown(parameter.default))
    )


@pytest.mark.parametrize("package", [module.name for module in pkgutil.iter_modules(lib.__path__)])
def test_defaults_are_those_that_the_chapters_were_computed_with(package):
    module = importlib.import_module(f"lib.{package}")
    found = {name: text for name in module.__all__ if (text := defaults(getattr(module, name)))}
    table = DEFAULTS.get(package, {})
    assert found.keys() <= table.keys(), f"the table must hold {[row for row in found.items() if row[0] not in table]}"
    assert found == table
