"""What layers see of calibration data: the rows that their matrix is multiplied with, and that nothing is left behind."""

import re

import pytest
import torch
from torch import nn

from lib import architectures
from lib.compression import record_inputs


class Model(nn.Module):
    """Two convolutions of different geometry, dropout, a dense layer on tokens, and layers that data never reach."""

    def __init__(self):
        super().__init__()
        self.first = architectures.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2))
        self.second = nn.Conv2d(4, 3, 3, padding="same", padding_mode="circular")
        self.dropout = nn.Dropout(0.5)
        self.dense = nn.Linear(3, 5)
        self.unused, self.grouped, self.table = nn.Linear(2, 2), nn.Conv2d(4, 4, 3, groups=2), nn.Embedding(3, 3)

    def forward(self, x):
        y = self.second(self.first(x))
        return self.dense(input=self.dropout(y.flatten(2).transpose(1, 2)))  # an argument by name


X = torch.randn(6, 2, 7, 8, generator=torch.Generator().manual_seed(1))
LAYERS = ["first", "second", "dense"]


def hooks_left(model):
    return sum(len(module._forward_pre_hooks) + len(module._forward_hooks) for module in model.modules())


@torch.no_grad()
def test_rows_times_the_matrix_are_the_outputs_of_each_layer():
    model = Model().eval()
    rows = record_inputs(model, LAYERS, X)
    x = X
    for name in ("first", "second"):
        layer = model.get_submodule(name)
        x = layer(x)
        products = rows[name] @ layer.weight.flatten(1).T + layer.bias
        # The rows go through the positions of the first image, then those of the next.
        torch.testing.assert_close(products, x.flatten(2).transpose(1, 2).flatten(0, 1))
    torch.testing.assert_close(model.dense(rows["dense"]), model(X).flatten(0, 1))


def test_moments_are_means_over_all_batches_also_of_unequal_size():
    model, batches = Model(), [X[:1], (X[1:3], torch.zeros(2)), [X[3:]]]
    rows = record_inputs(model, LAYERS, X)
    moments = record_inputs(model, LAYERS, batches, keep="second moments")
    squares = record_inputs(model, LAYERS, iter(batches), keep="mean squares")
    for name in LAYERS:
        torch.testing.assert_close(moments[name], rows[name].T @ rows[name] / len(rows[name]))
        torch.testing.assert_close(squares[name], moments[name].diagonal())


def test_half_precision_is_summed_in_float32():
    layer = nn.Sequential(nn.Linear(1, 1)).bfloat16()
    squares = record_inputs(layer, ["0"], torch.ones(3000, 1, dtype=torch.bfloat16), keep="mean squares")
    assert squares["0"].dtype == torch.float32
    assert squares["0"] == 1  # a sum in bfloat16 stops at 256
    assert (
        record_inputs(layer.double(), ["0"], torch.ones(2, 1).double(), keep="mean squares")["0"].dtype == torch.float64
    )


def test_every_mode_stays_as_it_was_and_dropout_is_off_meanwhile():
    model = Model()
    model.second.eval()
    modes = [module.training for module in model.modules()]
    first, second = (record_inputs(model, ["dense"], X)["dense"] for _ in range(2))
    assert torch.equal(first, second)
    assert [module.training for module in model.modules()] == modes
    assert hooks_left(model) == 0
    assert not first.requires_grad


def test_a_record_is_not_changed_by_what_follows_in_place():
    class InPlace(nn.Linear):
        def forward(self, x):
            y = super().forward(x)
            x.zero_()
            return y

    x = torch.ones(2, 3)
    assert record_inputs(nn.Sequential(InPlace(3, 3)), ["0"], x)["0"].equal(torch.ones(2, 3))


NAN = X.clone()
NAN[4, 1, 2, 3] = float("nan")


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("layers", "data", "error", "message"),
    [
        (["first"], NAN, ValueError, "the input of layer 'first' must be finite, got nan at (4, 1, 2, 3) (1 such values)"),
        (["dense"], [X, NAN], ValueError, "the input of layer 'dense' must be finite, got nan"),
        (["first"], [], ValueError, "calibration data must reach every layer, got no example at 'first'"),
        (["first"], X[:0], ValueError, "calibration data must reach every layer, got no example at 'first'"),
        (["first", "unused"], X, ValueError, "calibration data must reach every layer, got no example at 'unused'"),
        (["third"], X, ValueError, "layers must name modules of the model, got ['third']; it has ['first', "),
        ([], X, ValueError, "layers must name modules of the model, got []"),
        (["first", "first"], X, ValueError, "layers must be named once each, got ['first', 'first']"),
        (["grouped"], X, ValueError, "layer 'grouped' must have one matrix, got a convolution of 2 groups"),
        (["table"], X, TypeError, "layer must be a Linear or Conv2d of lib.architectures or torch.nn, got Embedding"),
        (["first"], [X, "text"], TypeError, "each batch must be a tensor of inputs or begin with one, got str"),
        (["first"], [()], TypeError, "each batch must be a tensor of inputs or begin with one, got tuple"),
        (["first"], [X.long()], TypeError, "the input of layer 'first' must be a floating-point tensor, got torch.int64"),
        ("first", X, TypeError, "layers must be a list or tuple, got str 'first'"),
        (["first"], 3, TypeError, "data must be a Tensor or an Iterable, got int 3"),
    ],
)  # fmt: skip
def test_what_is_no_calibration_is_refused_and_leaves_nothing(layers, data, error, message):
    model = Model()
    model.second.eval()
    modes = [module.training for module in model.modules()]
    with pytest.raises(error, match=re.escape(message)):
        record_inputs(model, layers, data)
    assert hooks_left(model) == 0
    assert [module.training for module in model.modules()] == modes


@pytest.mark.bad_input
def test_what_to_keep_is_one_of_three_words():
    with pytest.raises(ValueError, match="keep must be 'inputs' or 'second moments' or 'mean squares', got 'moments'"):
        record_inputs(Model(), ["first"], X, keep="moments")
