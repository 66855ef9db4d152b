"""LoRA: a frozen layer learns a correction of low rank, which can be added to its weight afterwards."""

import copy
from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.architectures.initialization import uniform_by_fan_in
from lib.core.boundary import checked
from lib.core.rules import PositiveFloat, PositiveInt
from lib.core.surgery import replaced

from .layers import Geometry
from .low_rank import apply_factors, check_one_matrix
from .packed import PackedLayer
from .plans import plan_for

__all__ = ["LoRA", "adapters", "merge_lora", "with_lora"]


class LoRA(nn.Module):
    """A frozen layer and beside it two thin matrices: ``W x + b + (alpha/rank)·B A x`` (Hu et al. 2022, eq. 3).

    A starts uniform within ±1/√features and B at zero, so the layer begins as it was. The layer may be packed, such as
    in four bits (Dettmers et al. 2023); merging asks for a dense one. In place of the paper's random Gaussian start of A
    stands that of its authors' code.

    >>> layer = nn.Linear(6, 4)
    >>> torch.equal(LoRA(layer, rank=2)(torch.ones(1, 6)), layer(torch.ones(1, 6)))
    True

    Raises:
        TypeError: anything but a dense layer or a convolution, or one that is packed.
        ValueError: a rank below 1 or above the matrix's smaller side, a grouped convolution.
    """

    @checked
    def __init__(self, layer: nn.Module, *, rank: PositiveInt, alpha: PositiveFloat | None = None) -> None:
        super().__init__()
        self.geometry = Geometry.of(layer)
        check_one_matrix(self.geometry)
        weight = layer.weight.detach()
        outputs, features = weight.flatten(1).shape
        if rank > min(outputs, features):
            raise ValueError(
                f"rank must be at most {min(outputs, features)}, the smaller side of {(outputs, features)}, got {rank}"
            )
        self.layer = layer.requires_grad_(False)
        self.scale = (rank if alpha is None else alpha) / rank
        self.down = nn.Parameter(weight.new_empty(rank, *weight.shape[1:]))
        self.up = nn.Parameter(weight.new_zeros(outputs, rank))
        uniform_by_fan_in(self.down, None)

    def forward(self, x: Float[Tensor, "batch *features"]) -> Float[Tensor, "batch *out_features"]:
        correction = self.scale * apply_factors(self.geometry, x, self.up, self.down)  # which looks at x first
        return self.layer(x) + correction

    @torch.no_grad()
    def merged(self) -> nn.Module:
        """The layer alone, with the correction added to a copy of its weight: as large and as fast as it was.

        Raises:
            TypeError: a packed layer, whose form does not hold the sum.
        """
        if isinstance(self.layer, PackedLayer):
            raise TypeError(f"only a dense weight can hold the sum, got a {type(self.layer).__name__}")
        layer = copy.deepcopy(self.layer)
        layer.weight += self.scale * (self.up @ self.down.flatten(1)).view_as(layer.weight)
        return layer

    def extra_repr(self) -> str:
        return f"rank {len(self.down)}, scale {self.scale:g}"


@checked
def with_lora(
    model: nn.Module,
    *,
    rank: PositiveInt,
    alpha: PositiveFloat | None = None,
    only: Sequence[str] | None = None,
    except_: Sequence[str] = (),
) -> nn.Module:
    """A copy of a model in which nothing but the thin matrices beside its layers can be trained.

    >>> model = with_lora(nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3)), rank=1)
    >>> [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    ['0.down', '0.up', '1.down', '1.up']

    Raises:
        TypeError: as :class:`~lib.compression.lora.LoRA`.
        ValueError: as :class:`~lib.compression.lora.LoRA` and :func:`~lib.compression.plans.plan_for`.
    """
    adapted = replaced(model, plan_for(model, partial(LoRA, rank=rank, alpha=alpha), only=only, except_=except_))
    adapters_only = adapters(adapted)
    for name, parameter in adapted.named_parameters():
        parameter.requires_grad_(name in adapters_only)
    return adapted


@checked
def adapters(model: nn.Module) -> dict[str, Float[Tensor, "..."]]:
    """The thin matrices alone, by name: what has to be saved for one task beside the model that all tasks share.

    >>> list(adapters(with_lora(nn.Sequential(nn.Linear(6, 4)), rank=1)))
    ['0.down', '0.up']

    Raises:
        TypeError: not a module.
        ValueError: a model without LoRA.
    """
    found = {
        f"{name}.{part}" if name else part: getattr(module, part)
        for name, module in model.named_modules()
        if isinstance(module, LoRA)
        for part in ("down", "up")
    }
    if not found:
        raise ValueError("the model must have a layer with LoRA, got none")
    return found


@checked
def merge_lora(model: nn.Module) -> nn.Module:
    """A copy of a model with each correction added to its weight: the modules of the model before LoRA.

    >>> model = nn.Sequential(nn.Linear(6, 4))
    >>> merge_lora(with_lora(model, rank=1))
    Sequential(
      (0): Linear(in_features=6, out_features=4, bias=True)
    )

    Raises:
        TypeError: a packed layer under a LoRA.
        ValueError: a model without LoRA.
    """
    adapters(model)
    return replaced(model, plan_for(model, LoRA.merged, kinds=LoRA))
