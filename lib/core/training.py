"""One training loop for the whole book: shuffled mini-batches, a history, a bar while it runs."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from .boundary import checked
from .hooks import module_mode
from .rules import PositiveFloat, PositiveInt
from .targets import IGNORED, check_labels

__all__ = ["Evaluation", "History", "evaluate", "train"]

Batches = Iterable[tuple[Tensor, Tensor]]  # pairs of inputs and labels, gone through once an epoch
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass
class History:
    """What training recorded: one entry an epoch. Losses in nats per example, accuracies in [0, 1]."""

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Evaluation:
    """How a model does on labelled examples: mean loss (of a classifier in nats), accuracy in [0, 1], all outputs."""

    loss: float
    accuracy: float
    logits: Float[Tensor, "examples ..."]


@checked
def train(
    model: nn.Module,
    inputs: Shaped[Tensor, "examples ..."] | Batches,
    labels: Shaped[Tensor, "examples ..."] | None = None,
    *,
    epochs: PositiveInt,
    generator: torch.Generator | None = None,
    batch_size: PositiveInt | None = None,
    learning_rate: PositiveFloat | None = None,
    validation: tuple[Tensor, Tensor] | Batches | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    loss: Loss | None = None,
    progress: bool = True,
) -> History:
    """Minimise ``loss(model(inputs), labels)`` by mini-batches of 64, which ``generator`` reshuffles each epoch.

    A list or loader of batches may stand for inputs and labels. Unless given, the loss is the mean cross-entropy
    over labels other than −100, and the optimizer Adam (Kingma & Ba 2015, algorithm 1) at rate 1e-3. What is
    recorded are running means. Modules in evaluation mode inside a model in training mode stay frozen; all modes
    are afterwards as before. Two calls with the same optimizer and generator are one longer call, also when their
    states (and torch's, if the model draws random numbers) were saved in between.

    >>> x, y = torch.eye(2), torch.tensor([0, 1])
    >>> history = train(nn.Linear(2, 2), x, y, epochs=3, generator=torch.Generator(), progress=False)
    >>> len(history.train_loss)
    3

    Raises:
        TypeError: arguments of another kind; no generator to shuffle tensors with.
        ValueError: labels against the rule of the cross-entropy, arguments in conflict, an optimizer of another
            model, a last batch of one that a layer cannot take, a loss that is not finite.
    """
    batches = _batches(inputs, labels, batch_size or 64, generator, shuffle=True)
    if not isinstance(inputs, Tensor) and (batch_size or generator):
        raise ValueError("batches come cut and shuffled: batch_size and generator must be left out beside them")
    held_out = None if validation is None else validation if _is_pair(validation) else (validation,)
    if held_out:
        _batches(
            *held_out, *[None] * (2 - len(held_out)), 1, None, shuffle=False
        )  # a wrong one is told before the work
    optimizer = _optimizer(model, optimizer, learning_rate, loss)
    history = History()
    # Left out rather than False, so that the environment variable TQDM_DISABLE still counts.
    silence = {} if progress else {"disable": True}
    with (
        module_mode(model, training=True),
        torch.inference_mode(False),
        torch.enable_grad(),  # also for a caller who has switched them off
        tqdm(total=epochs, unit="epoch", **silence) as bar,
    ):
        if isinstance(inputs, Tensor) and len(inputs) % (batch_size or 64) == 1:
            _check_batch_of_one(model, inputs[:1])
        for epoch in range(1, epochs + 1):
            loss_sum, correct, seen = 0.0, 0.0, 0
            for step, (x, y) in enumerate(batches(), start=1):
                mean, hits, counted = _score(model(x), y, loss)
                if not torch.isfinite(mean):
                    raise ValueError(
                        f"loss became {mean.item()} in epoch {epoch}, step {step}; it must stay finite: "
                        "lower the learning rate or look for non-finite inputs"
                    )
                optimizer.zero_grad()
                mean.backward()
                optimizer.step()
                loss_sum, correct, seen = loss_sum + mean.item() * counted, correct + hits, seen + counted
            if not seen:
                raise ValueError(f"batches must hold a label that counts, got none in epoch {epoch}")
            history.train_loss.append(loss_sum / seen)
            history.train_accuracy.append(correct / seen)
            if held_out:
                result = evaluate(model, *held_out, loss=loss)
                history.validation_loss.append(result.loss)
                history.validation_accuracy.append(result.accuracy)
            bar.update()
            bar.set_postfix(loss=f"{history.train_loss[-1]:.3f}")
    return history


@checked
@torch.no_grad()
def evaluate(
    model: nn.Module,
    inputs: Shaped[Tensor, "examples ..."] | Batches,
    labels: Shaped[Tensor, "examples ..."] | None = None,
    *,
    batch_size: PositiveInt = 256,
    loss: Loss | None = None,
) -> Evaluation:
    """Mean loss (cross-entropy unless given), accuracy and all outputs of a model, in evaluation mode.

    Labels of −100 do not count; where nothing is counted or a loss of one's own knows no classes, the accuracy is
    NaN. The mode is afterwards as before, also after an error.

    >>> evaluate(nn.Identity(), torch.eye(2), torch.tensor([0, 1])).accuracy
    1.0

    Raises:
        TypeError: arguments of another kind.
        ValueError: labels against the rule of the cross-entropy, outputs that are NaN, no batches.
    """
    batches = _batches(inputs, labels, batch_size, None, shuffle=False)
    with module_mode(model, training=False):
        pairs = [(model(x), y) for x, y in batches()]
    if not pairs:
        raise ValueError("batches must hold at least one pair of inputs and labels, got none")
    outputs, labels = (torch.cat(part) for part in zip(*pairs, strict=True))
    if outputs.isnan().any():
        raise ValueError(f"the model's outputs must not be NaN, got {int(outputs.isnan().sum())} such numbers")
    mean, hits, counted = _score(outputs, labels, loss)
    return Evaluation(loss=mean.item(), accuracy=hits / counted if counted else math.nan, logits=outputs)


def _batches(
    inputs: Tensor | Batches, labels: Tensor | None, size: int, generator: torch.Generator | None, *, shuffle: bool
) -> Callable[[], Iterator[tuple[Tensor, Tensor]]]:
    """Return what goes through the data once, in a new order each time where they are to be shuffled."""
    if isinstance(inputs, Tensor) != isinstance(labels, Tensor):
        raise TypeError("inputs and labels must both be tensors, or labels left out beside batches of (inputs, labels)")
    if not isinstance(inputs, Tensor):
        return lambda: map(_pair, inputs)
    if len(inputs) != len(labels):
        raise ValueError(f"inputs and labels must agree on examples, got {len(inputs)} and {len(labels)}")
    if not shuffle:
        return lambda: zip(inputs.split(size), labels.split(size), strict=True)
    if generator is None:
        raise TypeError("generator must be a torch.Generator, which shuffles the examples, got None")

    def shuffled() -> Iterator[tuple[Tensor, Tensor]]:
        # The generator is the CPU's in most programs; indices go where the data live.
        order = torch.randperm(len(inputs), generator=generator, device=generator.device)
        for rows in order.to(inputs.device).split(size):
            yield inputs[rows], labels[rows]

    return shuffled


def _pair(batch: object) -> tuple[Tensor, Tensor]:
    if not _is_pair(batch):
        raise TypeError(f"each batch must be a pair of tensors (inputs, labels), got {type(batch).__name__}")
    return batch


def _is_pair(data: object) -> bool:
    return isinstance(data, tuple | list) and len(data) == 2 and all(isinstance(part, Tensor) for part in data)


def _optimizer(
    model: nn.Module, optimizer: torch.optim.Optimizer | None, learning_rate: float | None, loss: Loss | None
) -> torch.optim.Optimizer:
    owned = [*model.parameters(), *(loss.parameters() if isinstance(loss, nn.Module) else ())]
    if not any(parameter.requires_grad for parameter in owned):
        raise ValueError("the model must have a parameter that requires a gradient, got none")
    if optimizer is None:
        return torch.optim.Adam(owned, lr=1e-3 if learning_rate is None else learning_rate)
    if learning_rate is not None:
        raise ValueError(
            f"the optimizer has its own learning rate: give one of the two, got learning_rate={learning_rate} too"
        )
    ids = set(map(id, owned))
    for parameter in (parameter for group in optimizer.param_groups for parameter in group["params"]):
        if id(parameter) not in ids:
            raise ValueError(
                f"the optimizer must hold parameters of this model, got another one, of shape {tuple(parameter.shape)}"
            )
    return optimizer


def _check_batch_of_one(model: nn.Module, example: Tensor) -> None:
    """Try the single example that the last batch will be, on copies of what a model keeps count in."""
    if not any(hasattr(module, "running_mean") and module.training for module in model.modules()):
        return
    counts = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        with torch.no_grad(), torch.random.fork_rng():
            torch.func.functional_call(model, counts, (example,))
    except ValueError as error:
        raise ValueError(
            f"the last batch would hold one example, which a layer cannot take; change batch_size: {error}"
        ) from error


def _score(outputs: Tensor, labels: Tensor, loss: Loss | None) -> tuple[Tensor, float, int]:
    """Mean loss, how many answers are right, and of how many."""
    if loss is None:
        check_labels(outputs, labels)
        if labels.is_floating_point():  # the right answer is the most probable class
            return F.cross_entropy(outputs, labels), (outputs.argmax(1) == labels.argmax(1)).sum().item(), len(labels)
        counted = int((labels != IGNORED).sum())
        mean = F.cross_entropy(outputs, labels) if counted else 0.0 * outputs.sum()
        return mean, (outputs.argmax(1) == labels).sum().item(), counted
    mean = loss(outputs, labels)
    if not isinstance(mean, Tensor) or mean.numel() != 1:
        received = f"shape {tuple(mean.shape)}" if isinstance(mean, Tensor) else type(mean).__name__
        raise ValueError(f"loss must return one number for a batch, got {received}")
    if labels.dtype != torch.int64 or labels.shape != outputs.shape[:-1]:
        return mean, math.nan, len(labels)
    right = (outputs.argmax(-1) == labels)[labels != IGNORED].double()
    return mean, right.mean().item() * len(labels), len(labels)
