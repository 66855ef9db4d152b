"""What no mechanism can look into is refused with the value received and the rule, and nothing stays behind."""

import re

import pytest
import torch
from small_transformers import LAYERS, gpt, tokens
from torch import nn

from lib.core import seeded
from lib.core.hooks import rewrite_inputs
from lib.explanations import (
    SparseAutoencoder,
    activation_patching,
    attention_patterns,
    concept_sensitivities,
    concept_vector,
    control_labels,
    dataset_examples,
    direct_logit_attribution,
    explained_variance,
    feature_visualization,
    induction_scores,
    linear_probe,
    logit_lens,
    lookup_labels,
    random_concept_test,
    restored_share,
    tcav_scores,
    train_sparse_autoencoder,
    unit_activations,
    without_heads,
)

MODEL, X = gpt().train(), tokens()
ATTENTIONS = ["blocks.0.attention"]


class Odd(nn.Module):
    """Layers that are not reached, run twice, or give no sequence."""

    def __init__(self):
        super().__init__()
        self.table, self.twice, self.never = nn.Embedding(11, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.pooled, self.pair = nn.Identity(), nn.LSTM(4, 4, batch_first=True)

    def forward(self, x):
        return self.pooled(self.pair(self.twice(self.twice(self.table(x))))[0].mean(1))


ODD = Odd()


class Deaf(nn.Module):
    """A layer that the model has and does not run."""

    def __init__(self):
        super().__init__()
        self.head, self.deaf = nn.Linear(3, 2), nn.Linear(3, 4)

    def forward(self, x):
        return self.head(x)


def patch(model=MODEL, x=X, source=X, layers=LAYERS, positions=(0,), score=lambda z: z[:, -1, 0]):
    return activation_patching(model, x, source, layers, positions, score=score)


def ablate(heads=2, **changes):
    with without_heads(MODEL, changes.pop("ablated", {"blocks.0.attention": [0]}), heads=heads, **changes):
        MODEL(X)


def direct(model=MODEL, x=X, parts=("positions",), right=X[:, 0], wrong=X[:, 1], **knobs):
    return direct_logit_attribution(model, x, list(parts), right, wrong, **knobs)


NET, ROWS = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).train(), torch.randn(5, 3, generator=seeded(0))


def read(model=NET, x=ROWS, layer="0", unit=0, **changes):
    return unit_activations(model, x, layer=layer, unit=unit, **changes)


def examples(count=2, x=ROWS, **changes):
    return dataset_examples(NET, x, **{"layer": "0", "unit": 0, "generator": seeded(0)} | changes, count=count)


def made(shape=(3,), model=NET, **changes):
    return feature_visualization(
        model, shape, **{"layer": "0", "unit": 0, "norm": 1.0, "generator": seeded(0)} | changes
    )


ALONG = torch.ones(1, 4)


def slopes(model=NET, x=ROWS, target=0, layer="0", directions=ALONG):
    return concept_sensitivities(model, x, target, layer=layer, directions=directions)


def off():
    """A ReLU that is off for every input of length 1."""
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    nn.init.constant_(net[0].bias, -100.0)
    return net


