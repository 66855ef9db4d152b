"""Which number of a model's output is explained, attacked or probed."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from .validation import check_finite, check_indices, check_rank

__all__ = ["target_classes", "target_score"]


def target_classes(target: int | Int64[Tensor, " batch"], batch: int, device: torch.device) -> Int64[Tensor, " batch"]:
    """Return one class index for each example: a single ``int`` is shared by the whole batch.

    Raises:
        TypeError: neither an int nor a tensor of int64.
        ValueError: a tensor that is not one index for each example.
    """
    if isinstance(target, Tensor):
        if target.dtype != torch.int64:
            raise TypeError(f"target must hold class indices as int64, got {target.dtype}")
        if target.shape != (batch,):
            raise ValueError(
                f"target must give one class for each of the {batch} examples, got shape {tuple(target.shape)}"
            )
        return target.to(device)
    if isinstance(target, bool) or not isinstance(target, int):
        raise TypeError(f"target must be an int or a tensor of class indices, got {type(target).__name__} {target!r}")
    return torch.full((batch,), target, dtype=torch.int64, device=device)


def target_score(
    outputs: Float[Tensor, "batch classes"], target: int | Int64[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Pick the scalar that is explained: the output of one class for each example.

    ``score[b] = outputs[b, target[b]]``. The outputs are taken as they are. A classifier returns logits,
    and a logit says more than its probability, which saturates near 0 and 1; a regression returns one
    column, explained with target 0.

    Raises:
        TypeError: outputs that are no floating-point tensor, or a target that is no class index.
        ValueError: outputs of another rank, a target of the wrong length or outside the classes, a score
            that is NaN or infinite.
    """
    check_rank("the model's output", outputs, "batch classes")
    if not outputs.is_floating_point():
        raise TypeError(f"the model's output must be floating point, got {outputs.dtype}")
    classes = outputs.shape[1]
    target = target_classes(target, len(outputs), outputs.device)
    check_indices("target", target, classes, f"the {classes} classes")
    scores = outputs.gather(1, target[:, None]).squeeze(1)
    check_finite("the explained score", scores)
    return scores
