"""Kinds of bad input that belong to no one function: wherever they arrive, the value and the rule are named.

Each row is a kind that a search with thousands of bad calls has met as an error of torch's or Python's own, or as an
answer; its calls stand for all functions that take such a value.
"""

import math
import re

import numpy as np
import pytest
import torch
from torch import nn

from lib.architectures import (
    GRU,
    LSTM,
    RNN,
    BatchNorm,
    Block,
    LayerNorm,
    Linear,
    LossSurface,
    PowerLaw,
    Residual,
    RMSNorm,
    batch_norm,
    beam_search,
    candidates,
    count_parameters,
    fit_power_law,
    generate,
    group_norm,
    layer_norm,
    rms_norm,
    softmax,
    training_flops,
)
from lib.compression import (
    Grid,
    LowRank,
    dequantize,
    distillation_loss,
    fake_quantize,
    grid_for,
    int8_dynamic,
    int8_static,
    nearest,
    pruning_masks,
    quantize,
    smoothing_factors,
    symmetric_grid,
    unpack_bits,
)
from lib.core import capture, checkpoint, evaluation_mode, replaced, rewrite, seeded, target_score
from lib.explanations import (
    activation_patching,
    attention_rollout,
    cascading_randomization,
    exact_shapley,
    expected_gradients,
    grad_cam,
    grad_cam_plus_plus,
    induction_scores,
    infidelity,
    insertion_curve,
    integrated_gradients,
    linear_probe,
    max_sensitivity,
    model_of,
    occlusion,
    rank_correlation,
    saliency,
    shapley_value,
    unit_activations,
)
from lib.figures import columns_that_fit, describe_attributions, show_attributions, show_images
from lib.parallelism import ColumnParallelLinear, placements

NAN = math.nan
MODEL = nn.Sequential(nn.Linear(4, 3), nn.Identity())
X, PICTURES = torch.randn(2, 4, generator=seeded(0)), torch.ones(1, 1, 4, 4)
CONVOLUTION = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
TOKENS, LAYER = torch.tensor([[0, 1]]), nn.Linear(4, 2)
GRID = symmetric_grid(torch.tensor([[1.0], [2.0]]), bits=8)
FITTED = LossSurface(1.0, (1.0, 0.5), (1.0, 0.5))
MAPS = {"map": torch.ones(8, 8)}
ONE_HOT = torch.eye(3)
PROBE = linear_probe(torch.randn(12, 4, generator=seeded(1)), torch.arange(12) % 3, penalty=0.1)


def nothing_of(layer, *sizes):
    """Build it where it takes no memory, should its sizes be let pass."""
    with torch.device("meta"):
        return layer(*sizes)


def says(logits):
    """A model of language that gives the same logits everywhere."""
    return lambda tokens: logits.expand(*tokens.shape, -1)


