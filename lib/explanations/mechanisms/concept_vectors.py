"""Concept vectors: a direction in a layer for what example inputs share, and whether an answer rises along it."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.rules import PositiveFloat
from lib.core.targets import Target
from lib.core.validation import check_finite
from lib.explanations.calls import explaining, gradient_of

from .probing import linear_probe
from .runs import outputs_once

__all__ = ["ConceptVector", "concept_sensitivities", "concept_vector", "random_concept_test", "tcav_scores"]


@dataclass(frozen=True)
class ConceptVector:
    """A direction of length 1, and where along it the plane lies that parts the concept from the rest."""

    direction: Float[Tensor, " width"]
    offset: Float[Tensor, ""]

    def __call__(self, states: Float[Tensor, "*leading width"]) -> Bool[Tensor, "*leading"]:
        """Whether each state lies on the concept's side."""
        return states @ self.direction > self.offset


@checked
def concept_vector(
    concept: Float[Tensor, "examples width"],
    others: Float[Tensor, "others width"],
    *,
    fit: Literal["plane", "means"] = "plane",
    penalty: PositiveFloat = 1.0,
    standardise: bool = False,
) -> ConceptVector:
    """Fit a direction that leads from the states of other examples to those of the concept's.

    ``"plane"``: the normal of the plane that parts the sets, by `linear_probe` with its ``penalty`` (the concept activation
    vector of Kim et al. 2018, section 3.2). The states may be standardised for it; the normal, in their own coordinates,
    is then another one. ``"means"``: from the mean of one set to that of the other. A normal turns away from what the
    concept brings along with other variation (Haufe et al. 2014). A vector comes out of any two sets: see whether it
    parts examples that it was not fitted to.

    >>> concept_vector(torch.tensor([[3.0, 1.0], [3.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 0.0]])).direction
    tensor([1., 0.])

    Raises:
        TypeError: states that are not floating point.
        ValueError: an empty set, widths that differ, NaN, sets between which there is no direction.
    """
    for name, states in (("concept", concept), ("others", others)):
        check_finite(name, states)
    concept, others = concept.detach(), others.detach()
    if fit == "means":
        ends = concept.mean(0), others.mean(0)
        normal, middle = ends[0] - ends[1], (ends[0] + ends[1]) / 2
    else:
        labels = torch.cat([torch.zeros(len(others)), torch.ones(len(concept))]).long().to(concept.device)
        probe = linear_probe(torch.cat([others, concept]), labels, penalty=penalty, standardise=standardise)
        weight, bias = probe.weight[1] - probe.weight[0], probe.bias[1] - probe.bias[0]
        normal = weight / probe.deviation
        middle = probe.mean - normal * bias / normal.square().sum()
    length = normal.norm()
    if not length > 0:
        raise ValueError(
            f"concept and others must differ, got {len(concept)} and {len(others)} examples without a direction between them"
        )
    return ConceptVector(normal / length, middle @ normal / length)


def concept_sensitivities(
    model: nn.Module,
    inputs: Float[Tensor, "batch *features"],
    target: Target,
    *,
    layer: str,
    directions: Float[Tensor, "vectors width"],
) -> Float[Tensor, "vectors batch"]:
    """Slope of the target's score along each direction, at each input's state in a layer: ``S = ∇_h f_c · v``.

    Equation: eq-concept-sensitivity (Kim et al. 2018, equation 1). The layer's output is flattened to ``width``. One backward
    pass serves all directions. Units: score a unit of length in the layer.

    >>> model = nn.Sequential(nn.Identity(), nn.Linear(2, 1))
    >>> _ = model[1].weight.data.copy_(torch.tensor([[3.0, -4.0]]))
    >>> concept_sensitivities(model, torch.ones(1, 2), 0, layer="0", directions=torch.eye(2))
    tensor([[ 3.],
            [-4.]])

    Raises:
        TypeError: not a module, inputs or directions that are not floating point.
        ValueError: an unknown layer or one that does not run once or does not reach the score, directions of another
            width, none or NaN.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module to have layers by name, got {type(model).__name__}")
    gradients = []
    with explaining(model, inputs, target) as score:
        for rows in score.rows.split(score.chunk):
            with torch.enable_grad():
                points = (
                    score.inputs[rows].clone().requires_grad_()
                )  # so that the layer has a graph without weights, too
                seen, scores = outputs_once(lambda x, rows=rows: score.of(x, rows), points, [layer], of=score.model)
                states = seen[layer]
                if not isinstance(states, Tensor) or len(states) != len(rows):
                    got = tuple(states.shape) if isinstance(states, Tensor) else type(states).__name__
                    raise ValueError(f"layer {layer!r} must give one row for each of {len(rows)} examples, got {got}")
                gradients.append(gradient_of(scores, states, f"layer {layer!r}").flatten(1))
    gradient = torch.cat(gradients)
    if not isinstance(directions, Tensor) or not directions.is_floating_point():
        got = directions.dtype if isinstance(directions, Tensor) else type(directions).__name__
        raise TypeError(f"directions must be a floating-point tensor, got {got}")
    if directions.ndim != 2 or not len(directions) or directions.shape[1] != gradient.shape[1]:
        raise ValueError(
            f"directions must be [vectors, {gradient.shape[1]}] for layer {layer!r}, got shape {tuple(directions.shape)}"
        )
    check_finite("directions", directions)
    return directions.to(gradient) @ gradient.T


@checked
def tcav_scores(sensitivities: Float[Tensor, "*vectors inputs"]) -> Float[Tensor, "*vectors"]:
    """Share of the inputs whose score rises along the concept's direction: how often ``S > 0``.

    Equation: eq-tcav-score (Kim et al. 2018, equation 2). Of the slopes only the signs count: 1 says "for each input",
    not "much".

    >>> tcav_scores(torch.tensor([[0.1, -3.0, 2.0, 0.0]]))
    tensor([0.5000])

    Raises:
        TypeError: sensitivities that are not floating point.
        ValueError: no inputs, NaN.
    """
    check_finite("sensitivities", sensitivities)
    return (sensitivities > 0).to(sensitivities.dtype).mean(-1)


@checked
def random_concept_test(value: float | Float[Tensor, ""], random_values: Float[Tensor, " draws"]) -> float:
    """Two-sided p-value: how often a random concept's score or slope lies as far from the middle as this one does.

    A Monte Carlo test (Phipson & Smyth 2010): ``p = (1 + #{|r − m| ≥ |value − m|}) / (1 + draws)``, m the median of all,
    the value among them: with that of the random values alone, p would be a little too small. Its least value is
    ``1 / (1 + draws)``: 19 draws are the fewest that can give 0.05. It holds where the random sets are made as the
    concept's set was, equally large and against the same others.

    >>> random_concept_test(0.9, torch.linspace(0.4, 0.6, 19))
    0.05

    Raises:
        TypeError: a value that is no number, random values that are not floating point.
        ValueError: NaN, no draws.
    """
    check_finite("value", torch.as_tensor(value))
    check_finite("random_values", random_values)
    every = torch.cat([random_values, torch.as_tensor(value).to(random_values).reshape(1)])
    distances = (every - every.median()).abs()
    as_far = (distances[:-1] >= distances[-1]).sum().item()
    return (1 + as_far) / (1 + len(random_values))
