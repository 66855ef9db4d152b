"""One training loop for the whole book: shuffled mini-batches, a history, a bar while it runs."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from .hooks import module_mode
from .validation import check_not_empty, check_positive_int, check_same_length

__all__ = ["Evaluation", "History", "evaluate", "train"]


@dataclass
class History:
    """What training recorded: one entry an epoch. Losses in nats per example, accuracies in [0, 1]."""

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Evaluation:
    """How a classifier does on labelled examples: mean loss in nats, accuracy in [0, 1], all logits."""

    loss: float
    accuracy: float
    logits: Float[Tensor, "examples classes"]


def train(
    model: nn.Module,
    inputs: Float[Tensor, "examples ..."],
    labels: Int64[Tensor, " examples"],
    *,
    epochs: int,
    generator: torch.Generator,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    validation: tuple[Tensor, Tensor] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    progress: bool = True,
) -> History:
    """Minimise the mean cross-entropy of ``model(inputs)`` by mini-batches, reshuffled each epoch.

    The default optimizer is Adam (Kingma & Ba 2015, Algorithm 1). Training loss and accuracy are the
    running means over the epoch's batches, so they lag a little behind the model at its end. The
    model's train/eval mode is afterwards as before, also after an error.

    Raises:
        ValueError: no examples, lengths that differ, or a loss that is not finite (epoch and step named).
    """
    check_positive_int("epochs", epochs)
    check_positive_int("batch_size", batch_size)
    check_not_empty("inputs", inputs)
    check_same_length(inputs=inputs, labels=labels)
    if optimizer is None:
        optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    history = History()
    # Left out rather than False, so that the environment variable TQDM_DISABLE still counts.
    silence = {} if progress else {"disable": True}
    with module_mode(model, training=True), tqdm(total=epochs, unit="epoch", **silence) as bar:
        for epoch in range(1, epochs + 1):
            # The generator is the CPU's in most programs; indices go where the data live.
            order = torch.randperm(len(inputs), generator=generator, device=generator.device)
            loss_sum, correct = 0.0, 0
            for step, rows in enumerate(order.to(inputs.device).split(batch_size), start=1):
                logits = model(inputs[rows])
                loss = F.cross_entropy(logits, labels[rows])
                if not torch.isfinite(loss):
                    raise ValueError(
                        f"loss became {loss.item()} in epoch {epoch}, step {step}; it must stay finite: "
                        "lower the learning rate or look for non-finite inputs"
                    )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loss_sum += loss.item() * len(rows)
                correct += (logits.argmax(dim=1) == labels[rows]).sum().item()
            history.train_loss.append(loss_sum / len(inputs))
            history.train_accuracy.append(correct / len(inputs))
            if validation is not None:
                result = evaluate(model, *validation)
                history.validation_loss.append(result.loss)
                history.validation_accuracy.append(result.accuracy)
            bar.update()
            bar.set_postfix(loss=f"{history.train_loss[-1]:.3f}")
    return history


@torch.no_grad()
def evaluate(
    model: nn.Module,
    inputs: Float[Tensor, "examples ..."],
    labels: Int64[Tensor, " examples"],
    *,
    batch_size: int = 256,
) -> Evaluation:
    """Mean cross-entropy, accuracy and logits of a classifier, in evaluation mode.

    The mode is afterwards as before, also after an error.

    Raises:
        ValueError: no examples, or lengths that differ.
    """
    check_positive_int("batch_size", batch_size)
    check_not_empty("inputs", inputs)
    check_same_length(inputs=inputs, labels=labels)
    with module_mode(model, training=False):
        logits = torch.cat([model(batch) for batch in inputs.split(batch_size)])
    return Evaluation(
        loss=F.cross_entropy(logits, labels).item(),
        accuracy=(logits.argmax(dim=1) == labels).double().mean().item(),
        logits=logits,
    )