DENSE, META, NO_EIGHT_BITS = "must be a dense tensor, got layout torch.sparse_coo", "must hold numbers, got a tensor on the meta device", "must be floating point, got torch.float8_e4m3fn"  # fmt: skip
TABLE = {
    "a sparse tensor": [
        (lambda: saliency(MODEL, X.to_sparse(), 0), TypeError, "inputs must be dense and hold values, got a torch.sparse_coo tensor"),
        (lambda: grad_cam(CONVOLUTION, PICTURES.to_sparse(), 0, layer="0"), TypeError, "inputs must be dense and hold values, got a torch.sparse_coo tensor"),
        (lambda: target_score(X.to_sparse(), 0), TypeError, f"the model's output {DENSE}"),
        (lambda: target_score(X, torch.tensor([0, 1]).to_sparse()), TypeError, "target must be a class index"),
        (lambda: softmax(X.to_sparse()), TypeError, f"logits {DENSE}"),
        (lambda: expected_gradients(MODEL, X, 0, background=X.to_sparse(), generator=seeded(0)), TypeError, f"background {DENSE}"),
        (lambda: infidelity(MODEL, X, 0, X.to_sparse(), generator=seeded(0)), TypeError, f"attributions {DENSE}"),
        (lambda: unit_activations(MODEL, X.to_sparse(), layer="0", unit=0), TypeError, f"inputs {DENSE}"),
    ],
    "a tensor without numbers": [
        (lambda: saliency(MODEL, X.to("meta"), 0), TypeError, "inputs must be dense and hold values, got a meta tensor"),
        (lambda: int8_dynamic(nn.Linear(4, 2, device="meta")), ValueError, f"weight {META}"),
        (lambda: shapley_value(torch.zeros(8, device="meta")), ValueError, f"worths {META}"),
        (lambda: generate(says(ONE_HOT[0].to("meta")), TOKENS, 1), ValueError, "the model's logits, the largest of a sequence, must hold numbers, got a tensor on the meta device"),
    ],
    "eight-bit floats": [
        (lambda: occlusion(MODEL, X.to(torch.float8_e4m3fn), 0, window=(1,)), TypeError, f"inputs {NO_EIGHT_BITS}"),
        (lambda: target_score(X.to(torch.float8_e4m3fn), 0), TypeError, f"the model's output {NO_EIGHT_BITS}"),
        (lambda: model_of(FITTED_TREE)(X.to(torch.float8_e4m3fn)), TypeError, f"inputs {NO_EIGHT_BITS}"),
    ],
    "a number beyond the largest float": [
        (lambda: softmax(X, temperature=10**400), ValueError, "temperature must be positive and finite, at most 3.4e38, got 1000"),
        (lambda: softmax(X, temperature=1e300), ValueError, "temperature must be positive and finite, at most 3.4e38, got 1e+300"),
        (lambda: candidates(X, top_k=1, temperature=1e300), ValueError, "temperature must be positive and finite, at most 3.4e38, got 1e+300"),
        (lambda: layer_norm(X, eps=10**400), ValueError, "eps must be positive and finite, at most 3.4e38, got 1000"),
        (lambda: training_flops(10**400, 1), ValueError, "parameters must be positive and finite, at most 3.4e38, got 1000"),
        (lambda: distillation_loss(X, X, torch.tensor([0, 1]), temperature=1e300), ValueError, "temperature must be positive and finite, at most 3.4e38, got 1e+300"),
        (lambda: integrated_gradients(MODEL, X, 0, baseline=10**400), ValueError, "baseline must be finite, got 1000"),
    ],
    "a number that 32 bits would round to 0": [
        (lambda call=call: call(1e-300), ValueError, f"{name} must be positive and finite, at least 1.2e-38, got 1e-300")
        for name, call in (
            ("temperature", lambda tiny: softmax(X, temperature=tiny)),
            ("temperature", lambda tiny: candidates(X, temperature=tiny)),
            ("temperature", lambda tiny: distillation_loss(X, X, torch.tensor([0, 1]), temperature=tiny)),
            ("eps", lambda tiny: layer_norm(X, eps=tiny)),
            ("eps", lambda tiny: rms_norm(X, eps=tiny)),
            ("eps", lambda tiny: batch_norm(X, eps=tiny)),
            ("eps", lambda tiny: group_norm(X, 2, eps=tiny)),
            ("eps", lambda tiny: BatchNorm(4, tiny)),
            ("eps", lambda tiny: Block(4, 2, 8, eps=tiny)),
        )
    ],
    "a temperature at which rounding hides what is measured": [
        (lambda: distillation_loss(X, X, torch.tensor([0, 1]), temperature=1e3), ValueError, "temperature must be at most 916 in torch.float32, beyond which T² KL is rounding, got 1000"),
        (lambda: distillation_loss(X.double(), X.double(), torch.tensor([0, 1]), temperature=1e8), ValueError, "temperature must be at most 2.12e+07 in torch.float64, beyond which T² KL is rounding, got 100000000"),
    ],
    "an int beyond 64 bits": [
        (lambda: seeded(2**63), ValueError, "seed must be an int of 64 bits, below 2**63, got 9223372036854775808"),
        (lambda: nothing_of(Linear, 10**30, 3), ValueError, "in_features must be an int of 64 bits, below 2**63, got 1000"),
        (lambda: nothing_of(RNN, 3, 10**30), ValueError, "hidden must be an int of 64 bits, below 2**63, got 1000"),
        (lambda: grid_for(X, -(10**30)), ValueError, "bits must be an int of 64 bits, below 2**63, got -1000"),
        (lambda: grid_for(X, -(2**63)), ValueError, "bits must lie in 2 … 8, got -9223372036854775808"),
    ],
    "no switch": [
        (lambda: grad_cam(CONVOLUTION, PICTURES, 0, layer="0", relu=None), TypeError, "relu must be a bool, got NoneType None"),
        (lambda: infidelity(MODEL, X, 0, X, generator=seeded(0), scaled=[]), TypeError, "scaled must be a bool, got list []"),
        (lambda: occlusion(MODEL, X, 0, window=(1,), reveal="no"), TypeError, "reveal must be a bool, got str 'no'"),
        (lambda: show_images(PICTURES, signed="no"), TypeError, "signed must be a bool, got str 'no'"),
        (lambda: show_images(PICTURES, same_scale=1), TypeError, "same_scale must be a bool, got int 1"),
        (lambda: ColumnParallelLinear(4, 2, copy_input="no"), TypeError, "copy_input must be a bool, got str 'no'"),
        (lambda: Linear(4, 2, bias="no"), TypeError, "bias must be a bool, got str 'no'"),
    ],
    "a class for a model": [
        (lambda: saliency(nn.Linear, X, 0), TypeError, "model must be a module or another callable, got the class Linear"),
        (lambda: exact_shapley(nn.Sequential, X, 0, background=X), TypeError, "model must be a module or another callable, got the class Sequential"),
        (lambda: evaluation_mode(nn.Linear).__enter__(), TypeError, "model must be a module or another callable, got the class Linear"),
        (lambda: evaluation_mode(None).__enter__(), TypeError, "model must be a module or another callable, got NoneType"),
    ],
    "no dict": [
        (lambda: rewrite(MODEL, None).__enter__(), TypeError, "layers must be given functions, in a dict by name, got None"),
        (lambda: rewrite(MODEL, {"0": 3}).__enter__(), TypeError, "layers must be given functions, in a dict by name, got {'0': 3}"),
        (lambda: pruning_masks(MODEL, 0.5, mean_squares={3: X[0]}), TypeError, "a key of mean_squares must be a str, got int 3"),
        (lambda: replaced(MODEL, ["0"]), TypeError, "plan must be a dict from names to functions, got list"),
        (lambda: pruning_masks(MODEL, 0.5, mean_squares={"0": 3}), TypeError, "mean_squares['0'] must be a Tensor, got int 3"),
        (lambda: show_attributions(torch.rand(3, 8, 8), ["map"]), TypeError, "attributions must be maps by name, got list"),
        (lambda: describe_attributions(MAPS, regions={"left": 3}), TypeError, "regions['left'] must be a tuple of 4, got int 3"),
    ],
    "no function": [
        (lambda: checkpoint("x", None), TypeError, "make must be callable, got NoneType None"),
        (lambda: activation_patching(MODEL, X, X, ["0"], [0], score=3), TypeError, "score must be a module or another callable, got int"),
        (lambda: cascading_randomization(MODEL, 3, generator=seeded(0)), TypeError, "explain must be a module or another callable, got int"),
        (lambda: max_sensitivity(MODEL, X, 0, "saliency", generator=seeded(0)), TypeError, "method must be a module or another callable, got str"),
    ],
    "no generator": [
        (lambda: cascading_randomization(MODEL, lambda m: X, generator=0), TypeError, "generator must be a torch.Generator, got int"),
    ],
    "no name of a layer": [
        (lambda: grad_cam(CONVOLUTION, PICTURES, 0, layer=["0"]), TypeError, "layer and head must be names, as model.named_modules() has them, got list"),
        (lambda: grad_cam_plus_plus(CONVOLUTION, PICTURES, 0, layer={}), TypeError, "layer and head must be names, as model.named_modules() has them, got dict"),
        (lambda: capture(MODEL, 3), TypeError, "layers must be a list or tuple, got int 3"),
    ],
    "no number, no tensor": [
        (lambda: shapley_value([1.0, 2.0]), TypeError, "worths must be a torch.Tensor, got list"),
        (lambda: LayerNorm(4)(X.tolist()), TypeError, "x must be a torch.Tensor, got list"),
        (lambda: RMSNorm(4)(None), TypeError, "x must be a torch.Tensor, got NoneType None"),
        (lambda: Residual(nn.Identity())(3), TypeError, "x must be a torch.Tensor, got int"),
        (lambda: Residual(nn.Identity())(X > 0), TypeError, "x must be floating point, got torch.bool"),
        (lambda: insertion_curve(MODEL, X, 0, X * 1j), TypeError, "attributions must be floating point, got torch.complex64"),
        (lambda: PROBE(np.zeros(4)), TypeError, "states must be a torch.Tensor, got ndarray"),
        (lambda: placements(3), TypeError, "model must be a Module, got int 3"),
        (lambda: count_parameters(LAYER), TypeError, "model must be a Transformer, got Linear"),
        (lambda: fit_power_law("12", [1.0, 2.0]), TypeError, "x must be a list or tuple or a ndarray, got str '12'"),
        (lambda: LossSurface(1.0, 3, (1.0, 0.5)), TypeError, "parameters must be a pair, got int 3"),
        (lambda: LossSurface(NAN, (1.0, 0.5), (1.0, 0.5)), ValueError, "floor must be finite, got nan"),
        (lambda: PowerLaw(NAN, 1.0), ValueError, "exponent must be finite, got nan"),
        (lambda: FITTED.loss(0, 1), ValueError, "parameters must be positive and finite, got 0"),
        (lambda: FITTED.allocation([1.0]), TypeError, "flops must be a number, got list"),
        (lambda: columns_that_fit(None), TypeError, "size must be a number, got NoneType None"),
        (lambda: show_images(PICTURES, size=None), TypeError, "size must be a number, got NoneType None"),
        (lambda: seeded(0, device="abacus"), ValueError, "device must be one that torch knows here, got 'abacus'"),
    ],
    "a dtype that the layer's weights have not": [
        (lambda layer=layer: layer(4, 3)(torch.zeros(1, 2, 4).double()), TypeError, "x and weights must have the same dtype, got x torch.float64, weights torch.float32")
        for layer in (RNN, GRU, LSTM)
    ],
    "a model of language that returns something else": [
        (lambda: generate(lambda tokens: None, TOKENS, 1), TypeError, "the model's output must be a torch.Tensor, got NoneType"),
        (lambda: generate(lambda tokens: tokens, TOKENS, 1), ValueError, "the model's output must have 3 axes (batch, time, vocabulary), got 2"),
        (lambda: generate(says(ONE_HOT.long()[0]), TOKENS, 1), TypeError, "the model's output must be floating point, got torch.int64"),
        (lambda: generate(lambda tokens: torch.zeros(2, 2, 3), TOKENS, 1), ValueError, "the model must return logits for each of the 1 sequences, got 2"),
    ],
    "logits of which none is the largest": [
        (lambda call=call, row=[value, *others]: call(torch.tensor([row])), ValueError, f"logits, the largest of a sequence, must be finite, got {value} at (0,)")
        for call in (
            candidates,
            lambda logits: generate(says(logits[0]), TOKENS, 1),
            lambda logits: beam_search(says(logits[0]), TOKENS[0], beams=1, end=0, longest=2),
        )
        for value, *others in ((NAN, 0.0, 1.0), (math.inf, 0.0, 1.0), (-math.inf,) * 3)
    ],
    "tokens that number no logit": [
        (lambda call=call, token=token: call(torch.tensor([0, token])), ValueError, f"tokens must lie in 0 … 2, the vocabulary of the model's logits, got {token}")
        for call in (
            lambda tokens: generate(says(ONE_HOT[0]), tokens[None], 1),
            lambda tokens: beam_search(says(ONE_HOT[0]), tokens, beams=1, end=0, longest=2),
        )
        for token in (-1, 3)
    ]
    + [
        (lambda end=end: generate(says(ONE_HOT[0]), TOKENS, 1, end=end), ValueError, f"end must lie in 0 … 2, the vocabulary, got {end}")
        for end in (-1, 3)
    ],
    "weights that average nothing": [
        (lambda call=call, patterns=patterns: call(patterns.expand(1, 1, 1, 3, 3)), ValueError, f"patterns must have rows of weights of at least 0 that sum to 1, got a row with the sum {told}")
        for call in (attention_rollout, lambda patterns: induction_scores(patterns, 1))
        for patterns, told in ((1.5 * ONE_HOT, "1.5 and the least weight 0"), (2 * ONE_HOT - 1 / 3, "1 and the least weight -0.3333"), (NAN * ONE_HOT, "nan and the least weight nan"))
    ],
    "limits of quantization that are none": [
        (lambda: grid_for(X, 8, limits=lambda x: None), TypeError, "limits must return two tensors, a low and a high end, got NoneType"),
        (lambda: grid_for(X, 8, limits=lambda x: (x, x)), ValueError, "limits must return ends of shape (2,), got (2, 4) and (2, 4)"),
        (lambda: int8_static(LAYER, X, limits=lambda x: x), TypeError, "limits must return two tensors, a low and a high end, got Tensor"),
    ],
    "a grid that does not fit, or is none": [
        (lambda: quantize(X[:1].repeat(3, 1), GRID), ValueError, "the grid's steps must broadcast to the tensor's shape (3, 4), got (2, 1)"),
        (lambda: fake_quantize(X[0], GRID), ValueError, "the grid's steps must broadcast to the tensor's shape (4,), got (2, 1)"),
        (lambda: dequantize(torch.zeros(3, 4).int(), GRID), ValueError, "the grid's steps must broadcast to the tensor's shape (3, 4), got (2, 1)"),
        (lambda: Grid(torch.ones(()), torch.zeros(()).int(), 7, -8), ValueError, "low must not be above high, got 7 and -8"),
        (lambda: Grid(torch.tensor(0.0), torch.zeros(()).int(), -8, 7), ValueError, "a step must be finite and above 0, got 0.0 "),
        (lambda: Grid(torch.tensor(-1.0), torch.zeros(()).int(), -8, 7), ValueError, "a step must be finite and above 0, got -1.0 "),
        (lambda: Grid(torch.tensor(float('nan')), torch.zeros(()).int(), -8, 7), ValueError, "a step must be finite and above 0, got nan "),
        (lambda: Grid(torch.tensor(float('inf')), torch.zeros(()).int(), -8, 7), ValueError, "a step must be finite and above 0, got inf "),
        (lambda: Grid(0.1, torch.zeros(()).int(), -8, 7), TypeError, "scale must be a torch.Tensor, got float 0.1"),
        (lambda: unpack_bits(torch.tensor(3, dtype=torch.uint8), 8, 1), ValueError, "packed must have 1 axes (bytes), got 0"),
    ],
    "NaN, where a comparison would swallow it": [
        (lambda: LowRank(LAYER, torch.full((2, 1), NAN), torch.ones(1, 4)), ValueError, "up must be finite, got nan"),
        (lambda: LowRank(LAYER, torch.ones(2, 1), torch.full((1, 4), NAN)), ValueError, "down must be finite, got nan"),
        (lambda: nearest(torch.tensor([NAN]), torch.tensor([0.0, 1.0])), ValueError, "x must be finite, got nan"),
        (lambda: nearest(torch.tensor([0.5]), torch.tensor([0.0, NAN])), ValueError, "levels must be finite, got nan"),
        (lambda: nearest(torch.tensor([0.5]), torch.tensor([1.0, 0.0])), ValueError, "levels must rise, got [1.0, 0.0]"),
        (lambda: nearest(torch.tensor([0.5]), torch.arange(257.0)), ValueError, "levels must be at most 256, whose numbers a byte holds, got 257"),
        (lambda: smoothing_factors(torch.tensor([NAN]), torch.ones(1)), ValueError, "largest_inputs must be finite, got nan"),
        (lambda: smoothing_factors(torch.ones(1), -torch.ones(1)), ValueError, "largest_weights must be magnitudes, at least 0, got -1.0"),
        (lambda: rank_correlation(X * NAN, X), ValueError, "must be finite, got nan"),
    ],
}  # fmt: skip


class FITTED_TREE:  # noqa: N801 - stands for an estimator
    @staticmethod
    def predict_proba(table):
        return table[:, :2]


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [pytest.param(*row, id=f"{kind}: {row[2][:70]}") for kind, rows in TABLE.items() for row in rows],
)
def test_a_kind_of_bad_input_is_refused_wherever_it_arrives(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
