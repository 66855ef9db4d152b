"""Bad input is refused with the value received and the rule, before anything is computed."""

import re

import pytest
import torch

from lib.architectures import (
    MLP,
    VGG,
    AvgPool2d,
    BasicBlock,
    BatchNorm,
    Block,
    Bottleneck,
    Conv1d,
    Conv2d,
    DenseBlock,
    DenseNet,
    DenseNetConfig,
    GroupNorm,
    LayerNorm,
    LeNet5,
    Linear,
    MaxPool2d,
    MultiHeadAttention,
    Residual,
    ResNet,
    ResNetConfig,
    RMSNorm,
    Subsampled,
    Transformer,
    TransformerConfig,
    attention,
    avg_pool2d,
    batch_norm,
    conv1d,
    conv2d,
    conv2d_formula,
    conv_output_size,
    cross_entropy,
    densenet,
    digit_cnn,
    gelu,
    global_avg_pool2d,
    group_norm,
    layer_norm,
    linear,
    log_softmax,
    max_pool2d,
    relu,
    resnet,
    rms_norm,
    sigmoid,
    small_densenet,
    small_resnet,
    softmax,
    split_heads,
    tanh,
)

IMAGES, FILTERS = torch.zeros(2, 4, 8, 8), torch.zeros(6, 4, 3, 3)
SIGNALS, TAPS = torch.zeros(2, 4, 8), torch.zeros(6, 4, 3)
LOGITS, LABELS = torch.zeros(3, 5), torch.tensor([0, 4, 2])
HEADS = torch.zeros(2, 3, 4, 8)  # batch heads time features


def stack(**changes):
    sizes = {"layers": 2, "width": 8, "heads": 2, "vocabulary": 5, "context": 4}
    return Transformer(TransformerConfig(**sizes | changes))


CONVOLUTIONS = [
    (lambda f: f(IMAGES[0], FILTERS), ValueError, "x must have 4 axes (batch, in_channels, height, width), got 3 with shape (4, 8, 8)"),
    (lambda f: f(IMAGES, FILTERS[0]), ValueError, "weight must have 4 axes (out_channels, in_per_group, rows, columns), got 3"),
    (lambda f: f(IMAGES.numpy(), FILTERS), TypeError, "x must be a torch.Tensor, got ndarray"),
    (lambda f: f(IMAGES.long(), FILTERS.long()), TypeError, "x must be floating point, got torch.int64"),
    (lambda f: f(IMAGES.double(), FILTERS), TypeError, "x and weight must have the same dtype, got x torch.float64, weight torch.float32"),
    (lambda f: f(IMAGES, FILTERS, torch.zeros(6).double()), TypeError, "bias torch.float64"),
    (lambda f: f(IMAGES, FILTERS[:, :3]), ValueError, "weight must have 4 input channels, the 4 of x over 1 groups, got 3"),
    (lambda f: f(IMAGES, FILTERS, groups=2), ValueError, "weight must have 2 input channels, the 4 of x over 2 groups, got 4"),
    (lambda f: f(IMAGES, FILTERS, groups=3), ValueError, "in_channels 4 must be divisible by groups 3"),
    (lambda f: f(IMAGES, FILTERS[:5, :2], groups=2), ValueError, "out_channels 5 must be divisible by groups 2"),
    (lambda f: f(IMAGES, FILTERS, groups=0), ValueError, "groups must be at least 1, got 0"),
    (lambda f: f(IMAGES, FILTERS, torch.zeros(5)), ValueError, "weight and bias must agree on out_channels, got 6 and 5"),
    (lambda f: f(IMAGES, FILTERS, torch.zeros(6, 1)), ValueError, "bias must have 1 axis (out_channels), got 2 with shape (6, 1)"),
    (lambda f: f(IMAGES, FILTERS, dilation=4), ValueError, "the window spans 9 but the padded height is only 8; it must fit at least once"),
    (lambda f: f(IMAGES[..., :2], FILTERS), ValueError, "the window spans 3 but the padded width is only 2"),
    (lambda f: f(IMAGES, FILTERS, stride=0), ValueError, "stride must be at least 1, got 0"),
    (lambda f: f(IMAGES, FILTERS, stride=(1, -1)), ValueError, "stride must be at least 1, got -1"),
    (lambda f: f(IMAGES, FILTERS, stride=1.5), TypeError, "stride must be an int or a pair, got float 1.5"),
    (lambda f: f(IMAGES, FILTERS, padding=-1), ValueError, "padding must be at least 0, got -1"),
    (lambda f: f(IMAGES, FILTERS, padding=(1, 1, 1)), TypeError, "padding must be an int or a pair, got tuple (1, 1, 1)"),
    (lambda f: f(IMAGES, FILTERS, padding="same"), TypeError, "padding must be an int or a pair, got str 'same'"),
    (lambda f: f(IMAGES, FILTERS, dilation=0), ValueError, "dilation must be at least 1, got 0"),
]  # fmt: skip

