"""Layers and networks, each written as its formula."""

from .activations import ReLU, gelu, relu, sigmoid, tanh
from .attention import MultiHeadAttention, attention, merge_heads, padding_mask, split_heads
from .channel_normalization import BatchNorm, GroupNorm, batch_norm, group_norm
from .convolution import Conv1d, Conv2d, conv1d, conv2d, conv2d_formula, conv_output_size
from .decoding import beam_search, candidates, generate
from .dense import Linear, linear
from .densenet import DenseBlock, DenseLayer, DenseNet, DenseNetConfig, densenet, small_densenet
from .digit_cnn import digit_cnn
from .encoder_decoder import Conditioned, DecoderBlock, EncoderDecoder, EncoderDecoderConfig
from .folding import fold_batch_norms, folded
from .gru import GRU
from .kneser_ney import KneserNey
from .kv_cache import KVCache
from .lenet import LeNet5
from .llama import Llama, LlamaBlock, LlamaConfig, RotaryAttention, SwiGLU
from .lstm import LSTM
from .normalization import LayerNorm, RMSNorm, layer_norm, rms_norm
from .pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d, avg_pool2d, global_avg_pool2d, max_pool2d
from .positions import LearnedPositions, alibi, rotary, sinusoidal_positions
from .residual import BasicBlock, Bottleneck, Residual, Subsampled
from .resnet import ResNet, ResNetConfig, resnet, small_resnet
from .rnn import RNN, JordanRNN
from .scaling_laws import (
    LossSurface,
    ParameterCounts,
    PowerLaw,
    count_parameters,
    fit_power_law,
    training_flops,
)
from .smollm2 import smollm2, smollm2_encoding
from .softmax import cross_entropy, log_softmax, softmax
from .tokenization import BytePairEncoding, learn_merges
from .toy_superposition import ToySuperposition, train_toy_superposition
from .transformer import MLP, Block, Transformer, TransformerConfig
from .vgg import VGG

__all__ = [
    "GRU",
    "LSTM",
    "MLP",
    "RNN",
    "VGG",
    "AvgPool2d",
    "BasicBlock",
    "BatchNorm",
    "Block",
    "Bottleneck",
    "BytePairEncoding",
    "Conditioned",
    "Conv1d",
    "Conv2d",
    "DecoderBlock",
    "DenseBlock",
    "DenseLayer",
    "DenseNet",
    "DenseNetConfig",
    "EncoderDecoder",
    "EncoderDecoderConfig",
    "GlobalAvgPool2d",
    "GroupNorm",
    "JordanRNN",
    "KVCache",
    "KneserNey",
    "LayerNorm",
    "LeNet5",
    "LearnedPositions",
    "Linear",
    "Llama",
    "LlamaBlock",
    "LlamaConfig",
    "LossSurface",
    "MaxPool2d",
    "MultiHeadAttention",
    "ParameterCounts",
    "PowerLaw",
    "RMSNorm",
    "ReLU",
    "ResNet",
    "ResNetConfig",
    "Residual",
    "RotaryAttention",
    "Subsampled",
    "SwiGLU",
    "ToySuperposition",
    "Transformer",
    "TransformerConfig",
    "alibi",
    "attention",
    "avg_pool2d",
    "batch_norm",
    "beam_search",
    "candidates",
    "conv1d",
    "conv2d",
    "conv2d_formula",
    "conv_output_size",
    "count_parameters",
    "cross_entropy",
    "densenet",
    "digit_cnn",
    "fit_power_law",
    "fold_batch_norms",
    "folded",
    "gelu",
    "generate",
    "global_avg_pool2d",
    "group_norm",
    "layer_norm",
    "learn_merges",
    "linear",
    "log_softmax",
    "max_pool2d",
    "merge_heads",
    "padding_mask",
    "relu",
    "resnet",
    "rms_norm",
    "rotary",
    "sigmoid",
    "sinusoidal_positions",
    "small_densenet",
    "small_resnet",
    "smollm2",
    "smollm2_encoding",
    "softmax",
    "split_heads",
    "tanh",
    "train_toy_superposition",
    "training_flops",
]
