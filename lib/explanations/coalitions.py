"""The game that an example plays: its features are the players, and a background stands in for the absent ones."""

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from lib.core.validation import check_indices

from .baselines import check_background
from .calls import Score

__all__ = ["Game"]


class Game:
    """v(S) = mean over background rows b of f_c(x_S, b_rest): the interventional expectation, for each example x.

    A player is one entry of the input, or one of the ``segments``: a tensor of the input's shape that numbers the
    group of each entry, 0 … players − 1. Scores are added up in float64 on the CPU.
    """

    def __init__(
        self,
        score: Score,
        background: Float[Tensor, "background *features"],
        segments: Int64[Tensor, "*features"] | None,
    ) -> None:
        self.score = score
        self.background = check_background(background, score.inputs)
        self.grouped, self.segments = segments is not None, _checked(segments, score.inputs)
        self.entries = self.segments.flatten().bincount()  # of each player

    @property
    def players(self) -> int:
        return len(self.entries)

    def scores(
        self, coalitions: Bool[Tensor, "points players"], references: Int64[Tensor, " points"]
    ) -> Float64[Tensor, "batch points"]:
        """f_c where each coalition keeps its entries of x, and the others come from one row of the background."""
        inputs, found = self.score.inputs, []
        coalitions, references = coalitions.to(inputs.device), references.to(inputs.device)
        for rows in self.score.rows.split(max(1, self.score.chunk // len(coalitions))):
            parts = []
            for block, others in zip(*(t.split(self.score.chunk) for t in (coalitions, references)), strict=True):
                present = block[:, self.segments] if self.grouped else block.unflatten(1, inputs.shape[1:])
                points = torch.where(present, inputs[rows][:, None], self.background.index_select(0, others))
                scores = self.score.of(points.flatten(0, 1), rows.repeat_interleave(len(block)))
                parts.append(scores.reshape(len(rows), len(block)).cpu().double())
            found.append(torch.cat(parts, dim=1))
        return torch.cat(found)

    def worths(self, coalitions: Bool[Tensor, "coalitions players"]) -> Float64[Tensor, "batch coalitions"]:
        """v(S): each coalition with every row of the background."""
        rows, worths = len(self.background), []
        for block in coalitions.split(max(1, self.score.chunk // rows)):
            scores = self.scores(
                block.repeat_interleave(rows, dim=0), torch.arange(rows, device="cpu").repeat(len(block))
            )
            worths.append(scores.unflatten(1, (len(block), rows)).mean(dim=2))
        return torch.cat(worths, dim=1)

    def ends(self) -> tuple[Float64[Tensor, " batch"], Float64[Tensor, " batch"]]:
        """v(∅), the mean score of the background, and v(N) = f_c(x)."""
        nobody = torch.zeros(1, self.players, dtype=torch.bool, device="cpu")
        return self.worths(nobody)[:, 0], self.scores(~nobody, torch.zeros(1, dtype=torch.int64, device="cpu"))[:, 0]

    def spread(self, shares: Float[Tensor, "batch players"]) -> Float[Tensor, "batch *features"]:
        """In the inputs' shape: the entries of one player have equal parts of its share."""
        inputs = self.score.inputs
        return (shares.to(inputs.device, torch.float64) / self.entries)[:, self.segments].to(inputs.dtype)


def _checked(segments: Int64[Tensor, "*features"] | None, inputs: Tensor) -> Int64[Tensor, "*features"]:
    """One player an entry by default; otherwise the numbers 0, 1, … in the shape of one example, none left out."""
    shape = inputs.shape[1:]
    if segments is None:
        return torch.arange(shape.numel(), device=inputs.device).reshape(shape)
    if not isinstance(segments, Tensor) or segments.dtype != torch.int64:
        received = segments.dtype if isinstance(segments, Tensor) else type(segments).__name__
        raise TypeError(f"segments must be a tensor of whole numbers of dtype torch.int64, got {received}")
    if segments.shape != shape:
        raise ValueError(
            f"segments must number each entry of an example of shape {tuple(shape)}, got {tuple(segments.shape)}"
        )
    check_indices("segments", segments, shape.numel(), "at most one for each entry")
    missing = (segments.flatten().bincount() == 0).nonzero()
    if len(missing):
        raise ValueError(f"segments must use every number from 0 to {segments.max()}, got none of {missing[0].item()}")
    return segments.to(inputs.device)
