"""Which number of a model's output is explained, attacked or probed, and which one it should have been."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64, Integer
from torch import Tensor

from .validation import check_finite, check_floating, check_indices, check_rank

__all__ = ["IGNORED", "Target", "check_labels", "check_outputs", "target_classes", "target_score"]

IGNORED = -100  # the label of what counts neither in the loss nor in the accuracy, as in torch

#: One class for all examples or one for each, in whatever form a caller has them.
Target = int | Sequence[int] | Integer[Tensor, ""] | Integer[Tensor, " batch"] | Integer[np.ndarray, "..."] | np.integer


def target_classes(target: Target, batch: int, device: torch.device) -> Int64[Tensor, " batch"]:
    """Return one class index for each example: a single index is shared by the whole batch.

    Raises:
        TypeError: neither integers nor a sequence, an array or a tensor of them.
        ValueError: neither one index nor one for each example.
    """
    try:
        classes = torch.as_tensor(target, device=device)
        if classes.layout is not torch.strided:
            classes = None
    except (TypeError, ValueError, RuntimeError, OverflowError):  # torch's errors differ with what it cannot read
        classes = None
    if classes is None or classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool:
        received = f"{type(target).__name__} {target!r}" if classes is None or not classes.ndim else classes.dtype
        raise TypeError(f"target must be a class index, or integers that give one for each example, got {received}")
    if classes.ndim and classes.shape != (batch,):
        raise ValueError(
            f"target must give one class for each of the {batch} examples, got shape {tuple(classes.shape)}"
        )
    return classes.long().expand(batch)


def check_outputs(outputs: Float[Tensor, "batch classes"], target: Int64[Tensor, " examples"]) -> None:
    """Require outputs of which every target is a class.

    Raises:
        TypeError: outputs that are no floating-point tensor.
        ValueError: outputs of another rank, a target outside the classes.
    """
    if isinstance(outputs, Tensor) and outputs.ndim == 1:
        raise ValueError(
            f"the model's output must have 2 axes (batch, classes), got 1 with shape {tuple(outputs.shape)}; a regression "
            "gives one column, outputs[:, None], which is explained with target 0"
        )
    check_rank("the model's output", outputs, "batch classes")
    check_floating("the model's output", outputs)
    check_indices("target", target, outputs.shape[1], f"the {outputs.shape[1]} classes")


def target_score(outputs: Float[Tensor, "batch classes"], target: Target) -> Float[Tensor, " batch"]:
    """Pick the scalar that is explained: the output of one class for each example.

    ``score[b] = outputs[b, target[b]]``. The outputs are taken as they are. A classifier returns logits,
    and a logit says more than its probability, which saturates near 0 and 1; a regression returns one
    column, explained with target 0.

    >>> target_score(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([2., 4.])

    Raises:
        TypeError: outputs that are no floating-point tensor, or a target that is no class index.
        ValueError: outputs of another rank, a target of the wrong length or outside the classes, a score
            that is NaN or infinite.
    """
    check_rank("the model's output", outputs, "batch classes")
    target = target_classes(target, len(outputs), outputs.device)
    check_outputs(outputs, target)
    scores = outputs.gather(1, target[:, None]).squeeze(1)
    check_finite("the explained score", scores)
    return scores


def check_labels(outputs: Tensor, labels: Tensor) -> None:
    """Hold labels to the rule of the cross-entropy: a class for each example, or its probabilities of all classes.

    Raises:
        ValueError: outputs that are no logits, labels of another shape, outside the classes, or no probabilities.
    """
    if not outputs.is_floating_point() or outputs.ndim != 2:
        raise ValueError(
            f"the model's outputs must be logits of shape (examples, classes), got {outputs.dtype} of shape "
            f"{tuple(outputs.shape)}; for others give a loss"
        )
    if labels.is_floating_point() and labels.shape == outputs.shape:
        if not ((labels >= 0).all() and ((labels.sum(1) - 1).abs() < 1e-3).all()):
            raise ValueError("labels that are probabilities must be at least 0 and sum to 1 in each row")
    elif labels.shape != outputs.shape[:1]:
        raise ValueError(
            f"labels must be {len(outputs)} class numbers, or probabilities of shape {tuple(outputs.shape)}, "
            f"got {labels.dtype} of shape {tuple(labels.shape)}"
        )
    else:
        check_indices("labels", labels, outputs.shape[1], f"the {outputs.shape[1]} classes", ignored=IGNORED)
