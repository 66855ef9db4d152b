"""The convolutional network of the source documents, for 28 × 28 digits."""

from torch import nn

from .activations import ReLU
from .convolution import Conv2d
from .dense import Linear
from .pooling import MaxPool2d

__all__ = ["digit_cnn"]


def digit_cnn() -> nn.Sequential:
    """Build the network of document 003, section 4.1: 93,322 parameters, logits for ten digits.

    Input ``[batch, 1, 28, 28]``. The maps shrink 26 → 13 → 11 → 5 → 3 and end as 576 features. Where
    the document closes with a softmax, this network ends with the logits, and the loss applies it.

    >>> sum(weight.numel() for weight in digit_cnn().parameters())
    93322
    """
    return nn.Sequential(
        Conv2d(1, 32, 3),  # 26 × 26
        ReLU(),
        MaxPool2d(2),  # 13 × 13
        Conv2d(32, 64, 3),  # 11 × 11
        ReLU(),
        MaxPool2d(2),  # 5 × 5
        Conv2d(64, 64, 3),  # 3 × 3
        ReLU(),
        nn.Flatten(),  # 576
        Linear(576, 64),
        ReLU(),
        Linear(64, 10),
    )
