"""ResNet: stages of residual blocks, for photographs (ImageNet) and for small images (CIFAR)."""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.rules import PositiveInt

from .activations import relu
from .channel_normalization import BatchNorm
from .convolution import Conv2d
from .dense import Linear
from .pooling import MaxPool2d, global_avg_pool2d
from .residual import BasicBlock, Bottleneck, Subsampled

__all__ = ["ResNet", "ResNetConfig", "resnet", "small_resnet"]

_BLOCKS = {"basic": BasicBlock, "bottleneck": Bottleneck}
# He et al. (2016a), table 1: the kind of block, and how many in each stage.
_PUBLISHED = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}


@checked
@dataclass(frozen=True)
class ResNetConfig:
    """The sizes of a ResNet. Every stage but the first begins by halving the image.

    ``blocks`` and ``widths`` hold one number a stage; a bottleneck block ends with four times its width. The stem is a
    7 × 7 convolution of stride 2 and a max pool of stride 2 ("imagenet") or one 3 × 3 convolution ("cifar"), each of
    ``widths[0]`` channels. Where shapes differ, the shortcut is a 1 × 1 "projection" or "zeros" for the new channels;
    "none" leaves out every shortcut: the plain network with the same layers.

    Raises:
        TypeError: sizes that are not ints.
        ValueError: sizes below 1, no stage, blocks and widths of different length, an unknown word, widths that fall
            where zeros are to fill the new channels.
    """

    blocks: tuple[PositiveInt, ...]
    widths: tuple[PositiveInt, ...]
    block: Literal["basic", "bottleneck"] = "basic"
    stem: Literal["imagenet", "cifar"] = "imagenet"
    shortcut: Literal["projection", "zeros", "none"] = "projection"
    classes: PositiveInt = 1000
    channels: PositiveInt = 3

    def __post_init__(self) -> None:
        if not self.blocks or len(self.blocks) != len(self.widths):
            raise ValueError(
                f"blocks and widths must hold one number for each stage, got {self.blocks} and {self.widths}"
            )
        if self.shortcut == "zeros" and list(self.widths) != sorted(self.widths):
            raise ValueError(f"widths must not fall where zeros fill the new channels, got {self.widths}")


class ResNet(nn.Module):
    """A stem, stages of residual blocks, the mean over positions, and a dense layer (He et al. 2016a, section 3.3).

    Names, shapes and first weights (He et al. 2015, for the variance of what comes out) are torchvision's, drawn in
    its order, so that one seed gives one network. Logits come out.

    >>> config = ResNetConfig(blocks=(1, 1), widths=(4, 8), stem="cifar", classes=10)
    >>> ResNet(config)(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 10])

    Raises:
        TypeError: no configuration; integer images.
        ValueError: images of another number of channels, or too small for the stem.
    """

    @checked
    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.widths[0]
        if config.stem == "imagenet":
            self.conv1 = Conv2d(config.channels, width, 7, stride=2, padding=3, bias=False)
        else:
            self.conv1 = Conv2d(config.channels, width, 3, padding=1, bias=False)
        self.bn1 = BatchNorm(width)
        self.maxpool = MaxPool2d(3, stride=2, padding=1) if config.stem == "imagenet" else nn.Identity()
        for stage, (blocks, stage_width) in enumerate(zip(config.blocks, config.widths, strict=True), start=1):
            layers = []
            for index in range(blocks):
                layers.append(_block(config, width, stage_width, stride=2 if stage > 1 and index == 0 else 1))
                width = stage_width * _BLOCKS[config.block].expansion
            self.add_module(f"layer{stage}", nn.Sequential(*layers))
        self.fc = Linear(width, config.classes)
        for module in self.modules():
            if isinstance(module, Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @checked
    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        x = self.maxpool(relu(self.bn1(self.conv1(images))))
        for stage in range(1, len(self.config.blocks) + 1):
            x = self.get_submodule(f"layer{stage}")(x)
        return self.fc(global_avg_pool2d(x))


@checked
def resnet(depth: Literal[18, 34, 50, 101, 152], *, classes: PositiveInt = 1000, channels: PositiveInt = 3) -> ResNet:
    """Build a ResNet for ImageNet (He et al. 2016a, table 1): with 18 layers 11,689,512 parameters.

    Images of 224 × 224 pixels shrink to 7 × 7. Built on the meta device it costs no memory.

    >>> with torch.device("meta"):
    ...     model = resnet(50)
    >>> sum(weight.numel() for weight in model.parameters())
    25557032

    Raises:
        ValueError: a depth that is not in the table, sizes below 1.
    """
    block, blocks = _PUBLISHED[depth]
    widths = (64, 128, 256, 512)
    return ResNet(ResNetConfig(blocks, widths, block=block, classes=classes, channels=channels))


@checked
def small_resnet(
    depth: PositiveInt,
    *,
    width: PositiveInt = 16,
    classes: PositiveInt = 10,
    channels: PositiveInt = 3,
    shortcut: Literal["projection", "zeros", "none"] = "zeros",
) -> ResNet:
    """Build the ResNet of 6n + 2 layers for small images (He et al. 2016a, section 4.2): with 20 layers 269,722 parameters.

    Three stages of n basic blocks with ``width``, 2·``width`` and 4·``width`` channels. With ``shortcut="none"`` it is
    the plain network of the same layers and the same number of parameters.

    >>> sum(weight.numel() for weight in small_resnet(20).parameters())
    269722

    Raises:
        TypeError: sizes that are not ints.
        ValueError: a depth that is not 6n + 2 for an n of at least 1, sizes below 1.
    """
    if depth < 8 or depth % 6 != 2:
        raise ValueError(f"depth must be 6n + 2 for a whole n of at least 1 (8, 14, 20, …), got {depth}")
    blocks, widths = (depth // 6,) * 3, (width, 2 * width, 4 * width)
    return ResNet(ResNetConfig(blocks, widths, stem="cifar", shortcut=shortcut, classes=classes, channels=channels))


def _block(config: ResNetConfig, in_channels: int, width: int, *, stride: int) -> nn.Module:
    """One block, with the shortcut that its shapes and the configuration ask for."""
    kind = _BLOCKS[config.block]
    out_channels, downsample = width * kind.expansion, None
    if config.shortcut != "none" and (stride, in_channels) != (1, out_channels):
        if config.shortcut == "zeros":
            downsample = Subsampled(out_channels, stride=stride)
        else:
            projection = Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
            downsample = nn.Sequential(projection, BatchNorm(out_channels))
    return kind(in_channels, width, stride=stride, downsample=downsample, shortcut=config.shortcut != "none")
