"""Small networks to explain: one for images, one for rows of a table, one for embedded tokens."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from lib.core import fixed_seed, seeded

__all__ = ["LAYER", "SHAPES", "build", "linear_model", "network", "sample"]

SHAPES = {"images": (3, 6, 8), "rows": (6,), "tokens": (5, 8)}
LAYER = "maps"  # the image network's last feature maps


def network(kind: str, *, inplace: bool = True) -> nn.Module:
    """A network of random weights for one kind of input, three classes, with every layer that keeps a state."""
    with fixed_seed(0):
        model = {"images": _image_network, "rows": _row_network, "tokens": TokenNetwork}[kind](inplace)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 1.5)
        with torch.no_grad():
            module.weight *= 10  # the last layer's: scores of a trained network differ by more than a tenth
    return model.eval()


def build(kind: str, **options) -> tuple[nn.Module, Tensor, Tensor]:
    """A network, four examples for it and a class for each."""
    return network(kind, **options), sample(kind), torch.tensor([2, 0, 1, 1])


def sample(kind: str, examples: int = 4) -> Tensor:
    return torch.randn(examples, *SHAPES[kind], generator=seeded(1))


def linear_model(kind: str) -> tuple[nn.Module, Tensor]:
    """A linear model of three classes, and its weights in the shape of an input, one block a class."""
    with fixed_seed(0):
        head = nn.Linear(torch.Size(SHAPES[kind]).numel(), 3)
    return nn.Sequential(nn.Flatten(), head).eval(), head.weight.detach().reshape(3, *SHAPES[kind])


def _image_network(inplace):
    return nn.Sequential(
        OrderedDict(
            entrance=nn.ReLU(inplace=inplace),  # works in place on the input itself
            first=nn.Conv2d(3, 4, 3, padding=1),
            norm=nn.BatchNorm2d(4),
            bend=nn.ReLU(inplace=inplace),
            last=nn.Conv2d(4, 5, 3, stride=2, padding=1),
            maps=nn.BatchNorm2d(5),
            after=nn.ReLU(inplace=inplace),  # works in place on the maps
            dropout=nn.Dropout2d(0.5),
            pool=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(),
            head=nn.Linear(5, 3),
        )
    )


def _row_network(inplace):
    return nn.Sequential(
        nn.Linear(6, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(inplace=inplace),
        nn.Dropout(0.5),
        nn.Linear(16, 8),
        nn.ReLU6(inplace=inplace),
        nn.Linear(8, 3),
    )


class TokenNetwork(nn.Module):
    """Attention with a residual path, layer norm and a recurrent reader over embedded tokens."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.bend = nn.ReLU(inplace=inplace)
        self.reader = nn.GRU(8, 6, batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        mixed, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        read, _ = self.reader(self.bend(self.norm(tokens + mixed)))
        return self.head(read[:, -1])
