"""Low rank: one matrix as the product of two thin ones, the nearest to the weight or to the layer's outputs."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lib.core.boundary import checked
from lib.core.rules import PositiveFloat, PositiveInt, Share
from lib.core.validation import check_finite

from .calibration_data import check_second_moments, damped_root
from .layers import Geometry
from .packed import PackedLayer

__all__ = ["LowRank", "low_rank", "rank_for", "truncated_svd"]


@checked
def truncated_svd(
    weight: Float[Tensor, "outputs features"],
    rank: PositiveInt,
    second_moments: Float[Tensor, "features features"] | None = None,
    *,
    damping: PositiveFloat = 1e-3,
) -> tuple[Float[Tensor, "outputs rank"], Float[Tensor, "rank features"]]:
    """Two factors whose product of the given rank is nearest to a matrix (Eckart & Young 1936).

    Equation: eq-low-rank

    Nearest in ‖W − UV‖²; with the second moments H of the inputs, in E‖(W − UV) x‖² = ‖(W − UV) C‖² with H = C Cᵀ
    (Wang et al. 2025, SVD-LLM), where ``damping``·mean(diag H) is added to the diagonal of H, so
    that what the calibration data never show keeps some weight.

    >>> up, down = truncated_svd(torch.tensor([[1.0, 2.0], [2.0, 4.0]]), 1)
    >>> torch.allclose(up @ down, torch.tensor([[1.0, 2.0], [2.0, 4.0]]), atol=1e-6)
    True

    Raises:
        TypeError: arguments of another kind.
        ValueError: a rank above the matrix's smaller side, second moments of another size or that no inputs
            have, NaN or infinity.
    """
    check_finite("weight", weight)
    if rank > min(weight.shape):
        raise ValueError(
            f"rank must be at most {min(weight.shape)}, the smaller side of {tuple(weight.shape)}, got {rank}"
        )
    matrix = weight.detach().double()
    if second_moments is None:
        u, s, v = torch.linalg.svd(matrix, full_matrices=False)
        down = v[:rank]
    else:
        check_second_moments(second_moments)
        root = damped_root(second_moments, damping, matrix.dtype)
        u, s, v = torch.linalg.svd(matrix @ root, full_matrices=False)
        down = torch.linalg.solve_triangular(root, v[:rank], upper=False, left=False)
    # Each factor takes the root of the singular values, so that neither is much larger than the other.
    return (u[:, :rank] * s[:rank].sqrt()).to(weight.dtype), (s[:rank].sqrt()[:, None] * down).to(weight.dtype)


@checked
def rank_for(layer: nn.Module, share: Share) -> int:
    """The largest rank at which the two factors hold at most this share of the layer's weights.

    >>> rank_for(nn.Linear(100, 50), 0.3)
    10

    Raises:
        TypeError: anything but a dense layer or a convolution, a share that is no number.
        ValueError: a share outside 0 … 1, or too small for rank 1.
    """
    Geometry.of(layer)
    outputs, features = layer.weight.flatten(1).shape
    rank = int(share * outputs * features / (outputs + features))
    if rank < 1:
        raise ValueError(
            f"share must be at least {(outputs + features) / (outputs * features):.3g} to allow rank 1, got {share}"
        )
    return min(rank, outputs, features)


class LowRank(PackedLayer):
    """A layer in two steps, ``U (V x) + b``: of a convolution, ``rank`` filters and then a 1 × 1 convolution.

    It stores ``rank·(outputs + features)`` numbers instead of their product, and multiplies as many times fewer.
    Both factors can be trained further.

    >>> layer = LowRank(nn.Linear(6, 4), torch.ones(4, 1), torch.ones(1, 6))
    >>> layer.weight.shape, sum(p.numel() for p in layer.parameters())
    (torch.Size([4, 6]), 14)

    Raises:
        TypeError: as :class:`~lib.compression.packed.PackedLayer`.
        ValueError: as :class:`~lib.compression.packed.PackedLayer`, factors whose product is no weight of the layer
            or that hold NaN or infinity, a grouped convolution.
    """

    @checked
    def __init__(
        self, layer: nn.Module, up: Float[Tensor, "outputs rank"], down: Float[Tensor, "rank features"]
    ) -> None:
        super().__init__(layer)
        check_one_matrix(self.geometry)
        expected = (self.weight_shape[0], self.weight_shape[1:].numel())
        if (len(up), down.shape[1]) != expected:
            raise ValueError(f"the factors must give a matrix of {expected}, got {(len(up), down.shape[1])}")
        check_finite("up", up)
        check_finite("down", down)
        self.up, self.down = nn.Parameter(up.detach().clone()), nn.Parameter(down.detach().clone())

    def unpacked(self) -> Float[Tensor, "out_features *in_features"]:
        return (self.up @ self.down).view(self.weight_shape)

    def forward(self, x: Float[Tensor, "batch *features"]) -> Float[Tensor, "batch *out_features"]:
        return apply_factors(self.geometry, x, self.up, self.down.view(-1, *self.weight_shape[1:]), self.bias)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, rank {len(self.down)}"


@checked
def low_rank(
    layer: nn.Module, rank: PositiveInt, second_moments: Float[Tensor, "features features"] | None = None
) -> LowRank:
    """Replace a layer by its best approximation of a rank: :func:`~lib.compression.low_rank.truncated_svd`, plain or whitened by its inputs.

    >>> low_rank(nn.Linear(6, 4), 2)
    LowRank(weight (4, 6), rank 2)

    Raises:
        TypeError: as :func:`~lib.compression.low_rank.truncated_svd`, anything but a dense layer or a convolution.
        ValueError: as :func:`~lib.compression.low_rank.truncated_svd`, a grouped convolution.
    """
    check_one_matrix(Geometry.of(layer))
    return LowRank(layer, *truncated_svd(layer.weight.detach().flatten(1), rank, second_moments))


def check_one_matrix(geometry: Geometry) -> None:
    """Require a layer that is one matrix.

    Raises:
        ValueError: a grouped convolution.
    """
    if geometry.groups > 1:
        raise ValueError(f"a layer must be one matrix to be factorised, got a convolution of {geometry.groups} groups")


def apply_factors(geometry: Geometry, x: Tensor, up: Tensor, down: Tensor, bias: Tensor | None = None) -> Tensor:
    """First the thin layer to ``rank`` numbers, where the layer would compute, then the map to all outputs."""
    inner = geometry.apply(x, down)
    up, bias = up.to(x.dtype), None if bias is None else bias.to(x.dtype)
    return F.linear(inner, up, bias) if geometry.stride is None else F.conv2d(inner, up[:, :, None, None], bias)
