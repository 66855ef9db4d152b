"""Probing: can a linear map read a label off a model's states, and more than the map could learn by heart?"""

from collections import Counter, defaultdict
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from lib.core.boundary import checked
from lib.core.rules import PositiveFloat
from lib.core.validation import check_finite

__all__ = ["LinearProbe", "control_labels", "linear_probe", "lookup_labels"]


@dataclass(frozen=True)
class LinearProbe:
    """A linear classifier of states: ``W (states − mean) / deviation + bias``."""

    weight: Float[Tensor, "classes width"]
    bias: Float[Tensor, " classes"]
    mean: Float[Tensor, " width"]
    deviation: Float[Tensor, " width"]

    @checked
    def __call__(self, states: Float[Tensor, "*leading width"]) -> Int64[Tensor, "*leading"]:
        """The most probable label of each state."""
        return F.linear((states - self.mean) / self.deviation, self.weight, self.bias).argmax(-1)


@checked
def linear_probe(
    states: Float[Tensor, "examples width"],
    labels: Int64[Tensor, " examples"],
    *,
    penalty: PositiveFloat,
    standardise: bool = True,
) -> LinearProbe:
    """Fit the probe of least mean cross-entropy (nats) plus ``penalty / 2 · ‖W‖²``, the optimum of which is unique.

    Alain & Bengio 2017, section 3. Features are standardised first, so that the penalty treats them alike; without, a
    deviation of 1 stands for each. Classes are 0 … the largest label. No random numbers: the optimum is found by L-BFGS from zero. What the probe reads is
    there to be read; whether the model uses it is another question.

    >>> probe = linear_probe(torch.tensor([[0.0], [1.0], [4.0], [5.0]]), torch.tensor([0, 0, 1, 1]), penalty=0.01)
    >>> probe(torch.tensor([[0.5], [4.5]]))
    tensor([0, 1])

    Raises:
        TypeError: states that are not floating point, labels that are not int64.
        ValueError: fewer than two classes, negative labels, NaN, numbers that disagree, a penalty that is not positive.
    """
    check_finite("states", states)
    if labels.min() < 0 or len(labels.unique()) < 2:
        raise ValueError(f"labels must be of at least two classes from 0, got {labels.unique().tolist()}")
    states = states.detach()
    mean, deviation = states.mean(0), states.std(0, correction=0)
    # A constant feature says nothing, at any scale.
    deviation = torch.where(deviation > 0, deviation, 1) if standardise else torch.ones_like(deviation)
    x, classes = (states - mean) / deviation, int(labels.max()) + 1
    with torch.inference_mode(False), torch.enable_grad():
        weight = torch.zeros(classes, x.shape[1], dtype=x.dtype, device=x.device, requires_grad=True)
        bias = torch.zeros(classes, dtype=x.dtype, device=x.device, requires_grad=True)
        optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(F.linear(x, weight, bias), labels) + penalty / 2 * weight.square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
    return LinearProbe(weight.detach(), bias.detach(), mean, deviation)


@checked
def control_labels(
    types: Int64[Tensor, " examples"], labels: Int64[Tensor, " examples"], *, generator: torch.Generator
) -> Int64[Tensor, " examples"]:
    """Give each type of token one label at random, as frequent as among ``labels`` (Hewitt & Liang 2019, section 2.1).

    Such labels can only be learnt by heart. The accuracy on the task less that on the control is the probe's
    selectivity.

    >>> control_labels(torch.tensor([5, 8, 5]), torch.tensor([1, 1, 1]), generator=torch.Generator())
    tensor([1, 1, 1])

    Raises:
        TypeError: types or labels that are not int64.
        ValueError: numbers of examples that disagree.
    """
    _, place = types.unique(return_inverse=True)
    drawn = torch.randint(len(labels), (int(place.max()) + 1,), generator=generator, device=labels.device)
    return labels[drawn][place]


@checked
def lookup_labels(
    types: Int64[Tensor, " known"], labels: Int64[Tensor, " known"], asked: Int64[Tensor, " asked"]
) -> Int64[Tensor, " asked"]:
    """Answer by a table: the label that a type of token had most often, the most frequent of all for a type never seen.

    What a probe does beyond this, it does not have from the token alone. Ties go to the smaller label.

    >>> lookup_labels(torch.tensor([7, 7, 7, 9]), torch.tensor([1, 1, 0, 0]), torch.tensor([7, 9, 8]))
    tensor([1, 0, 0])

    Raises:
        TypeError: types or labels that are not int64.
        ValueError: numbers of examples that disagree.
    """
    counts: defaultdict[int, Counter] = defaultdict(Counter)
    for token, label in zip(types.tolist(), labels.tolist(), strict=True):
        counts[token][label] += 1
    most = {token: min(seen, key=lambda label: (-seen[label], label)) for token, seen in counts.items()}
    overall = Counter(labels.tolist())
    default = min(overall, key=lambda label: (-overall[label], label))
    return torch.tensor([most.get(token, default) for token in asked.tolist()], device=labels.device)
