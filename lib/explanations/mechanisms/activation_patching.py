"""Activation patching: run the model on one input with a piece of its run on another."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.hooks import rewrite
from lib.core.validation import check_callable

from .runs import check_positions, checked_scores, looking, outputs_of_layers

__all__ = ["activation_patching", "restored_share"]


def activation_patching(
    model: nn.Module,
    inputs: Tensor,
    source: Tensor,
    layers: Sequence[str],
    positions: Sequence[int],
    *,
    score: Callable[[Tensor], Float[Tensor, " batch"]],
) -> Float[Tensor, "layers positions batch"]:
    """Score the run on ``inputs`` with the output of one layer at one position taken from the run on ``source``.

    Vig et al. 2020; Meng et al. 2022, section 2.1, where the source is the clean prompt. Row i of ``inputs`` gets from row
    i of ``source``; ``score(outputs) -> [batch]`` reads the model's outputs. Layers give ``[batch, time, features]``.
    One run for each layer and position, and one on the source. A model whose inputs are patched from themselves is
    unchanged. Modes, hooks and weights are afterwards as they were.

    >>> model = nn.Sequential(nn.Identity(), nn.Identity())
    >>> inputs, source = torch.zeros(1, 3, 1), torch.ones(1, 3, 1)
    >>> activation_patching(model, inputs, source, ["0"], [-1], score=lambda y: y[:, -1, 0])
    tensor([[[1.]]])

    Raises:
        TypeError: not a module, no tensors, a position that is no int.
        ValueError: shapes that differ, an unknown layer or one that does not run once, a position outside, scores of
            another shape or that are NaN.
    """
    check_callable("score", score)
    with looking(model, inputs):
        if not isinstance(source, Tensor) or source.shape != inputs.shape:
            got = tuple(source.shape) if isinstance(source, Tensor) else type(source).__name__
            raise ValueError(f"source must have the shape of inputs, {tuple(inputs.shape)}, got {got}")
        check_positions(positions, inputs.shape[1])
        given, _ = outputs_of_layers(model, source, layers)
        scores = []
        for layer in layers:
            for position in positions:

                def patch(output: Tensor, layer=layer, position=position) -> Tensor:
                    output = output.clone()
                    output[:, position] = given[layer][:, position]
                    return output

                with rewrite(model, {layer: patch}):
                    scores.append(checked_scores(score, model(inputs), len(inputs)))
    return torch.stack(scores).unflatten(0, (len(layers), len(positions)))


@checked
def restored_share(
    patched: Float[Tensor, "*runs batch"], untouched: Float[Tensor, " batch"], source: Float[Tensor, " batch"]
) -> Float[Tensor, "*runs batch"]:
    """Say how far a patch moves the score from that of the untouched run (0) to that of the source's run (1).

    Equation: eq-restored-share. A patch may also overshoot 1 or move the score the other way, below 0.

    >>> restored_share(torch.tensor([[-3.0], [3.0]]), torch.tensor([-3.0]), torch.tensor([1.0]))
    tensor([[0.0000],
            [1.5000]])

    Raises:
        TypeError: scores that are not floating point.
        ValueError: runs whose scores are equal, so that there is nothing to restore; shapes that disagree.
    """
    if (equal := source == untouched).any():
        place = equal.nonzero()[0].item()
        raise ValueError(
            f"source and untouched must have different scores, got {source[place].item():g} for both at {place}"
        )
    return (patched - untouched) / (source - untouched)
