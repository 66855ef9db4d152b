"""LeNet-5, the network that read cheques."""

from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.rules import PositiveInt

from .activations import tanh
from .convolution import Conv2d
from .dense import Linear
from .pooling import avg_pool2d

__all__ = ["LeNet5"]


class LeNet5(nn.Module):
    """LeNet-5 for 28 × 28 digits (LeCun et al. 1998, section II.B and figure 2), 61,706 parameters.

    Layer names are the paper's. Differences: the paper's input is 32 × 32, here padding 2 makes it so;
    its C3 leaves some of the 16 × 6 connections out (table I), here all are there; its subsampling layers
    S2 and S4 learn a scale and a bias and squash, here they only average; it squashes with
    1.7159·tanh(2a/3), here tanh; its output is ten radial basis functions, here an affine map to logits.

    >>> sum(weight.numel() for weight in LeNet5().parameters())
    61706

    Raises:
        ValueError: fewer than one class, images of another shape.
    """

    @checked
    def __init__(self, num_classes: PositiveInt = 10) -> None:
        super().__init__()
        self.c1 = Conv2d(1, 6, 5, padding=2)
        self.c3 = Conv2d(6, 16, 5)
        self.c5 = Conv2d(16, 120, 5)
        self.f6 = Linear(120, 84)
        self.output = Linear(84, num_classes)

    @checked
    def forward(self, images: Float[Tensor, "batch 1 28 28"]) -> Float[Tensor, "batch classes"]:
        s2 = avg_pool2d(tanh(self.c1(images)), 2)  # 6 × 14 × 14
        s4 = avg_pool2d(tanh(self.c3(s2)), 2)  # 16 × 5 × 5
        c5 = tanh(self.c5(s4)).flatten(1)  # 120
        return self.output(tanh(self.f6(c5)))
