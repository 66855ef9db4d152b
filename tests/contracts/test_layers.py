"""What every layer promises, whatever it computes."""

from dataclasses import dataclass

import pytest
import torch
from refusals import KINDS, not_refused
from torch import nn
from torch.testing import assert_close

from lib.architectures import (
    GRU,
    LSTM,
    MLP,
    RNN,
    AvgPool2d,
    BasicBlock,
    BatchNorm,
    Block,
    Bottleneck,
    Conv1d,
    Conv2d,
    DecoderBlock,
    GlobalAvgPool2d,
    GroupNorm,
    LayerNorm,
    LearnedPositions,
    LeNet5,
    Linear,
    LlamaBlock,
    LlamaConfig,
    MaxPool2d,
    MultiHeadAttention,
    ReLU,
    Residual,
    RMSNorm,
    RotaryAttention,
    SwiGLU,
    attention,
    cross_entropy,
    digit_cnn,
    gelu,
    log_softmax,
    sigmoid,
    small_densenet,
    small_resnet,
    softmax,
    tanh,
)
from lib.core import seeded


@dataclass(frozen=True)
class Case:
    """A layer, an input's shape, and torch's layer of the same name where there is one."""

    build: callable
    shape: tuple[int, ...]
    torchs: callable = None


def convolution(layer):
    return lambda: layer(4, 6, 3, stride=2, padding=1, dilation=2, groups=2)


class Outputs(nn.Sequential):
    """A recurrent network without the state that it returns beside its outputs."""

    def forward(self, x):
        return self[0](x)[0]


class Decoding(nn.Sequential):
    """A decoder's layer whose memory is made of its input."""

    def forward(self, x):
        return self[0](x, x[:, 1:].cos(), causal=True)


def settled(layer):
    """A layer as it is used: in evaluation mode, with running statistics and a stretch that are not those of the start."""
    generator = seeded(2)
    for name, value in layer.eval().state_dict().items():
        if name.endswith(("running_var", "weight")) and value.ndim == 1:
            value.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith(("running_mean", "bias")):
            value.normal_(generator=generator)
    return layer


def recurrent(ours, torchs):
    return Case(
        lambda: Outputs(ours(3, 4, layers=2, bidirectional=True)),
        (5, 4, 3),
        lambda: Outputs(torchs(3, 4, 2, bidirectional=True, batch_first=True)),
    )


LLAMA = LlamaConfig(layers=1, width=8, heads=4, kv_heads=2, mlp_width=12, vocabulary=5, context=8)

