"""Pruning: weights set to zero, chosen by a score, and what is stored when the zeros are left out."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.rules import PositiveInt, Share
from lib.core.surgery import replaced
from lib.core.validation import check_divisible, check_finite

from .packed import PackedLayer
from .packing import pack_bits, unpack_bits
from .plans import layers_of, plan_for

__all__ = ["Masked", "SparseLayer", "keep_largest", "lottery_ticket", "pruning_masks", "two_of_four"]


@checked
def keep_largest(
    scores: Float[Tensor, "rows columns"], share: Share, *, per: Literal["matrix", "row"] = "matrix"
) -> Bool[Tensor, "rows columns"]:
    """False for the given share of lowest scores of the matrix, or of each row, rounded; of equal scores the first go.

    >>> keep_largest(torch.tensor([[3.0, 1.0, 2.0, 4.0]]), 0.5)
    tensor([[ True, False, False,  True]])

    Raises:
        TypeError: arguments of another kind.
        ValueError: a share outside 0 … 1, NaN or infinity among the scores.
    """
    check_finite("scores", scores)
    groups = scores if per == "row" else scores.reshape(1, -1)
    removed = groups.argsort(dim=1, stable=True)[:, : round(share * groups.shape[1])]
    return torch.ones_like(groups, dtype=torch.bool).scatter_(1, removed, False).view_as(scores)


@checked
def two_of_four(scores: Float[Tensor, "rows columns"]) -> Bool[Tensor, "rows columns"]:
    """True for the two highest scores among each four neighbours of a row: the 2:4 pattern (Mishra et al. 2021).

    >>> two_of_four(torch.tensor([[3.0, 1.0, 2.0, 4.0]]))
    tensor([[ True, False, False,  True]])

    Raises:
        TypeError: not a floating-point tensor.
        ValueError: columns that four does not divide, NaN or infinity among the scores.
    """
    check_divisible("columns", scores.shape[1], "the pattern's", 4)
    return keep_largest(scores.reshape(-1, 4), 0.5, per="row").view_as(scores)


@checked
def pruning_masks(
    model: nn.Module,
    share: Share,
    *,
    per: Literal["model", "layer", "row", "2:4"] = "layer",
    only: Sequence[str] | None = None,
    except_: Sequence[str] = (),
    mean_squares: Mapping[str, Tensor] | None = None,
) -> dict[str, Bool[Tensor, "..."]]:
    """Choose which weights to keep, by layer: those of the largest magnitude, or of Wanda's score.

    The share to remove counts over all layers together, in each layer, in each of its rows (one output's weights), or
    is 0.5 in the 2:4 pattern. With ``mean_squares`` from :func:`~lib.compression.recorded_inputs.record_inputs` the
    score is a weight's magnitude times its input's root mean square (Sun et al. 2024, eq. 1). What an earlier mask has
    removed counts as removed.

    >>> model = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 3))
    >>> {name: int(mask.sum()) for name, mask in pruning_masks(model, 0.75, except_=["1"]).items()}
    {'0': 2}

    Raises:
        TypeError: arguments of another kind.
        ValueError: as :func:`~lib.compression.plans.plan_for`; a share outside 0 … 1, or other than 0.5 for 2:4; mean
            squares that are missing, negative, or not one for each column.
    """
    layers = layers_of(model, only=only, except_=except_)
    if per == "2:4" and share != 0.5:
        raise ValueError(f"2:4 removes two weights of four, so share must be 0.5, got {share}")
    scores = {name: _scores(name, layer, mean_squares) for name, layer in layers.items()}
    if per == "model":
        kept = keep_largest(torch.cat([score.flatten() for score in scores.values()])[None], share)[0]
        masks = dict(zip(scores, kept.split([score.numel() for score in scores.values()]), strict=True))
    elif per == "2:4":
        masks = {name: two_of_four(score) for name, score in scores.items()}
    else:
        masks = {
            name: keep_largest(score, share, per="row" if per == "row" else "matrix") for name, score in scores.items()
        }
    return {name: mask.view(layers[name].weight.shape) for name, mask in masks.items()}


class Masked(PackedLayer):
    """A layer whose weight is multiplied by a mask, at each call: pruned, still to be trained, and no smaller.

    The weights that the mask removes are zero in the product and get no gradient. Both matrices are stored; what is
    left when they are not is a :class:`~lib.compression.pruning.SparseLayer`.

    >>> layer = Masked(nn.Linear(2, 1, bias=False), torch.tensor([[True, False]]))
    >>> bool(layer(torch.tensor([[0.0, 7.0]])) == 0)
    True

    Raises:
        TypeError: as :class:`~lib.compression.packed.PackedLayer`, a mask that is not boolean.
        ValueError: as :class:`~lib.compression.packed.PackedLayer`, a mask of another shape.
    """

    @checked
    def __init__(self, layer: nn.Module, mask: Bool[Tensor, "..."]) -> None:
        super().__init__(layer)
        if mask.shape != self.weight_shape:
            raise ValueError(f"mask must have the weight's shape {tuple(self.weight_shape)}, got {tuple(mask.shape)}")
        self.dense = nn.Parameter(layer.weight.detach().clone())
        # A copy: a mask cut from those of a whole model would keep them all.
        self.register_buffer("mask", mask.to(self.dense.device, copy=True))

    def unpacked(self) -> Float[Tensor, "out_features *in_features"]:
        return self.dense * self.mask


class SparseLayer(PackedLayer):
    """A layer that stores only the weights that are not zero, and one bit for each weight that says which these are.

    Of n weights with a share d that is not zero it takes ``n/8 + 4 d n`` bytes in float32, beside 4 n. In the 2:4
    pattern that bit costs what the two-bit positions of a sparse tensor core's format cost, four bits for four weights.

    >>> layer = nn.Linear(32, 1, bias=False)
    >>> layer.weight.data[:, 8:] = 0
    >>> sum(buffer.nbytes for buffer in SparseLayer(layer).buffers())  # 8 weights and 32 bits
    36

    Raises:
        TypeError: as :class:`~lib.compression.packed.PackedLayer`.
        ValueError: as :class:`~lib.compression.packed.PackedLayer`.
    """

    @torch.no_grad()
    def __init__(self, layer: nn.Module) -> None:
        super().__init__(layer)
        weight = layer.weight
        self.register_buffer("values", weight[weight != 0].clone())
        self.register_buffer("bitmap", pack_bits((weight != 0).to(torch.uint8).flatten(), 1))

    def unpacked(self) -> Float[Tensor, "out_features *in_features"]:
        mask = unpack_bits(self.bitmap, 1, self.weight_shape.numel()).bool()
        return self.values.new_zeros(len(mask)).masked_scatter(mask, self.values).view(self.weight_shape)


@checked
def lottery_ticket(
    early: nn.Module,
    fit: Callable[[nn.Module], object],
    *,
    share: Share,
    rounds: PositiveInt,
    only: Sequence[str] | None = None,
    except_: Sequence[str] = (),
    per: Literal["model", "layer", "row"] = "layer",
) -> dict[str, Bool[Tensor, "..."]]:
    """Find masks by training, pruning, and going back to early weights, again and again (Frankle & Carbin 2019, section 1).

    ``early`` is the model at its start or, rewound, after a few steps (Frankle et al. 2020); it stays as it
    is. Each round trains a copy of it under the masks so far with ``fit``, and removes the given share of what is left.
    The ticket is ``replaced(early, plan_for(early, Masked, only=list(masks), given=masks))``.

    >>> masks = lottery_ticket(nn.Sequential(nn.Linear(4, 4)), lambda model: None, share=0.5, rounds=3)
    >>> int(masks["0"].sum())
    2

    Raises:
        TypeError: arguments of another kind.
        ValueError: as :func:`~lib.compression.pruning.pruning_masks`, no round.
    """
    names = list(layers_of(early, only=only, except_=except_))
    masks = {name: torch.ones_like(early.get_submodule(name).weight, dtype=torch.bool) for name in names}
    for finished in range(1, rounds + 1):
        network = replaced(early, plan_for(early, Masked, only=names, given=masks))
        fit(network)
        masks = pruning_masks(network, 1 - (1 - share) ** finished, per=per, only=names)
    return masks


def _scores(name: str, layer: nn.Module, mean_squares: Mapping[str, Tensor] | None) -> Float[Tensor, "rows columns"]:
    magnitudes = layer.weight.detach().abs().flatten(1)
    if mean_squares is None:
        return magnitudes
    if name not in mean_squares:
        raise ValueError(f"mean_squares must hold one entry for each layer, got none for {name!r}")
    squares = mean_squares[name]
    if squares.shape != magnitudes[0].shape:
        raise ValueError(
            f"mean_squares[{name!r}] must have one number for each of {magnitudes.shape[1]} columns, got {tuple(squares.shape)}"
        )
    check_finite(f"mean_squares[{name!r}]", squares)
    if (squares < 0).any():
        raise ValueError(f"mean_squares[{name!r}] must not be negative, got {squares.min().item()}")
    return magnitudes * squares.sqrt().to(magnitudes)