STATES, LABELS = torch.randn(20, 3, generator=seeded(0)), torch.arange(20) % 2
NAN = torch.full((20, 3), torch.nan)
TABLE = [
    (lambda: patch(model=lambda x: x), TypeError, "model must be a torch.nn.Module to have layers by name, got function"),
    (lambda: patch(x=[1, 2]), TypeError, "inputs must be a torch.Tensor, got list"),
    (lambda: patch(x=X[0], source=X[0]), ValueError, "inputs must be [batch, time] or [batch, time, features], got shape (7,)"),
    (lambda: patch(source=X[:, :5]), ValueError, "source must have the shape of inputs, (3, 7), got (3, 5)"),
    (lambda: patch(source=None), ValueError, "source must have the shape of inputs, (3, 7), got NoneType"),
    (lambda: patch(layers=["blocks.7"]), ValueError, "layers must name modules of the model, got ['blocks.7']"),
    (lambda: patch(layers=[]), ValueError, "layers must name modules of the model, got []"),
    (lambda: patch(positions=()), ValueError, "positions must name at least one position, got none"),
    (lambda: patch(positions=[7]), ValueError, "positions must lie in -7 … 6, got 7"),
    (lambda: patch(positions=[-8]), ValueError, "positions must lie in -7 … 6, got -8"),
    (lambda: patch(positions=[1.0]), TypeError, "positions must be ints, got float 1.0"),
    (lambda: patch(positions=[True]), TypeError, "positions must be ints, got bool True"),
    (lambda: patch(score=lambda z: z[:, -1]), ValueError, "score must return one number for each of the 3 examples, got (3, 11)"),
    (lambda: patch(score=lambda z: 1.0), ValueError, "score must return one number for each of the 3 examples, got float"),
    (lambda: patch(score=lambda z: z[:, -1, 0] * torch.nan), ValueError, "the score must be finite, got nan at (0,)"),
    (lambda: patch(model=ODD, layers=["never"]), ValueError, "layer 'never' must run once in a pass, it ran 0 times"),
    (lambda: patch(model=ODD, layers=["twice"]), ValueError, "layer 'twice' must run once in a pass, it ran 2 times"),
    (lambda: patch(model=ODD, layers=["pooled"]), ValueError, "layer 'pooled' must give [batch, time, features] with the inputs' (3, 7), got (3, 4)"),
    (lambda: patch(model=ODD, layers=["pair"]), ValueError, "layer 'pair' must give [batch, time, features] with the inputs' (3, 7), got tuple"),
    (lambda: restored_share(torch.ones(1, 2), torch.ones(2), torch.tensor([2.0, 1.0])), ValueError, "source and untouched must have different scores, got 1 for both at 1"),
    (lambda: restored_share(torch.ones(1, 3), torch.ones(2), torch.zeros(2)), ValueError, "patched and untouched must agree on batch, got 3 and 2"),
    (lambda: restored_share(torch.ones(1, 2).long(), torch.ones(2), torch.zeros(2)), TypeError, "patched must be floating point, got torch.int64"),
    (lambda: logit_lens(MODEL, X, ["positions"], norm="final"), ValueError, "norm and head must name modules of the model, got 'final'"),
    (lambda: logit_lens(MODEL, X, ["positions"], head="unembed"), ValueError, "norm and head must name modules of the model, got 'unembed'"),
    (lambda: logit_lens(MODEL, X, ["positions"], position=9), ValueError, "positions must lie in -7 … 6, got 9"),
    (lambda: logit_lens(MODEL, X, []), ValueError, "layers must name modules of the model, got []"),
    (lambda: logit_lens(None, X, LAYERS), TypeError, "model must be a torch.nn.Module"),
    (lambda: direct(model=None), TypeError, "model must be a Module, got NoneType"),
    (lambda: direct(x=X.tolist(), right=LABELS[:3], wrong=LABELS[:3]), TypeError, "inputs must be a Tensor, got list"),
    (lambda: direct(parts=["blocks.7"]), ValueError, "layers must name modules of the model, got ['blocks.7']"),
    (lambda: direct(parts=[]), ValueError, "parts must name at least one module, got none"),
    (lambda: direct(parts=["blocks.0.mlp.up"]), ValueError, "'blocks.0.mlp.up' must give as many features as the norm reads, 8, got 32"),
    (lambda: direct(position=7), ValueError, "positions must lie in -7 … 6, got 7"),
    (lambda: direct(right=X[:, 0].float()), TypeError, "right must have dtype torch.int64, got torch.float32"),
    (lambda: direct(wrong=X[:2, 0]), ValueError, "right and wrong must agree on batch, got 3 and 2"),
    (lambda: direct(right=X[:2, 0], wrong=X[:2, 0]), ValueError, "right must give one token for each of the 3 examples, got (2,)"),
    (lambda: direct(wrong=X[:, 0] + 11), ValueError, "wrong must lie in 0 … 10, the vocabulary, got"),
    (lambda: direct(norm="final"), ValueError, "norm and head must name modules of the model, got 'final'"),
    (lambda: direct(head="norm"), TypeError, "head must name a linear map, got 'norm', a LayerNorm"),
    (lambda: direct(norm="blocks.1.mlp"), ValueError, "norm must divide a state, or its deviations from their mean, by one number, as 'blocks.1.mlp', a MLP, does not"),
    (lambda: direct(by_head=ATTENTIONS, heads=3), ValueError, "the width of 'blocks.0.attention.output', 8 must be divisible by heads 3"),
    (lambda: direct(by_head=ATTENTIONS, heads=0), ValueError, "heads must be at least 1, got 0"),
    (lambda: direct(by_head=["blocks.0"]), ValueError, "layers must name modules of the model, got ['norm', 'blocks.0.output']"),
    (lambda: attention_patterns(MODEL, X, ATTENTIONS, heads=3), ValueError, "the width of 'blocks.0.attention.output', 8 must be divisible by heads 3"),
    (lambda: attention_patterns(MODEL, X, ATTENTIONS, heads=0), ValueError, "heads must be at least 1, got 0"),
    (lambda: attention_patterns(MODEL, X, ATTENTIONS, heads=2.0), TypeError, "heads must be an int, got float 2.0"),
    (lambda: attention_patterns(MODEL, X, ["blocks.0"], heads=2), ValueError, "layers must name modules of the model, got ['blocks.0.value', 'blocks.0.output']"),
    (lambda: attention_patterns(MODEL, X, ATTENTIONS, heads=2, value="v_proj"), ValueError, "layers must name modules of the model, got ['blocks.0.attention.v_proj'"),
    (lambda: induction_scores(torch.rand(1, 2, 3, 6, 6), 6), ValueError, "period must be below the time 6, or nothing repeats, got 6"),
    (lambda: induction_scores(torch.rand(1, 2, 3, 6, 6), 0), ValueError, "period must be at least 1, got 0"),
    (lambda: induction_scores(torch.rand(2, 3, 6, 6), 2), ValueError, "patterns must have 5 axes"),
    (lambda: induction_scores(torch.rand(1, 2, 3, 6, 5), 2), ValueError, "patterns and patterns must agree on time, got 6 and 5"),
    (lambda: ablate(ablated={"blocks.0.attention": [2]}), ValueError, "ablated heads of 'blocks.0.attention' must be ints in 0 … 1, got 2"),
    (lambda: ablate(ablated={"blocks.0.attention": [-1]}), ValueError, "ablated heads of 'blocks.0.attention' must be ints in 0 … 1, got -1"),
    (lambda: ablate(ablated={"blocks.0.attention": [True]}), TypeError, "ablated['blocks.0.attention'][0] must be an int, got bool True"),
    (lambda: ablate(ablated={"blocks.5.attention": [0]}), ValueError, "layers must name modules of the model, got ['blocks.5.attention.output']"),
    (lambda: ablate(ablated={}), ValueError, "layers must name modules of the model, got []"),
    (lambda: ablate(heads=3), ValueError, "the width of 'blocks.0.attention.output', 8 must be divisible by heads 3"),
    (lambda: ablate(by="noise"), ValueError, "by must be 'zero' or 'mean', got 'noise'"),
    (lambda: linear_probe(STATES, LABELS * 0, penalty=1.0), ValueError, "labels must be of at least two classes from 0, got [0]"),
    (lambda: linear_probe(STATES, LABELS - 1, penalty=1.0), ValueError, "labels must be of at least two classes from 0, got [-1, 0]"),
    (lambda: linear_probe(STATES, LABELS[:5], penalty=1.0), ValueError, "states and labels must agree on examples, got 20 and 5"),
    (lambda: linear_probe(STATES, LABELS.float(), penalty=1.0), TypeError, "labels must have dtype torch.int64, got torch.float32"),
    (lambda: linear_probe(STATES.long(), LABELS, penalty=1.0), TypeError, "states must be floating point, got torch.int64"),
    (lambda: linear_probe(NAN, LABELS, penalty=1.0), ValueError, "states must be finite, got nan at (0, 0)"),
    (lambda: linear_probe(STATES, LABELS, penalty=0.0), ValueError, "penalty must be positive and finite, got 0.0"),
    (lambda: control_labels(LABELS, LABELS[:3], generator=seeded(0)), ValueError, "types and labels must agree on examples, got 20 and 3"),
    (lambda: control_labels(LABELS, LABELS, generator=7), TypeError, "generator must be a Generator, got int 7"),
    (lambda: lookup_labels(LABELS, LABELS[:3], LABELS), ValueError, "types and labels must agree on known, got 20 and 3"),
    (lambda: lookup_labels(LABELS, LABELS, LABELS.float()), TypeError, "asked must have dtype torch.int64, got torch.float32"),
    (lambda: SparseAutoencoder(0, 3, active=1), ValueError, "width must be at least 1, got 0"),
    (lambda: SparseAutoencoder(3, 3.0, active=1), TypeError, "features must be an int, got float 3.0"),
    (lambda: SparseAutoencoder(4, 8, active=2)(STATES), ValueError, "states must have 4 features, got shape (20, 3)"),
    (lambda: train_sparse_autoencoder(STATES, 8, active=2, steps=5, seed=0), ValueError, "states must fill a batch of 256, got 20"),
    (lambda: train_sparse_autoencoder(NAN, 8, active=2, steps=5, seed=0, batch_size=4), ValueError, "states must be finite, got nan at (0, 0)"),
    (lambda: SparseAutoencoder(4, 8, active=9), ValueError, "active must be at most the 8 features, got 9"),
    (lambda: train_sparse_autoencoder(STATES, 8, active=0, steps=5, seed=0, batch_size=4), ValueError, "active must be at least 1, got 0"),
    (lambda: train_sparse_autoencoder(STATES, 8, active=2, steps=0, seed=0, batch_size=4), ValueError, "steps must be at least 1, got 0"),
    (lambda: train_sparse_autoencoder(STATES, 8, active=2, steps=5, seed=-1, batch_size=4), ValueError, "seed must be at least 0, got -1"),
    (lambda: explained_variance(torch.ones(4, 2), torch.ones(4, 2)), ValueError, "states must differ to have a variance, got 4 equal ones"),
    (lambda: explained_variance(STATES, STATES[:3]), ValueError, "states and reconstructions must agree on examples, got 20 and 3"),
    (lambda: read(model=None), TypeError, "model must be a Module, got NoneType"),
    (lambda: read(x=[1.0]), TypeError, "inputs must be a Tensor, got list"),
    (lambda: read(x=ROWS[:0]), ValueError, "inputs must hold at least one example, got shape (0, 3)"),
    (lambda: read(x=ROWS * torch.nan), ValueError, "inputs must be finite, got nan at (0, 0)"),
    (lambda: read(layer="7"), ValueError, "layers must name modules of the model, got ['7']"),
    (lambda: read(unit=4), ValueError, "unit must lie in 0 … 3, the features of '0', got 4"),
    (lambda: read(unit=-1), ValueError, "unit must lie in 0 … 3, the features of '0', got -1"),
    (lambda: read(unit=1.0), TypeError, "unit must be an int or a Tensor, got float 1.0"),
    (lambda: read(unit=torch.ones(3)), ValueError, "unit must be a direction of '0''s 4 features, got shape (3,)"),
    (lambda: read(unit=torch.tensor(2)), TypeError, "unit must be an int or a floating-point direction, got torch.int64"),
    (lambda: read(unit=torch.full((4,), torch.nan)), ValueError, "unit must be finite, got nan at (0,)"),
    (lambda: read(over="sum"), ValueError, "over must be 'max' or 'mean', got 'sum'"),
    (lambda: read(batch_size=0), ValueError, "batch_size must be at least 1, got 0"),
    (lambda: read(model=ODD, x=X, layer="never"), ValueError, "layer 'never' must run once in a pass, it ran 0 times"),
    (lambda: read(model=ODD, x=X, layer="twice"), ValueError, "layer 'twice' must run once in a pass, it ran 2 times"),
    (lambda: read(model=ODD, x=X, layer="pair"), ValueError, "layer 'pair' must give [batch, features]"),
    (lambda: examples(count=6), ValueError, "count must be at most the 5 inputs, got 6"),
    (lambda: examples(count=0), ValueError, "count must be at least 1, got 0"),
    (lambda: examples(generator=1), TypeError, "generator must be a Generator, got int 1"),
    (lambda: examples(unit=9), ValueError, "unit must lie in 0 … 3, the features of '0', got 9"),
    (lambda: made(shape=()), ValueError, "shape must have two axes for waves and jitter, and one in any case, got ()"),
    (lambda: made(shape=(3,), parametrization="fourier"), ValueError, "shape must have two axes for waves and jitter, and one in any case, got (3,)"),
    (lambda: made(shape=(3,), jitter=1), ValueError, "shape must have two axes for waves and jitter, and one in any case, got (3,)"),
    (lambda: made(shape=(0, 3)), ValueError, "shape must hold sizes of at least 1, got (0, 3)"),
    (lambda: made(norm=0.0), ValueError, "norm must be positive and finite, got 0.0"),
    (lambda: made(parametrization="wavelet"), ValueError, "parametrization must be 'pixel' or 'fourier', got 'wavelet'"),
    (lambda: made(steps=0), ValueError, "steps must be at least 1, got 0"),
    (lambda: made(unit=5), ValueError, "unit must lie in 0 … 3, the features of '0', got 5"),
    (lambda: made(model=off(), layer="1", steps=1), ValueError, "unit 0 of '1' must have a gradient at the first input, got none"),
    (lambda: concept_vector(STATES[:0], STATES), ValueError, "concept must"),
    (lambda: concept_vector(STATES, STATES[:0], fit="means"), ValueError, "others must"),
    (lambda: concept_vector(STATES, NAN), ValueError, "others must be finite, got nan at (0, 0)"),
    (lambda: concept_vector(STATES, STATES[:, :2]), ValueError, "concept and others must agree on width, got 3 and 2"),
    (lambda: concept_vector(STATES, STATES, fit="means"), ValueError, "concept and others must differ, got 20 and 20 examples"),
    (lambda: concept_vector(STATES, STATES, penalty=0.0), ValueError, "penalty must be positive and finite, got 0.0"),
    (lambda: slopes(model=lambda x: x), TypeError, "model must be a torch.nn.Module to have layers by name, got function"),
    (lambda: slopes(x=ROWS * torch.nan), ValueError, "inputs must be finite, got nan at (0, 0)"),
    (lambda: slopes(target=2), ValueError, "target must lie in 0 … 1, the 2 classes, got 2"),
    (lambda: slopes(layer="9"), ValueError, "layers must name modules of the model, got ['9']"),
    (lambda: slopes(directions=torch.ones(4)), ValueError, "directions must be [vectors, 4] for layer '0', got shape (4,)"),
    (lambda: slopes(directions=torch.ones(0, 4)), ValueError, "directions must be [vectors, 4] for layer '0', got shape (0, 4)"),
    (lambda: slopes(directions=torch.ones(1, 4).long()), TypeError, "directions must be a floating-point tensor, got torch.int64"),
    (lambda: slopes(directions=torch.full((1, 4), torch.inf)), ValueError, "directions must be finite, got inf at (0, 0)"),
    (lambda: slopes(model=Deaf(), layer="deaf"), ValueError, "layer 'deaf' must run once in a pass, it ran 0 times"),
    (lambda: tcav_scores(torch.ones(2, 0)), ValueError, "sensitivities must"),
    (lambda: tcav_scores(torch.tensor([torch.nan])), ValueError, "sensitivities must be finite, got nan at (0,)"),
    (lambda: random_concept_test(0.5, torch.ones(0)), ValueError, "random_values must"),
    (lambda: random_concept_test(torch.tensor(torch.nan), torch.ones(3)), ValueError, "value must be finite, got nan"),
    (lambda: random_concept_test("high", torch.ones(3)), TypeError, "value must be"),
]  # fmt: skip


