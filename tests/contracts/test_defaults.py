"""The defaults of public calls: chapters were computed with them, and whoever gives no value relies on them."""

import importlib
import inspect

import pytest

DEFAULTS = {
    "core": {
        "Piece": "group='weights'",
        "Span": "kind='forward'",
        "evaluate": "batch_size=256",
        "seeded": "device='cpu'",
        "train": "progress=True",
    },
    "data": {
        "Pronunciations": "padding=0, begin=1, end=2",
        "Sunspots": "first_year=1700",
        "load_diabetes": "split=0",
        "load_surnames": "split=0",
        "load_titanic": "split=0",
    },
    "architectures": {
        "GRU": "reset='after'",
        "LSTM": "layers=1, bidirectional=False, bias=True",
        "RNN": "nonlinearity='tanh'",
        "VGG": "norm=False, classes=1000, channels=3, image_size=224",
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
        "GroupNorm": "eps=1e-05, affine=True",
        "LayerNorm": "eps=1e-05, affine=True",
        "LeNet5": "num_classes=10",
        "Linear": "bias=True",
        "LlamaConfig": "base=10000.0, eps=1e-05, tied=True, pairs='neighbours'",
        "MaxPool2d": "padding=0",
        "MultiHeadAttention": "bias=True",
        "RMSNorm": "eps=1e-05, affine=True",
        "ResNetConfig": "block='basic', stem='imagenet', shortcut='projection', classes=1000, channels=3",
        "RotaryAttention": "base=10000.0, pairs='neighbours'",
        "Subsampled": "stride=1",
        "TransformerConfig": "causal=True, tied=False, eps=1e-05",
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
    },
    "compression": {
        "Float8Layer": "kind='e4m3', per='channel'",
        "NormalFloatLayer": "per=64",
        "QuantizationAware": "bits=8, per='channel', symmetric=True, inputs=False, momentum=0.1",
        "awq": "bits=4, per='channel', symmetric=True, candidates=8",
        "distil": "temperature=4.0, soft_share=0.9, progress=True",
        "distillation_loss": "temperature=4.0, soft_share=0.9",
        "float8": "kind='e4m3'",
        "gptq": "bits=4, symmetric=True, damping=0.01",
        "grid_for": "symmetric=True",
        "grouped": "per='channel'",
        "keep_largest": "per='matrix'",
        "least_error": "symmetric=True, candidates=40",
        "lottery_ticket": "per='layer'",
        "percentile": "share=0.999",
        "pruning_masks": "per='layer'",
        "record_inputs": "keep='inputs'",
        "smoothing_factors": "strength=0.5",
        "smoothquant": "strength=0.5, static=False",
        "truncated_svd": "damping=0.001",
        "weight_only": "bits=8, per='channel', symmetric=True",
    },
    "parallelism": {
        "BucketedDataParallel": "bucket_bytes=1048576",
        "ColumnParallelLinear": "bias=True, copy_input=True, pad=False",
        "Placement": "size=0, summed=False",
        "RowParallelLinear": "bias=True",
        "Traffic": "messages=0, bytes=0",
        "broadcast": "source=0",
        "gather_from_ranks": "dim=-1",
        "held_bytes": "activations=0",
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
        "counterfactuals": "changes=2, values=20",
        "deep_lift": "baseline=0.0",
        "deletion_curve": "steps=20, baseline=0.0, outputs='logits'",
        "expected_gradients": "samples=200",
        "grad_cam": "relu=True",
        "grad_cam_map": "relu=True",
        "individual_effects": "grid=20",
        "infidelity": "baseline=0.0, scaled=False, samples=200",
        "insertion_curve": "steps=20, baseline=0.0, outputs='logits'",
        "integrated_gradients": "baseline=0.0, steps=50, power=1",
        "kernel_shap": "samples=2048",
        "lime": "samples=1000, ridge=1.0",
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
        "without_heads": "by='zero', output='output'",
    },
    "figures": {
        "describe_attributions": "share=0.05",
        "learning_curves": "title=''",
        "show_attributions": "share=0.05, percentile=99.0, cells=32, columns=3, size=1.5",
        "show_images": "signed=False, same_scale=False, size=1.2",
        "show_schedule": "title=''",
        "show_tree": "digits=2",
    },
}


def defaults(called) -> str:
    """Numbers, words and switches that stand in when nothing is given; a licence is told by the data set."""
    return ", ".join(
        f"{parameter.name}={parameter.default!r}"
        for parameter in inspect.signature(called).parameters.values()
        if isinstance(parameter.default, bool | int | float | str) and parameter.name != "licence"
    )


@pytest.mark.parametrize("package", DEFAULTS)
def test_defaults_are_those_that_the_chapters_were_computed_with(package):
    module = importlib.import_module(f"lib.{package}")
    found = {name: defaults(getattr(module, name)) for name in module.__all__ if callable(getattr(module, name))}
    assert {name: text for name, text in found.items() if text} == DEFAULTS[package]