CASES = {
    "Conv2d": Case(convolution(Conv2d), (5, 4, 9, 8), convolution(nn.Conv2d)),
    "Conv2d without bias": Case(
        lambda: Conv2d(4, 2, (1, 3), bias=False), (5, 4, 6, 7), lambda: nn.Conv2d(4, 2, (1, 3), bias=False)
    ),
    "Conv2d, circular": Case(
        lambda: Conv2d(2, 3, 3, padding=1, padding_mode="circular"),
        (5, 2, 6, 7),
        lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"),
    ),
    "Conv1d": Case(convolution(Conv1d), (5, 4, 11), convolution(nn.Conv1d)),
    "Linear": Case(lambda: Linear(6, 4), (5, 6), lambda: nn.Linear(6, 4)),
    "MaxPool2d": Case(
        lambda: MaxPool2d(3, stride=2, padding=1), (5, 3, 7, 8), lambda: nn.MaxPool2d(3, stride=2, padding=1)
    ),
    "AvgPool2d": Case(
        lambda: AvgPool2d(3, stride=2, padding=1), (5, 3, 7, 8), lambda: nn.AvgPool2d(3, stride=2, padding=1)
    ),
    "GlobalAvgPool2d": Case(
        GlobalAvgPool2d, (5, 3, 7, 8), lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    ),
    "ReLU": Case(ReLU, (5, 6), nn.ReLU),
    "sigmoid": Case(lambda: sigmoid, (5, 6), nn.Sigmoid),
    "tanh": Case(lambda: tanh, (5, 6), nn.Tanh),
    "gelu": Case(lambda: gelu, (5, 6), nn.GELU),
    "softmax": Case(lambda: softmax, (5, 6), lambda: nn.Softmax(dim=-1)),
    "log_softmax": Case(lambda: log_softmax, (5, 6), lambda: nn.LogSoftmax(dim=-1)),
    "LayerNorm": Case(lambda: LayerNorm(6, 0.1), (5, 3, 6), lambda: nn.LayerNorm(6, 0.1)),
    "RMSNorm": Case(lambda: settled(RMSNorm(6, 0.1)), (5, 3, 6), lambda: nn.RMSNorm(6, 0.1)),
    "GroupNorm": Case(lambda: settled(GroupNorm(2, 6, 0.1)), (5, 6, 3, 4), lambda: nn.GroupNorm(2, 6, 0.1)),
    "BatchNorm of images": Case(
        lambda: settled(BatchNorm(3, 0.1)), (5, 3, 4, 5), lambda: nn.BatchNorm2d(3, 0.1).eval()
    ),
    "BatchNorm of rows": Case(lambda: settled(BatchNorm(6, 0.1)), (5, 6), lambda: nn.BatchNorm1d(6, 0.1).eval()),
    "Residual": Case(lambda: Residual(nn.Sequential(LayerNorm(6), Linear(6, 6))), (5, 3, 6)),
    "BasicBlock": Case(lambda: settled(BasicBlock(3, 3)), (5, 3, 6, 5)),
    "Bottleneck": Case(lambda: settled(Bottleneck(8, 2)), (5, 8, 6, 5)),
    "ResNet": Case(lambda: settled(small_resnet(8, width=4)), (5, 3, 9, 8)),
    "DenseNet": Case(lambda: settled(small_densenet(10, growth=2)), (5, 3, 9, 8)),
    "attention": Case(lambda: lambda x: attention(x, x.cos(), x.exp(), causal=True), (5, 2, 4, 3)),
    "LearnedPositions": Case(lambda: LearnedPositions(4, 6), (5, 3, 6)),
    "MultiHeadAttention": Case(lambda: MultiHeadAttention(8, 4), (5, 3, 8)),
    "RNN": recurrent(RNN, nn.RNN),
    "LSTM": recurrent(LSTM, nn.LSTM),
    "GRU": recurrent(GRU, nn.GRU),
    "MLP": Case(lambda: MLP(8, 12), (5, 3, 8)),
    "RotaryAttention": Case(lambda: RotaryAttention(8, 2, kv_heads=1), (5, 3, 8)),
    "SwiGLU": Case(lambda: SwiGLU(8, 12), (5, 3, 8)),
    "LlamaBlock": Case(lambda: LlamaBlock(LLAMA), (5, 3, 8)),
    "Block": Case(lambda: Block(8, 2, 12), (5, 3, 8)),
    "Block, post-norm": Case(lambda: Block(8, 2, 12, norm="post"), (5, 3, 8)),
    "DecoderBlock": Case(lambda: Decoding(DecoderBlock(8, 2, 12)), (5, 3, 8)),
    "LeNet5": Case(LeNet5, (5, 1, 28, 28)),
    "digit_cnn": Case(digit_cnn, (5, 1, 28, 28)),
}
every_layer = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
beside_torch = pytest.mark.parametrize(
    "case", [case for case in CASES.values() if case.torchs], ids=[name for name, case in CASES.items() if case.torchs]
)


def input_for(case, dtype=torch.float32):
    return torch.randn(case.shape, generator=seeded(1)).to(dtype)


@every_layer
def test_a_batch_is_its_members_one_at_a_time(case):
    layer, x = case.build(), input_for(case)
    # Matrix products of another size may add in another order: float32 defaults allow for it.
    assert_close(layer(x), torch.cat([layer(one) for one in x.split(1)]))