@pytest.mark.bad_input
@pytest.mark.parametrize(("call", "error", "words"), TABLE, ids=[row[2][:60] for row in TABLE])
def test_refused_with_value_and_rule(call, error, words):
    with pytest.raises(error, match=re.escape(words)):
        call()
    for model in (MODEL, ODD, NET):
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
        assert model.training


@pytest.mark.bad_input
def test_a_change_of_an_input_must_give_one_and_needs_one():
    class Deaf(nn.Module):
        def forward(self):
            return torch.zeros(1)

    for model, change, error, words in (
        (nn.Sequential(nn.ReLU()), lambda x: None, TypeError, "must return the layer's new input, got None"),
        (nn.ModuleDict({"0": Deaf()}), lambda x: x, ValueError, "layer '0' must be called with an input to rewrite"),
    ):
        with pytest.raises(error, match=words), rewrite_inputs(model, {"0": change}):
            model(X) if error is TypeError else model["0"]()


def test_every_function_has_a_row():
    import lib.explanations.mechanisms

    helpers = (patch, ablate, direct, read, examples, made, slopes)
    called = {name for call, *_ in TABLE for name in call.__code__.co_names}
    called |= {name for helper in helpers for name in helper.__code__.co_names}
    records = {"ConceptVector", "DatasetExamples", "DirectLogitAttribution", "FeatureVisualization", "LinearProbe"}
    assert set(lib.explanations.mechanisms.__all__) - records <= called  # nobody calls a record
