"""Distillation: a small model learns from the probabilities of a large one, beside the labels."""

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from lib.core.boundary import checked
from lib.core.hooks import module_mode
from lib.core.rules import PositiveFloat, PositiveInt, Share
from lib.core.targets import IGNORED
from lib.core.training import History, train
from lib.core.validation import check_finite, check_indices

__all__ = ["distil", "distillation_loss"]


@checked
def distillation_loss(
    student: Float[Tensor, "*batch classes"],
    teacher: Float[Tensor, "*batch classes"],
    labels: Int64[Tensor, "*batch"],
    *,
    temperature: PositiveFloat = 4.0,
    soft_share: Share = 0.9,
) -> Float[Tensor, ""]:
    """``(1 − λ)·CE(labels, p) + λ T²·KL(q_T ‖ p_T)``, in nats, the mean over all positions (Hinton et al. 2015, section 2).

    Equation: eq-distillation-loss

    p and q are the student's and the teacher's softmax, q_T and p_T those of logits / T, and λ is ``soft_share``. T²
    undoes the 1/T² by which a higher temperature shrinks the gradient. Positions labelled −100 do not count. No gradient
    goes to the teacher.

    >>> logits = torch.tensor([[2.0, 0.0, -1.0]])
    >>> distillation_loss(logits, logits, torch.tensor([0]), soft_share=1.0).item()
    0.0

    Raises:
        TypeError: arguments of another kind.
        ValueError: shapes that do not agree, a temperature that is not positive or so high that rounding hides the
            divergence, a share outside 0 … 1, labels that name no class or leave nothing to count, logits of the teacher
            that are not finite.
    """
    classes = student.shape[-1]
    check_indices("labels", labels, classes, "the classes", ignored=IGNORED)
    check_finite("teacher", teacher)
    counted = labels != IGNORED
    if not counted.any():
        raise ValueError(f"labels must hold one that counts, got {labels.numel()} of {IGNORED}")
    highest = (0.1 / torch.finfo(torch.promote_types(student.dtype, torch.float32)).eps) ** 0.5
    if temperature > highest:
        raise ValueError(
            f"temperature must be at most {highest:.3g} in {student.dtype}, beyond which T² KL is rounding, got {temperature}"
        )
    student, teacher, labels = student[counted], teacher[counted].detach(), labels[counted]
    soft = F.kl_div(
        F.log_softmax(student / temperature, -1),
        F.log_softmax(teacher / temperature, -1),
        reduction="batchmean",
        log_target=True,
    )
    return (1 - soft_share) * F.cross_entropy(student, labels) + soft_share * temperature**2 * soft


@checked
def distil(
    student: nn.Module,
    teacher: nn.Module,
    inputs: Shaped[Tensor, "examples ..."] | Iterable,
    labels: Int64[Tensor, "examples ..."] | None = None,
    *,
    epochs: PositiveInt,
    temperature: PositiveFloat = 4.0,
    soft_share: Share = 0.9,
    generator: torch.Generator | None = None,
    batch_size: PositiveInt | None = None,
    learning_rate: PositiveFloat | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    progress: bool = True,
) -> History:
    """Train a student by :func:`~lib.core.training.train` on :func:`~lib.compression.distillation.distillation_loss` beside its teacher.

    The teacher answers in evaluation mode: once for all inputs if these are a tensor, anew for each batch if they are
    batches of (inputs, labels). It stays as it is. The history holds losses; accuracies are NaN in it.

    >>> x, y = torch.eye(2), torch.tensor([0, 1])
    >>> options = {"epochs": 1, "generator": torch.Generator(), "progress": False}
    >>> len(distil(nn.Linear(2, 2), nn.Linear(2, 2), x, y, **options).train_loss)
    1

    Raises:
        TypeError: as :func:`~lib.core.training.train`.
        ValueError: as :func:`~lib.core.training.train` and :func:`~lib.compression.distillation.distillation_loss`; a student that is its teacher.
    """
    shared = {*student.parameters()} & {*teacher.parameters()}
    if shared:
        raise ValueError(f"student and teacher must share no parameter, got {len(shared)} in common")

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        answers, numbers = targets[..., :-1].to(outputs.dtype), targets[..., -1].long()
        return distillation_loss(outputs, answers, numbers, temperature=temperature, soft_share=soft_share)

    if isinstance(inputs, Tensor) and labels is not None:
        pairs = zip(inputs.split(256), labels.split(256), strict=True)
        targets = torch.cat([_targets(teacher, *pair) for pair in pairs])
        check_indices("labels", labels, targets.shape[-1] - 1, "the classes", ignored=IGNORED)
    else:
        inputs, targets = (inputs, labels) if isinstance(inputs, Tensor) else (_Answered(teacher, inputs), None)
    return train(
        student, inputs, targets, epochs=epochs, generator=generator, batch_size=batch_size,
        learning_rate=learning_rate, optimizer=optimizer, loss=loss, progress=progress,
    )  # fmt: skip


class _Answered:
    """Batches of (inputs, labels), gone through again and again, with the teacher's answers in the labels' place."""

    def __init__(self, teacher: nn.Module, batches: Iterable) -> None:
        self.teacher, self.batches = teacher, batches

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in self.batches:
            # What is no pair is left for the training loop to refuse.
            pair = isinstance(batch, tuple | list) and len(batch) == 2
            yield (batch[0], _targets(self.teacher, *batch)) if pair else batch


@torch.no_grad()
def _targets(teacher: nn.Module, inputs: Tensor, labels: Tensor) -> Float[Tensor, "*batch classes_and_label"]:
    """The teacher's logits, and behind them the label: one tensor, as the training loop takes it."""
    with module_mode(teacher, training=False):
        logits = teacher(inputs)
    return torch.cat([logits.float(), labels[..., None].float()], -1)