@every_layer
def test_input_weights_and_random_numbers_are_left_as_they_were(case):
    layer, x = case.build(), input_for(case).requires_grad_()
    state = {name: value.clone() for name, value in layer.state_dict().items()} if isinstance(layer, nn.Module) else {}
    before, generator_state = x.detach().clone(), torch.get_rng_state()
    y = layer(x)
    torch.autograd.grad(y.sum(), x)
    assert torch.equal(x, before)
    assert x.grad is None
    assert torch.equal(torch.get_rng_state(), generator_state)
    for name, value in state.items():
        assert torch.equal(layer.state_dict()[name], value)


@every_layer
def test_the_output_shares_no_memory_with_the_input(case):
    layer, x = case.build(), input_for(case)
    before = x.clone()
    layer(x).detach().fill_(99.0)
    assert torch.equal(x, before)


@every_layer
def test_float64_goes_in_and_comes_out_with_float64_precision(case):
    layer, x = case.build(), input_for(case)
    single = layer(x)
    if isinstance(layer, nn.Module):
        layer.double()
    double = layer(x.double())
    assert single.dtype == torch.float32
    assert double.dtype == torch.float64
    assert_close(single.double(), double, rtol=1e-4, atol=1e-5)  # float32 after up to seven layers
    if not isinstance(layer, MaxPool2d | ReLU):  # these only copy numbers, which rounding cannot change
        assert not torch.equal(single.double(), double)


@every_layer
def test_new_tensors_are_made_where_the_input_lives(case):
    # The meta device holds no numbers; whatever a layer makes on the default device would not mix with it.
    layer = case.build()
    if isinstance(layer, nn.Module):
        layer.to("meta")
    x = torch.empty(case.shape, device="meta", requires_grad=True)
    y = layer(x)
    assert y.device.type == "meta"
    assert torch.autograd.grad(y.sum(), x)[0].shape == case.shape


@every_layer
def test_an_image_stored_channels_last_gives_the_same(case):
    layer, x = case.build(), input_for(case)
    # Swapping two axes in memory keeps the values and breaks every assumption on strides.
    strided = x.transpose(0, -1).contiguous().transpose(0, -1)
    assert strided.stride() != x.stride()
    assert_close(layer(strided), layer(x))


@beside_torch
def test_values_and_gradients_are_those_of_torchs_layer_with_the_same_state(case):
    ours, torchs = case.build(), case.torchs()
    if isinstance(ours, nn.Module) and list(torchs.parameters()):
        torchs.load_state_dict(ours.state_dict())
    x = input_for(case).requires_grad_()
    outputs = [ours(x), torchs(x)]
    assert_close(*outputs)
    assert_close(*(torch.autograd.grad(y.sin().sum(), x)[0] for y in outputs))


@beside_torch
def test_a_state_dict_goes_into_torchs_layer_and_back(case):
    ours, torchs = case.build(), case.torchs()
    state = ours.state_dict() if isinstance(ours, nn.Module) else {}
    other = torchs.state_dict()
    assert {name: (value.shape, value.dtype) for name, value in state.items()} == {
        name: (value.shape, value.dtype) for name, value in other.items()
    }
    if state:
        ours.load_state_dict(other)
        for name, value in ours.state_dict().items():
            assert torch.equal(value, other[name])


@pytest.mark.bad_input
# Two cases compute with x before the layer sees it.
@pytest.mark.parametrize("name", [name for name in CASES if name not in ("attention", "DecoderBlock")])
def test_what_is_no_dense_tensor_of_real_numbers_is_refused(name):
    assert not_refused(CASES[name].build(), input_for(CASES[name]), KINDS) == {}


def test_the_loss_does_not_touch_its_arguments():
    logits, labels = torch.randn(4, 3), torch.tensor([0, 2, 1, 1])
    before = logits.clone(), labels.clone()
    cross_entropy(logits, labels)
    assert torch.equal(logits, before[0])
    assert torch.equal(labels, before[1])