POOLS = [
    (lambda f: f(IMAGES[0], 2), ValueError, "x must have 4 axes (batch, channels, height, width), got 3"),
    (lambda f: f(IMAGES.int(), 2), TypeError, "x must be floating point, got torch.int32"),
    (lambda f: f(IMAGES, 9), ValueError, "the window spans 9 but the padded height is only 8"),
    (lambda f: f(IMAGES, 0), ValueError, "kernel_size must be at least 1, got 0"),
    (lambda f: f(IMAGES, 2, stride=-2), ValueError, "stride must be at least 1, got -2"),
    (lambda f: f(IMAGES, 2, padding=-1), ValueError, "padding must be at least 0, got -1"),
    (lambda f: f(IMAGES, 3, padding=2), ValueError, "padding 2 must be at most half of the window's 3 cells"),
]

OTHERS = {
    "conv1d": [
        (lambda: conv1d(SIGNALS[0], TAPS), ValueError, "x must have 3 axes (batch, in_channels, time), got 2"),
        (lambda: conv1d(IMAGES, FILTERS), ValueError, "x must have 3 axes (batch, in_channels, time), got 4"),
        (lambda: conv1d(SIGNALS, FILTERS), ValueError, "weight must have 3 axes (out_channels, in_per_group, taps), got 4"),
        (lambda: conv1d(SIGNALS, TAPS, dilation=4), ValueError, "the window spans 9 but the padded width is only 8"),
        (lambda: conv1d(SIGNALS, TAPS, stride=(1, 1)), TypeError, "stride must be an int, got tuple (1, 1)"),
    ],
    "conv_output_size": [
        (lambda: conv_output_size(4, 5), ValueError, "the window spans 5 but the padded axis is only 4; it must fit at least once"),
        (lambda: conv_output_size(0, 1), ValueError, "size must be at least 1, got 0"),
        (lambda: conv_output_size(28, 3, stride=0), ValueError, "stride must be at least 1, got 0"),
        (lambda: conv_output_size(28, 3, padding=-1), ValueError, "padding must be at least 0, got -1"),
        (lambda: conv_output_size(28.0, 3), TypeError, "size must be an int, got float 28.0"),
    ],
    "Conv2d": [
        (lambda: Conv2d(0, 4, 3), ValueError, "in_channels must be at least 1, got 0"),
        (lambda: Conv2d(3, 4, 3, groups=2), ValueError, "in_channels 3 must be divisible by groups 2"),
        (lambda: Conv2d(4, 3, 3, groups=2), ValueError, "out_channels 3 must be divisible by groups 2"),
        (lambda: Conv2d(3, 4, 3, padding_mode="reflect"), ValueError, "padding_mode must be 'zeros' or 'circular', got 'reflect'"),
        (lambda: Conv2d(3, 4, 0), ValueError, "kernel_size must be at least 1, got 0"),
        (lambda: Conv2d(3, 4, 3, stride=0), ValueError, "stride must be at least 1, got 0"),
        (lambda: Conv2d(3, 4, 3)(IMAGES), ValueError, "weight must have 4 input channels, the 4 of x over 1 groups, got 3"),
        (lambda: Conv2d(4, 4, 3)(SIGNALS), ValueError, "x must have 4 axes (batch, channels, height, width), got 3"),
        (
            lambda: Conv2d(4, 4, 3, padding=9, padding_mode="circular")(IMAGES),
            ValueError,
            "circular padding 9 must not exceed the size 8 of the axis it wraps",
        ),
    ],
    "Conv1d": [
        (lambda: Conv1d(4, 4, (3, 3)), TypeError, "kernel_size must be an int, got tuple (3, 3)"),
        (lambda: Conv1d(4, 4, 3, stride=0), ValueError, "stride must be at least 1, got 0"),
        (lambda: Conv1d(4, 4, 3, padding=-1), ValueError, "padding must be at least 0, got -1"),
        (lambda: Conv1d(4, 4, 3, dilation=0), ValueError, "dilation must be at least 1, got 0"),
        (lambda: Conv1d(4, 4, 3)(IMAGES), ValueError, "x must have 3 axes (batch, channels, time), got 4"),
    ],
    "pooling": [
        (lambda: global_avg_pool2d(IMAGES[0]), ValueError, "x must have 4 axes (batch, channels, height, width), got 3"),
        (lambda: global_avg_pool2d(IMAGES.long()), TypeError, "x must be floating point, got torch.int64"),
        (lambda: global_avg_pool2d(IMAGES[..., :0]), ValueError, "x must hold at least one element along width, got shape (2, 4, 8, 0)"),
        (lambda: MaxPool2d(2)(SIGNALS), ValueError, "x must have 4 axes"),
        (lambda: AvgPool2d(2)(SIGNALS), ValueError, "x must have 4 axes"),
        (lambda: MaxPool2d(2, padding=2), ValueError, "padding 2 must be at most half of the window's 2 cells"),
        (lambda: AvgPool2d(0), ValueError, "kernel_size must be at least 1, got 0"),
    ],
    "linear": [
        (lambda: linear(torch.zeros(2, 3), torch.zeros(5, 4)), ValueError, "x and weight must agree on in_features, got 3 and 4"),
        (lambda: linear(torch.tensor(1.0), torch.zeros(5, 4)), ValueError, "x must have at least 1 axis (*batch, in_features), got 0 with shape ()"),
        (lambda: linear(torch.zeros(2, 4), torch.zeros(4)), ValueError, "weight must have 2 axes (out_features, in_features), got 1"),
        (lambda: linear(torch.zeros(2, 4).long(), torch.zeros(5, 4)), TypeError, "x must be floating point, got torch.int64"),
        (lambda: linear(torch.zeros(2, 4), torch.zeros(5, 4).double()), TypeError, "x and weight must have the same dtype"),
        (lambda: linear(torch.zeros(2, 4), torch.zeros(5, 4), torch.zeros(4)), ValueError, "weight and bias must agree on out_features, got 5 and 4"),
        (lambda: Linear(4, 0), ValueError, "out_features must be at least 1, got 0"),
        (lambda: Linear(4.0, 2), TypeError, "in_features must be an int, got float 4.0"),
        (lambda: Linear(4, 2)(torch.zeros(2, 3)), ValueError, "x and weight must agree on in_features, got 3 and 4"),
    ],
    "activations": [
        (lambda f=f: f(torch.arange(3)), TypeError, "x must be floating point, got torch.int64")
        for f in (relu, sigmoid, tanh, gelu)
    ],
    "softmax": [
        (lambda: softmax(LABELS), TypeError, "logits must be floating point, got torch.int64"),
        (lambda: softmax(LOGITS[:, :0]), ValueError, "logits must hold at least one element along dim -1, got shape (3, 0)"),
        (lambda: softmax(LOGITS, dim=2), ValueError, "dim must name one of the 2 axes of the logits, got 2"),
        (lambda: softmax(LOGITS, temperature=0.0), ValueError, "temperature must be positive and finite, got 0.0"),
        (lambda: softmax(LOGITS, temperature=-1.0), ValueError, "temperature must be positive and finite, got -1.0"),
        (lambda: softmax(LOGITS, temperature=float("inf")), ValueError, "temperature must be positive and finite, got inf"),
        (lambda: layer_norm(LOGITS, eps=float("inf")), ValueError, "eps must be positive and finite, got inf"),
        (lambda: softmax(LOGITS, temperature=float("nan")), ValueError, "temperature must be positive and finite, got nan"),
        (lambda: log_softmax(LABELS), TypeError, "logits must be floating point, got torch.int64"),
        (lambda: log_softmax(LOGITS, dim=-3), ValueError, "dim must name one of the 2 axes of the logits, got -3"),
    ],
    "cross_entropy": [
        (lambda: cross_entropy(LOGITS[0], LABELS), ValueError, "logits must have 2 axes (batch, classes), got 1"),
        (lambda: cross_entropy(LOGITS, LABELS[:, None]), ValueError, "labels must have 1 axis (batch), got 2"),
        (lambda: cross_entropy(LOGITS[:2], LABELS), ValueError, "logits and labels must agree on batch, got 2 and 3"),
        (lambda: cross_entropy(LOGITS[:0], LABELS[:0]), ValueError, "logits must hold at least one element, got shape (0, 5)"),
        (lambda: cross_entropy(LOGITS.long(), LABELS), TypeError, "logits must be floating point, got torch.int64"),
        (lambda: cross_entropy(LOGITS, LABELS.int()), TypeError, "labels must have dtype torch.int64, got torch.int32"),
        (lambda: cross_entropy(LOGITS, LABELS + 1), ValueError, "labels must lie in 0 … 4, one for each column of the logits, got 5"),
        (lambda: cross_entropy(LOGITS, LABELS - 1), ValueError, "labels must lie in 0 … 4, one for each column of the logits, got -1"),
    ],
    "attention": [
        (lambda: attention(HEADS.long(), HEADS, HEADS), TypeError, "query must be floating point, got torch.int64"),
        (lambda: attention(HEADS, HEADS, HEADS.double()), TypeError, "query and value must have the same dtype, got query torch.float32, value torch.float64"),
        (lambda: attention(HEADS, HEADS[:, :, :0], HEADS), ValueError, "key must hold at least one element along keys, got shape (2, 3, 0, 8)"),
        (lambda: attention(HEADS[0, 0, 0], HEADS, HEADS), ValueError, "query must have at least 2 axes (*leading, queries, head_dim), got 1 with shape (8,)"),
        (lambda: attention(HEADS, HEADS[..., :5], HEADS), ValueError, "query and key must agree on head_dim, got 8 and 5"),
        (lambda: attention(HEADS, HEADS, HEADS[:, :, :3]), ValueError, "key and value must agree on keys, got 4 and 3"),
        (lambda: attention(HEADS, HEADS[:, :1], HEADS), ValueError, "query and key must agree on leading, got (2, 3) and (2, 1)"),
        (lambda: attention(HEADS, HEADS, HEADS, mask=torch.zeros(4, 4)), TypeError, "mask must be boolean, got torch.float32"),
        (lambda: attention(HEADS, HEADS, HEADS, mask=[True]), TypeError, "mask must be a torch.Tensor or None, got list"),
        (lambda: attention(HEADS, HEADS, HEADS, mask=torch.ones(4, 3).bool()), ValueError, "mask must have the axes (queries, keys) or all of (2, 3, 4, 4), each of that size or 1, got (4, 3)"),
        (lambda: attention(HEADS, HEADS, HEADS, mask=torch.ones(2, 4, 4).bool()), ValueError, "mask must have the axes (queries, keys) or all of (2, 3, 4, 4), each of that size or 1, got (2, 4, 4)"),
        (lambda: attention(HEADS, HEADS, HEADS, mask=torch.ones(1, 2, 3, 4, 4).bool()), ValueError, "mask must have the axes (queries, keys) or all of (2, 3, 4, 4), each of that size or 1, got (1, 2, 3, 4, 4)"),
        (lambda: attention(HEADS, HEADS[:, :, :1], HEADS[:, :, :1], causal=True), ValueError, "causal attention needs a key for each query, got 4 queries and 1 keys"),
        (lambda: split_heads(torch.zeros(2, 4, 130), 4), ValueError, "width 130 must be divisible by heads 4"),
        (lambda: split_heads(torch.zeros(2, 4, 8), 0), ValueError, "heads must be at least 1, got 0"),
        (lambda: MultiHeadAttention(130, 4), ValueError, "width 130 must be divisible by heads 4"),
        (lambda: MultiHeadAttention(8, 2.0), TypeError, "heads must be an int, got float 2.0"),
        (lambda: MultiHeadAttention(8, 2)(torch.zeros(4, 8)), ValueError, "x must have 3 axes (batch, time, width), got 2"),
        (lambda: MultiHeadAttention(8, 2)(torch.zeros(1, 4, 6)), ValueError, "x and weight must agree on in_features, got 6 and 8"),
    ],
    "normalization": [
        (lambda: layer_norm(LABELS), TypeError, "x must be floating point, got torch.int64"),
        (lambda: layer_norm(LOGITS, eps=0.0), ValueError, "eps must be positive and finite, got 0.0"),
        (lambda: layer_norm(LOGITS, eps=float("nan")), ValueError, "eps must be positive and finite, got nan"),
        (lambda: layer_norm(LOGITS, torch.ones(3)), ValueError, "x and weight must agree on width, got 5 and 3"),
        (lambda: layer_norm(LOGITS, None, torch.ones(1, 5)), ValueError, "bias must have 1 axis (width), got 2 with shape (1, 5)"),
        (lambda: layer_norm(LOGITS, torch.ones(5).double()), TypeError, "x and weight must have the same dtype"),
        (lambda: LayerNorm(0), ValueError, "width must be at least 1, got 0"),
        (lambda: LayerNorm(5, -1.0), ValueError, "eps must be positive and finite, got -1.0"),
        (lambda: LayerNorm(4, affine=False)(LOGITS), ValueError, "x must have 4 features on its last axis, got shape (3, 5)"),
        (lambda: rms_norm(LABELS), TypeError, "x must be floating point, got torch.int64"),
        (lambda: rms_norm(LOGITS, eps=0.0), ValueError, "eps must be positive and finite, got 0.0"),
        (lambda: rms_norm(LOGITS, torch.ones(3)), ValueError, "x and weight must agree on width, got 5 and 3"),
        (lambda: RMSNorm(0), ValueError, "width must be at least 1, got 0"),
        (lambda: RMSNorm(4)(LOGITS), ValueError, "x must have 4 features on its last axis, got shape (3, 5)"),
        (lambda: batch_norm(IMAGES.long()), TypeError, "x must be floating point, got torch.int64"),
        (lambda: batch_norm(LOGITS[0]), ValueError, "x must have at least 2 axes (batch, channels, *space), got 1"),
        (lambda: batch_norm(LOGITS[:1]), ValueError, "batch norm by the batch needs at least two numbers a channel, got x of shape (1, 5)"),
        (lambda: batch_norm(LOGITS[:0]), ValueError, "batch norm by the batch needs at least two numbers a channel, got x of shape (0, 5)"),
        (lambda: batch_norm(IMAGES, torch.ones(3)), ValueError, "x and weight must agree on channels, got 4 and 3"),
        (lambda: batch_norm(IMAGES, mean=torch.ones(4)), ValueError, "mean and variance must be given together, got mean alone"),
        (lambda: batch_norm(IMAGES, variance=torch.ones(4)), ValueError, "mean and variance must be given together, got variance alone"),
        (lambda: batch_norm(IMAGES, mean=torch.ones(4), variance=torch.ones(3)), ValueError, "x and variance must agree on channels, got 4 and 3"),
        (lambda: batch_norm(IMAGES, eps=-1.0), ValueError, "eps must be positive and finite, got -1.0"),
        (lambda: BatchNorm(0), ValueError, "channels must be at least 1, got 0"),
        (lambda: BatchNorm(4, momentum=1.5), ValueError, "momentum must be from 0 to 1, got 1.5"),
        (lambda: BatchNorm(4, momentum=None), TypeError, "momentum must be a number, got NoneType"),
        (lambda: BatchNorm(5)(IMAGES), ValueError, "x must have 5 channels on its second axis, got shape (2, 4, 8, 8)"),
        (lambda: BatchNorm(5).eval()(IMAGES), ValueError, "x must have 5 channels on its second axis, got shape (2, 4, 8, 8)"),
        (lambda: BatchNorm(5)(LOGITS[:1]), ValueError, "batch norm by the batch needs at least two numbers a channel, got x of shape (1, 5)"),
        (lambda: BatchNorm(4)(IMAGES.long()), TypeError, "x must be floating point, got torch.int64"),
        (lambda: BatchNorm(4)(IMAGES.double()), TypeError, "x and weight must have the same dtype"),
        (lambda: group_norm(IMAGES, 3), ValueError, "channels 4 must be divisible by groups 3"),
        (lambda: group_norm(IMAGES, 0), ValueError, "groups must be at least 1, got 0"),
        (lambda: group_norm(LOGITS, 5), ValueError, "a group must hold at least two numbers, got 5 groups for x of shape (3, 5)"),
        (lambda: group_norm(IMAGES, 2, torch.ones(2)), ValueError, "x and weight must agree on channels, got 4 and 2"),
        (lambda: GroupNorm(3, 4), ValueError, "channels 4 must be divisible by groups 3"),
        (lambda: GroupNorm(2, 6)(IMAGES), ValueError, "x must have 6 channels on its second axis, got shape (2, 4, 8, 8)"),
    ],
    "residual": [
        (lambda: Residual(torch.relu), TypeError, "branch must be a Module, got builtin_function_or_method"),
        (lambda: Residual(Linear(4, 1))(torch.zeros(2, 4)), ValueError, "shortcut and branch must end with one shape, got (2, 4) and (2, 1)"),
        (lambda: Subsampled(3)(IMAGES), ValueError, "x must have at most 3 channels, got 4"),
        (lambda: Subsampled(4, stride=0), ValueError, "stride must be at least 1, got 0"),
        (lambda: BasicBlock(4, 0), ValueError, "channels must be at least 1, got 0"),
        (lambda: BasicBlock(4, 6)(IMAGES), ValueError, "shortcut and branch must end with one shape, got (2, 4, 8, 8) and (2, 6, 8, 8); give the block a downsample"),
        (lambda: BasicBlock(4, 4, stride=2)(IMAGES), ValueError, "got (2, 4, 8, 8) and (2, 4, 4, 4)"),
        (lambda: Bottleneck(4, 4)(IMAGES), ValueError, "got (2, 4, 8, 8) and (2, 16, 8, 8)"),
        (lambda: Bottleneck(4, 1)(IMAGES[:, :3]), ValueError, "weight must have 3 input channels, the 3 of x over 1 groups, got 4"),
    ],
    "resnet": [
        (lambda: resnet(20), ValueError, "depth must be 18 or 34 or 50 or 101 or 152, got 20"),
        (lambda: resnet(18.0), TypeError, "depth must be 18 or 34 or 50 or 101 or 152, got float 18.0"),
        (lambda: resnet(18, classes=0), ValueError, "classes must be at least 1, got 0"),
        (lambda: small_resnet(18), ValueError, "depth must be 6n + 2 for a whole n of at least 1 (8, 14, 20, …), got 18"),
        (lambda: small_resnet(2), ValueError, "depth must be 6n + 2 for a whole n of at least 1 (8, 14, 20, …), got 2"),
        (lambda: small_resnet(8, shortcut="add"), ValueError, "shortcut must be 'projection' or 'zeros' or 'none', got 'add'"),
        (lambda: ResNetConfig((), ()), ValueError, "blocks and widths must hold one number for each stage, got () and ()"),
        (lambda: ResNetConfig((1, 1), (4,)), ValueError, "blocks and widths must hold one number for each stage, got (1, 1) and (4,)"),
        (lambda: ResNetConfig((1, 0), (4, 4)), ValueError, "blocks[1] must be at least 1, got 0"),
        (lambda: ResNetConfig((1, 1), (8, 4), shortcut="zeros"), ValueError, "widths must not fall where zeros fill the new channels, got (8, 4)"),
        (lambda: ResNet((1, 1)), TypeError, "config must be a ResNetConfig, got tuple (1, 1)"),
        (lambda: small_resnet(8)(IMAGES), ValueError, "weight must have 4 input channels, the 4 of x over 1 groups, got 3"),
        (lambda: small_resnet(8, channels=4)(IMAGES.long()), TypeError, "images must be floating point, got torch.int64"),
        (lambda: small_resnet(8, channels=4)(SIGNALS), ValueError, "images must have 4 axes (batch, channels, height, width), got 3"),
    ],
    "densenet": [
        (lambda: densenet(100), ValueError, "depth must be 121 or 161 or 169 or 201, got 100"),
        (lambda: small_densenet(101), ValueError, "depth must be 6n + 4 for a whole n of at least 1 (10, 16, 22, …), got 101"),
        (lambda: small_densenet(4), ValueError, "depth must be 6n + 4 for a whole n of at least 1 (10, 16, 22, …), got 4"),
        (lambda: small_densenet(10, growth=0), ValueError, "growth must be at least 1, got 0"),
        (lambda: DenseBlock(0, 4, growth=2), ValueError, "layers must be at least 1, got 0"),
        (lambda: DenseBlock(2, 3, growth=2)(IMAGES), ValueError, "x must have 3 channels on its second axis, got shape (2, 4, 8, 8)"),
        (lambda: DenseNetConfig((), 4, 8), ValueError, "layers must hold one number for each dense block, got ()"),
        (lambda: DenseNetConfig((2, 0), 4, 8), ValueError, "layers[1] must be at least 1, got 0"),
        (lambda: DenseNetConfig((2,), 4, 8, "cifar10"), ValueError, "stem must be 'imagenet' or 'cifar', got 'cifar10'"),
        (lambda: DenseNet({"layers": (1,)}), TypeError, "config must be a DenseNetConfig, got dict"),
        (lambda: small_densenet(10)(IMAGES), ValueError, "weight must have 4 input channels, the 4 of x over 1 groups, got 3"),
        (lambda: small_densenet(10, channels=4)(IMAGES[..., :2]), ValueError, "the window spans 2 but the padded width is only 1"),
    ],
    "vgg": [
        (lambda: VGG(17), ValueError, "depth must be 11 or 13 or 16 or 19, got 17"),
        (lambda: VGG(11, image_size=31), ValueError, "image_size must be at least 32, which five poolings halve to 1, got 31"),
        (lambda: VGG(11, classes=0), ValueError, "classes must be at least 1, got 0"),
        (lambda: VGG(11, norm=1), TypeError, "norm must be a bool, got int 1"),
        (lambda: VGG(11, channels=4, image_size=32)(IMAGES), ValueError, "images must have shape (batch, 4, 32, 32), got (2, 4, 8, 8)"),
    ],
    "transformer": [
        (lambda: MLP(8, 0), ValueError, "mlp_width must be at least 1, got 0"),
        (lambda: MLP(8, 16)(torch.zeros(2, 7)), ValueError, "x and weight must agree on in_features, got 7 and 8"),
        (lambda: Block(130, 4, 8), ValueError, "width 130 must be divisible by heads 4"),
        (lambda: stack(layers=0), ValueError, "layers must be at least 1, got 0"),
        (lambda: stack(width=9), ValueError, "width 9 must be divisible by heads 2"),
        (lambda: stack(vocabulary=0), ValueError, "vocabulary must be at least 1, got 0"),
        (lambda: stack(mlp_width=0), ValueError, "mlp_width must be at least 1, got 0"),
        (lambda: stack()(LABELS), ValueError, "tokens must have 2 axes (batch, time), got 1"),
        (lambda: stack()(torch.zeros(2, 3)), TypeError, "tokens must have dtype torch.int64, got torch.float32"),
        (lambda: stack()(torch.zeros(2, 0).long()), ValueError, "tokens must hold at least one element along time, got shape (2, 0)"),
        (lambda: stack()(torch.zeros(1, 5).long()), ValueError, "tokens must be at most 4 long, the context, got 5"),
        (lambda: stack()(torch.tensor([[0, 5]])), ValueError, "tokens must lie in 0 … 4, the vocabulary, got 5"),
        (lambda: stack()(torch.tensor([[0, -1]])), ValueError, "tokens must lie in 0 … 4, the vocabulary, got -1"),
    ],
    "networks": [
        (lambda: LeNet5(0), ValueError, "num_classes must be at least 1, got 0"),
        (lambda: LeNet5()(torch.zeros(2, 1, 32, 32)), ValueError, "images must have shape (batch, 1, 28, 28), got (2, 1, 32, 32)"),
        (lambda: digit_cnn()(torch.zeros(2, 784)), ValueError, "x must have 4 axes (batch, channels, height, width), got 2"),
        (lambda: digit_cnn()(torch.zeros(2, 1, 32, 32)), ValueError, "x and weight must agree on in_features, got 1024 and 576"),
    ],
}  # fmt: skip

TABLE = [
    *(
        pytest.param(lambda f=f, call=call: call(f), error, message, id=f"{f.__name__}: {message}")
        for functions, rules in [((conv2d_formula, conv2d), CONVOLUTIONS), ((max_pool2d, avg_pool2d), POOLS)]
        for f in functions
        for call, error, message in rules
    ),
    *(
        pytest.param(call, error, message, id=f"{name}: {message}")
        for name, rules in OTHERS.items()
        for call, error, message in rules
    ),
]


@pytest.mark.bad_input
@pytest.mark.parametrize(("call", "error", "message"), TABLE)
def test_bad_input_is_refused_with_the_value_and_the_rule(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
