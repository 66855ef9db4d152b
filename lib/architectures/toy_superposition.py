"""A toy model of superposition: more features than dimensions."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.rules import PositiveFloat, PositiveInt, Share
from lib.core.validation import check_finite

__all__ = ["ToySuperposition", "train_toy_superposition"]


class ToySuperposition(nn.Module):
    """Squeeze n features into m dimensions and back: ``h = W x``, ``x̂ = ReLU(Wᵀ h + b)``, ``copies`` of it beside each other.

    Equation: eq-toy-superposition (Elhage et al. 2022, section "The ReLU output model"). ``W [copies, width, features]``: the column
    of a feature is its direction among the m dimensions. ``WᵀW`` has on its diagonal how well a feature is kept, beside
    it how much a feature leaks into another (interference).

    >>> ToySuperposition(5, 2, copies=3)(torch.rand(7, 3, 5)).shape
    torch.Size([7, 3, 5])

    Raises:
        TypeError: sizes that are not ints, features that are not floating point.
        ValueError: sizes below 1, inputs of another shape.
    """

    @checked
    def __init__(self, features: PositiveInt, width: PositiveInt, *, copies: PositiveInt = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(copies, width, features))
        self.bias = nn.Parameter(torch.zeros(copies, features))
        nn.init.xavier_normal_(self.weight)

    @checked
    def hidden(self, x: Float[Tensor, "batch copies features"]) -> Float[Tensor, "batch copies width"]:
        """The m numbers in which the features lie."""
        if x.shape[1:] != self.bias.shape:
            raise ValueError(f"x must be [batch, {', '.join(map(str, self.bias.shape))}], got shape {tuple(x.shape)}")
        return torch.einsum("cwf,bcf->bcw", self.weight, x)

    def forward(self, x: Float[Tensor, "batch copies features"]) -> Float[Tensor, "batch copies features"]:
        return torch.relu(torch.einsum("cwf,bcw->bcf", self.weight, self.hidden(x)) + self.bias)


@checked
def train_toy_superposition(
    model: ToySuperposition,
    *,
    presence: Share,
    importance: Float[Tensor, " features"],
    generator: torch.Generator,
    steps: PositiveInt,
    batch_size: PositiveInt = 512,
    rate: PositiveFloat = 0.01,
) -> Float[Tensor, " copies"]:
    """Minimise ``mean Σ_i I_i (x_i − x̂_i)²`` by Adam; each copy's mean loss over the last tenth of the steps.

    Each feature is uniform in [0, 1] with probability ``presence``, else 0, drawn anew for each copy and step. In the last
    half the rate falls to 0. The copies differ in their first weights and in what they see.

    >>> model = ToySuperposition(2, 1)
    >>> settings = dict(presence=1.0, importance=torch.ones(2), steps=5)
    >>> train_toy_superposition(model, generator=torch.Generator().manual_seed(0), **settings).shape
    torch.Size([1])

    Raises:
        TypeError: no generator, an importance that is not floating point.
        ValueError: a presence outside 0 … 1, an importance that is negative, NaN or not one a feature.
    """
    check_finite("importance", importance)
    if importance.shape != model.bias.shape[1:] or (importance < 0).any():
        raise ValueError(
            f"importance must be at least 0 for each of the {model.bias.shape[1]} features, got {importance.tolist()}"
        )
    losses = []
    with torch.inference_mode(False), torch.enable_grad():
        optimizer = torch.optim.Adam(model.parameters(), rate)
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = rate * min(1, 2 * (steps - step) / steps)
            draws = torch.rand(2, batch_size, *model.bias.shape, generator=generator, device=generator.device)
            x = (draws[0] * (draws[1] < presence)).to(model.weight)
            loss = (importance * (x - model(x)).square()).sum(-1).mean(0)
            optimizer.zero_grad()
            loss.sum().backward()
            optimizer.step()
            losses.append(loss.detach())
    return torch.stack(losses[-max(1, steps // 10) :]).mean(0)
