"""DenseNet: each layer reads what all layers before it in its block have written."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.rules import PositiveInt

from .activations import ReLU, relu
from .channel_normalization import BatchNorm
from .convolution import Conv2d
from .dense import Linear
from .pooling import AvgPool2d, MaxPool2d, global_avg_pool2d

__all__ = ["DenseBlock", "DenseLayer", "DenseNet", "DenseNetConfig", "densenet", "small_densenet"]

# Huang et al. (2017), table 1, and DenseNet-161 of the authors' code: growth, layers in each block, channels of the stem.
_PUBLISHED = {
    121: (32, (6, 12, 24, 16), 64),
    161: (48, (6, 12, 36, 24), 96),
    169: (32, (6, 12, 32, 32), 64),
    201: (32, (6, 12, 48, 32), 64),
}


class DenseLayer(nn.Module):
    """Norm, ReLU and a 1 × 1 convolution to ``4 · growth`` channels; norm, ReLU and a 3 × 3 to ``growth`` new channels.

    H in equation 2 of Huang et al. (2017), in its bottleneck form ("DenseNet-B", section 3). Names are torchvision's.

    >>> DenseLayer(8, growth=2)(torch.zeros(1, 8, 5, 5)).shape
    torch.Size([1, 2, 5, 5])

    Raises:
        TypeError: sizes that are not ints.
        ValueError: sizes below 1; in the call, input whose shape does not match.
    """

    @checked
    def __init__(self, in_channels: PositiveInt, *, growth: PositiveInt) -> None:
        super().__init__()
        self.norm1 = BatchNorm(in_channels)
        self.conv1 = Conv2d(in_channels, 4 * growth, 1, bias=False)
        self.norm2 = BatchNorm(4 * growth)
        self.conv2 = Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Float[Tensor, "batch in_channels height width"]) -> Float[Tensor, "batch growth height width"]:
        return self.conv2(relu(self.norm2(self.conv1(relu(self.norm1(x))))))


class DenseBlock(nn.ModuleDict):
    """Layers whose input is everything before them, concatenated: ``xₗ = Hₗ([x₀, …, xₗ₋₁])`` (Huang et al. 2017, eq. 2).

    The input's channels and ``growth`` more for each layer come out.

    >>> DenseBlock(3, 8, growth=2)(torch.zeros(1, 8, 5, 5)).shape
    torch.Size([1, 14, 5, 5])

    Raises:
        TypeError: sizes that are not ints.
        ValueError: sizes below 1; in the call, input whose shape does not match.
    """

    @checked
    def __init__(self, layers: PositiveInt, in_channels: PositiveInt, *, growth: PositiveInt) -> None:
        super().__init__(
            {f"denselayer{i + 1}": DenseLayer(in_channels + i * growth, growth=growth) for i in range(layers)}
        )

    def forward(
        self, x: Float[Tensor, "batch in_channels height width"]
    ) -> Float[Tensor, "batch out_channels height width"]:
        for layer in self.values():
            x = torch.cat([x, layer(x)], 1)
        return x


@checked
@dataclass(frozen=True)
class DenseNetConfig:
    """The sizes of a DenseNet: ``layers`` holds one number for each dense block.

    The stem is a 7 × 7 convolution of stride 2, norm, ReLU and a max pool of stride 2 ("imagenet") or one 3 × 3
    convolution ("cifar"), each of ``stem_channels``. Between blocks a transition halves channels and image ("DenseNet-BC").

    Raises:
        TypeError: sizes that are not ints.
        ValueError: sizes below 1, no block, an unknown stem.
    """

    layers: tuple[PositiveInt, ...]
    growth: PositiveInt
    stem_channels: PositiveInt
    stem: Literal["imagenet", "cifar"] = "imagenet"
    classes: PositiveInt = 1000
    channels: PositiveInt = 3

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError("layers must hold one number for each dense block, got ()")


class DenseNet(nn.Module):
    """A stem, dense blocks with transitions between them, a last norm, the mean over positions, and a dense layer.

    Huang et al. (2017), section 3. Names, shapes and first weights (He et al. 2015, for the variance of what goes
    back) are torchvision's, drawn in its order. Logits come out.

    >>> config = DenseNetConfig(layers=(2, 2), growth=4, stem_channels=8, stem="cifar", classes=10)
    >>> DenseNet(config)(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 10])

    Raises:
        TypeError: no configuration; integer images.
        ValueError: images of another number of channels, or too small for the stem and the transitions.
    """

    @checked
    def __init__(self, config: DenseNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.stem_channels
        self.features = nn.Sequential()
        add = self.features.add_module
        if config.stem == "imagenet":
            add("conv0", Conv2d(config.channels, width, 7, stride=2, padding=3, bias=False))
            add("norm0", BatchNorm(width))
            add("relu0", ReLU())
            add("pool0", MaxPool2d(3, stride=2, padding=1))
        else:
            add("conv0", Conv2d(config.channels, width, 3, padding=1, bias=False))
        for number, layers in enumerate(config.layers, start=1):
            add(f"denseblock{number}", DenseBlock(layers, width, growth=config.growth))
            width += layers * config.growth
            if number < len(config.layers):
                add(f"transition{number}", _transition(width, width // 2))
                width //= 2
        add(f"norm{len(config.layers) + 1}", BatchNorm(width))
        self.classifier = Linear(width, config.classes)
        for module in self.modules():
            if isinstance(module, Conv2d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(self.classifier.bias)

    @checked
    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.classifier(global_avg_pool2d(relu(self.features(images))))


@checked
def densenet(depth: Literal[121, 161, 169, 201], *, classes: PositiveInt = 1000, channels: PositiveInt = 3) -> DenseNet:
    """Build a DenseNet for ImageNet (Huang et al. 2017, table 1): with 121 layers 7,978,856 parameters.

    >>> with torch.device("meta"):
    ...     model = densenet(121)
    >>> sum(weight.numel() for weight in model.parameters())
    7978856

    Raises:
        ValueError: a depth that is not in the table, sizes below 1.
    """
    growth, layers, stem_channels = _PUBLISHED[depth]
    return DenseNet(DenseNetConfig(layers, growth, stem_channels, classes=classes, channels=channels))


@checked
def small_densenet(
    depth: PositiveInt, *, growth: PositiveInt = 12, classes: PositiveInt = 10, channels: PositiveInt = 3
) -> DenseNet:
    """Build the DenseNet-BC of 6n + 4 layers for small images (Huang et al. 2017, table 2): with 100 layers 0.8 million.

    Three blocks of n layers, a stem of 2 · growth channels.

    >>> sum(weight.numel() for weight in small_densenet(100).parameters())
    769162

    Raises:
        TypeError: sizes that are not ints.
        ValueError: a depth that is not 6n + 4 for an n of at least 1, sizes below 1.
    """
    if depth < 10 or depth % 6 != 4:
        raise ValueError(f"depth must be 6n + 4 for a whole n of at least 1 (10, 16, 22, …), got {depth}")
    layers = (depth // 6,) * 3
    return DenseNet(DenseNetConfig(layers, growth, 2 * growth, stem="cifar", classes=classes, channels=channels))


def _transition(in_channels: int, channels: int) -> nn.Sequential:
    transition = nn.Sequential()
    transition.add_module("norm", BatchNorm(in_channels))
    transition.add_module("relu", ReLU())
    transition.add_module("conv", Conv2d(in_channels, channels, 1, bias=False))
    transition.add_module("pool", AvgPool2d(2))
    return transition
