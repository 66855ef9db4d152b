"""Residual connections: what a branch computes is added to what came in."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lib.core.boundary import checked
from lib.core.rules import PositiveInt
from lib.core.validation import check_floating

from .activations import relu
from .channel_normalization import BatchNorm
from .convolution import Conv2d

__all__ = ["BasicBlock", "Bottleneck", "Residual", "Subsampled"]


class Residual(nn.Module):
    """``shortcut(x) + branch(x)``, without a shortcut of its own ``x + branch(x)`` (He et al. 2016b, eq. 1 with f = identity).

    Equation: eq-residual

    The derivative of the sum holds that of the shortcut as a term, whatever the branch is.

    >>> Residual(nn.Identity())(torch.tensor([1.0, 2.0]))
    tensor([2., 4.])

    Raises:
        TypeError: a branch that is not a module; in the call anything but a dense floating-point tensor.
        ValueError: a branch whose output has another shape than the shortcut's: nothing is stretched to fit.
    """

    @checked
    def __init__(self, branch: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.branch, self.shortcut = branch, shortcut

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*new_shape"]:
        check_floating("x", x)
        around, through = x if self.shortcut is None else self.shortcut(x), self.branch(x)
        if around.shape != through.shape:
            raise ValueError(
                f"shortcut and branch must end with one shape, got {tuple(around.shape)} and {tuple(through.shape)}"
            )
        return around + through


class Subsampled(nn.Module):
    """A shortcut without parameters: every ``stride``-th pixel, and channels of zeros up to ``channels``.

    It is option A of He et al. (2016a, section 3.3), where a projection, a 1 × 1 convolution, is option B.

    >>> Subsampled(2, stride=2)(torch.ones(1, 1, 2, 4))[0, :, 0]
    tensor([[1., 1.],
            [0., 0.]])

    Raises:
        TypeError: sizes that are not ints; integer input.
        ValueError: sizes below 1, more channels in the input than in the output.
    """

    @checked
    def __init__(self, channels: PositiveInt, *, stride: PositiveInt = 1) -> None:
        super().__init__()
        self.channels, self.stride = channels, stride

    @checked
    def forward(
        self, x: Float[Tensor, "batch in_channels height width"]
    ) -> Float[Tensor, "batch channels out_height out_width"]:
        missing = self.channels - x.shape[1]
        if missing < 0:
            raise ValueError(f"x must have at most {self.channels} channels, got {x.shape[1]}")
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, missing))

    def extra_repr(self) -> str:
        return f"{self.channels}, stride={self.stride}"


class BasicBlock(nn.Module):
    """Two 3 × 3 convolutions, each with a batch norm; the sum with the shortcut goes through the last ReLU.

    He et al. (2016a), figure 5, left; names are torchvision's. ``downsample`` is the shortcut where shapes differ,
    the input itself where it is None; ``shortcut=False`` leaves the sum out: the block of a plain network.

    >>> BasicBlock(4, 4)(torch.zeros(1, 4, 5, 5)).shape
    torch.Size([1, 4, 5, 5])

    Raises:
        TypeError: sizes that are not ints.
        ValueError: sizes below 1; in the call, input whose shape does not match.
    """

    expansion = 1  # channels that come out, over those in the middle

    @checked
    def __init__(
        self,
        in_channels: PositiveInt,
        channels: PositiveInt,
        *,
        stride: PositiveInt = 1,
        downsample: nn.Module | None = None,
        shortcut: bool = True,
    ) -> None:
        super().__init__()
        self.conv1 = Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = BatchNorm(channels)
        self.conv2 = Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = BatchNorm(channels)
        self.downsample, self.shortcut = downsample, shortcut

    def forward(
        self, x: Float[Tensor, "batch in_channels height width"]
    ) -> Float[Tensor, "batch channels out_height out_width"]:
        return _joined(self, x, self.bn2(self.conv2(relu(self.bn1(self.conv1(x))))))


class Bottleneck(nn.Module):
    """A 1 × 1 convolution to fewer channels, a 3 × 3 among them, a 1 × 1 to four times as many.

    He et al. (2016a), figure 5, right, with the stride in the 3 × 3 convolution, as in torchvision; the paper has it
    in the first 1 × 1 (table 1). Arguments are those of :class:`BasicBlock`; ``4 · channels`` come out.

    >>> Bottleneck(16, 4)(torch.zeros(1, 16, 5, 5)).shape
    torch.Size([1, 16, 5, 5])

    Raises:
        TypeError: as :class:`BasicBlock`.
        ValueError: as :class:`BasicBlock`.
    """

    expansion = 4

    @checked
    def __init__(
        self,
        in_channels: PositiveInt,
        channels: PositiveInt,
        *,
        stride: PositiveInt = 1,
        downsample: nn.Module | None = None,
        shortcut: bool = True,
    ) -> None:
        super().__init__()
        self.conv1 = Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = BatchNorm(channels)
        self.conv2 = Conv2d(channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn2 = BatchNorm(channels)
        self.conv3 = Conv2d(channels, 4 * channels, 1, bias=False)
        self.bn3 = BatchNorm(4 * channels)
        self.downsample, self.shortcut = downsample, shortcut

    def forward(
        self, x: Float[Tensor, "batch in_channels height width"]
    ) -> Float[Tensor, "batch out_channels out_height out_width"]:
        narrow = relu(self.bn2(self.conv2(relu(self.bn1(self.conv1(x))))))
        return _joined(self, x, self.bn3(self.conv3(narrow)))


def _joined(block: BasicBlock | Bottleneck, x: Tensor, through: Tensor) -> Tensor:
    """The branch's result and the shortcut, added, through the last ReLU; without a shortcut the branch alone."""
    if not block.shortcut:
        return relu(through)
    around = x if block.downsample is None else block.downsample(x)
    if around.shape != through.shape:
        raise ValueError(
            f"shortcut and branch must end with one shape, got {tuple(around.shape)} and {tuple(through.shape)}; "
            "give the block a downsample"
        )
    return relu(around + through)
