"""VGG: 3 × 3 convolutions, one after another, and three dense layers that hold most of the parameters."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.rules import PositiveInt

from .activations import ReLU
from .channel_normalization import BatchNorm
from .convolution import Conv2d
from .dense import Linear
from .pooling import MaxPool2d

__all__ = ["VGG"]

# Simonyan & Zisserman (2015), table 1, columns A, B, D and E: convolutions between two poolings.
_CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_WIDTHS = (64, 128, 256, 512, 512)


class VGG(nn.Module):
    """A VGG network (Simonyan & Zisserman 2015, table 1): with 16 layers and 1,000 classes 138,357,544 parameters.

    Five times convolutions, then a max pool that halves the image; two dense layers of 4,096 with dropout, a last one
    to the logits. ``norm`` puts a batch norm behind each convolution, which the paper did not have. Names, shapes and
    first weights are torchvision's. An image of another size changes the first dense layer, which reads positions.

    >>> with torch.device("meta"):
    ...     model = VGG(16)
    >>> sum(weight.numel() for weight in model.parameters())
    138357544

    Raises:
        TypeError: sizes that are not ints; integer images.
        ValueError: a depth that is not in the table, an image size below 32, images of another shape.
    """

    @checked
    def __init__(
        self,
        depth: Literal[11, 13, 16, 19],
        *,
        norm: bool = False,
        classes: PositiveInt = 1000,
        channels: PositiveInt = 3,
        image_size: PositiveInt = 224,
    ) -> None:
        super().__init__()
        if image_size < 32:
            raise ValueError(f"image_size must be at least 32, which five poolings halve to 1, got {image_size}")
        self.channels, self.image_size = channels, image_size
        layers, width = [], channels
        for convolutions, stage_width in zip(_CONVOLUTIONS[depth], _WIDTHS, strict=True):
            for _ in range(convolutions):
                layers += [
                    Conv2d(width, stage_width, 3, padding=1),
                    *([BatchNorm(stage_width)] if norm else []),
                    ReLU(),
                ]
                width = stage_width
            layers.append(MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            Linear(width * (image_size // 32) ** 2, 4096),
            ReLU(),
            nn.Dropout(),
            Linear(4096, 4096),
            ReLU(),
            nn.Dropout(),
            Linear(4096, classes),
        )
        for module in self.modules():
            if isinstance(module, Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)
            elif isinstance(module, Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)

    @checked
    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        expected = (self.channels, self.image_size, self.image_size)
        if images.shape[1:] != expected:
            raise ValueError(
                f"images must have shape (batch, {', '.join(map(str, expected))}), got {tuple(images.shape)}"
            )
        return self.classifier(self.features(images).flatten(1))
