"""Attention patterns: how much each position of each head takes from every other, whatever way the model computes it."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.hooks import rewrite, watched_inputs
from lib.core.rules import PositiveInt

from .runs import check_patterns, head_width, looking, outputs_of_layers

__all__ = ["attention_patterns", "induction_scores"]


@checked
def attention_patterns(
    model: nn.Module,
    inputs: Tensor,
    layers: Sequence[str],
    *,
    heads: PositiveInt,
    value: str = "value",
    output: str = "output",
) -> Float[Tensor, "layers batch heads queries keys"]:
    """Read the weights of attention by planting values: with the unit vector j as value of position j, their mean is the weights.

    ``layers`` name attention modules; each has a map to the values, of which head i or the group that shares it has slice
    i, and a map of the heads' results to the output, under the two names given. What the layers give on is what they
    gave before, so all layers are read in one run; a run reads as many keys as a head has features. Exact for any
    attention that averages values, shared ones and turned positions included. The inputs are one sequence a row.

    >>> class Mean(nn.Module):  # every position takes as much of each
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.value, self.output = nn.Linear(4, 4), nn.Linear(4, 4)
    ...     def forward(self, x):
    ...         return self.output(self.value(x).mean(1, keepdim=True).expand_as(x))
    >>> attention_patterns(nn.Sequential(Mean()), torch.zeros(1, 2, 4), ["0"], heads=1)
    tensor([[[[[0.5000, 0.5000],
               [0.5000, 0.5000]]]]])

    Raises:
        TypeError: not a module, no tensor, heads that are no int.
        ValueError: an unknown layer or one that does not run once, heads that do not divide its width.
    """
    values, results = ([f"{layer}.{part}" for layer in layers] for part in (value, output))
    with looking(model, inputs):
        before, _ = outputs_of_layers(model, inputs, values + results)
        time, found = inputs.shape[1], {name: [] for name in results}
        features = {name: head_width(model, name, heads) for name in results}
        for first in range(0, time, min(features.values())):
            keys = range(first, min(first + min(features.values()), time))

            def plant(old: Tensor, width: int, keys=keys) -> Tensor:
                planted = torch.zeros(time, width, dtype=old.dtype, device=old.device)
                planted[list(keys), range(len(keys))] = 1
                return planted.repeat(1, old.shape[-1] // width).expand_as(old)

            def keep(name: str, keys=keys):
                return lambda x: found[name].append(x.detach().unflatten(-1, (heads, -1))[..., : len(keys)].mT)

            planting = {
                v: lambda old, width=features[r]: plant(old, width) for v, r in zip(values, results, strict=True)
            }
            restoring = {name: lambda _, name=name: before[name] for name in results}
            with rewrite(model, planting | restoring), watched_inputs(model, {name: keep(name) for name in results}):
                model(inputs)
    # [batch, queries, keys, heads] in pieces of keys.
    return torch.stack([torch.cat(found[name], 2).permute(0, 3, 1, 2) for name in results])


@checked
def induction_scores(
    patterns: Float[Tensor, "layers batch heads time time"], period: PositiveInt
) -> Float[Tensor, "layers heads batch"]:
    """Mean attention from a token to the one after its previous occurrence, in sequences that repeat with a period.

    Equation: eq-induction-score (Olsson et al. 2022, section "Model analysis table": prefix matching). In [0, 1]. Query t looks at key t − period + 1; the
    mean is over all queries whose token has stood before.

    >>> induction_scores(torch.eye(4).roll(-1, 1).expand(1, 1, 1, 4, 4), 2)  # each looks at the one before
    tensor([[[1.]]])

    Raises:
        TypeError: patterns that are not floating point, a period that is no int.
        ValueError: another number of axes, a period that the sequences do not exceed, rows that are no averages.
    """
    time = patterns.shape[-1]
    if period >= time:
        raise ValueError(f"period must be below the time {time}, or nothing repeats, got {period}")
    check_patterns(patterns)
    # Query t = period … time − 1 and key t − period + 1: the diagonal period − 1 below the main one, without its first entry.
    diagonal = patterns.diagonal(-(period - 1), dim1=-2, dim2=-1)[..., 1:]
    return diagonal.mean(-1).transpose(1, 2)
