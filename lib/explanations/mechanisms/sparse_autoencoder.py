"""A sparse autoencoder: states as sums of a few of many directions, which are learnt."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lib.core.boundary import checked
from lib.core.rules import NonNegativeInt, PositiveFloat, PositiveInt
from lib.core.sampling import fixed_seed
from lib.core.validation import check_finite

__all__ = ["SparseAutoencoder", "explained_variance", "train_sparse_autoencoder"]


class SparseAutoencoder(nn.Module):
    """States in, a few features out of many, and back: ``f = top_k(relu(E (x − centre) + bias))``, ``x̂ = centre + f D``.

    Equation: eq-sparse-autoencoder (Makhzani & Frey 2014, algorithm 1; Gao et al. 2024, section 2.3)

    Of each state's features the ``active`` largest stay, the others are 0. The rows of ``D``, the directions of the features,
    have length 1. ``E`` starts as ``D``.

    >>> (SparseAutoencoder(4, 16, active=2).encode(torch.randn(3, 4)) > 0).sum(1).max() <= 2
    tensor(True)

    Raises:
        TypeError: sizes that are not ints, states that are not floating point.
        ValueError: sizes below 1, more active features than there are, states of another width.
    """

    @checked
    def __init__(self, width: PositiveInt, features: PositiveInt, *, active: PositiveInt) -> None:
        super().__init__()
        if active > features:
            raise ValueError(f"active must be at most the {features} features, got {active}")
        self.active = active
        self.directions = nn.Parameter(F.normalize(torch.randn(features, width), dim=1))
        self.encoder = nn.Parameter(self.directions.detach().clone())
        self.bias = nn.Parameter(torch.zeros(features))
        self.register_buffer("centre", torch.zeros(width))

    @checked
    def encode(self, states: Float[Tensor, "*leading width"]) -> Float[Tensor, "*leading features"]:
        """How strongly each feature is on, at least 0."""
        if states.shape[-1] != len(self.centre):
            raise ValueError(f"states must have {len(self.centre)} features, got shape {tuple(states.shape)}")
        values, which = F.linear(states - self.centre, self.encoder, self.bias).topk(self.active)
        return states.new_zeros(*states.shape[:-1], len(self.bias)).scatter(-1, which, F.relu(values))

    @checked
    def decode(self, features: Float[Tensor, "*leading features"]) -> Float[Tensor, "*leading width"]:
        """The state that features stand for."""
        return self.centre + features @ self.directions

    def forward(self, states: Float[Tensor, "*leading width"]) -> Float[Tensor, "*leading width"]:
        return self.decode(self.encode(states))


@checked
def train_sparse_autoencoder(
    states: Float[Tensor, "examples width"],
    features: PositiveInt,
    *,
    active: PositiveInt,
    steps: PositiveInt,
    seed: NonNegativeInt,
    batch_size: PositiveInt = 256,
    rate: PositiveFloat = 2e-3,
    revive_every: PositiveInt = 50,
) -> SparseAutoencoder:
    """Minimise the mean of ``‖x − x̂‖²`` over batches by Adam; directions are kept at length 1.

    The centre is the states' mean. A feature that has not been on for ``revive_every`` steps gets the direction of what
    the reconstruction of a state lacks, drawn with the square of its error (Bricken et al. 2023, "Neuron
    resampling"), except in the last fifth; in the last 30 % the rate falls to 0. Scale the states first.

    >>> states = torch.randn(300, 4)
    >>> model = train_sparse_autoencoder(states, 8, active=2, steps=10, seed=0)
    >>> model.encode(states).shape
    torch.Size([300, 8])

    Raises:
        TypeError: states that are not floating point, sizes that are not ints.
        ValueError: sizes or a rate below their bounds, fewer states than a batch, NaN.
    """
    check_finite("states", states)
    if len(states) < batch_size:
        raise ValueError(f"states must fill a batch of {batch_size}, got {len(states)}")
    states = states.detach()
    with torch.inference_mode(False), torch.enable_grad(), fixed_seed(seed):
        model = SparseAutoencoder(states.shape[1], features, active=active).to(states)
        model.centre.copy_(states.mean(0))
        optimizer = torch.optim.Adam(model.parameters(), rate)
        idle = torch.zeros(features, dtype=torch.int64, device=states.device)  # steps since a feature was on
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = rate * min(1, (steps - step) / (0.3 * steps))
            x = states[torch.randint(len(states), (batch_size,))]
            f = model.encode(x)
            loss = (model.decode(f) - x).square().sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                model.directions.copy_(F.normalize(model.directions, dim=1))
                idle = torch.where((f > 0).any(0), 0, idle + 1)
                if (step + 1) % revive_every == 0 and step < 0.8 * steps:
                    _revive(
                        model, states[torch.randint(len(states), (8 * batch_size,))], idle >= revive_every, optimizer
                    )
    return model


@torch.no_grad()
def _revive(model: SparseAutoencoder, states: Tensor, dead: Tensor, optimizer: torch.optim.Adam) -> None:
    """Point dead features to what is missing, and forget what Adam knows of them."""
    if not dead.any():
        return
    missing = states - model(states)
    drawn = torch.multinomial(missing.square().sum(1).square() + 1e-12, int(dead.sum()), replacement=True)
    model.directions[dead] = F.normalize(missing[drawn], dim=1)
    model.encoder[dead] = model.directions[dead]
    model.bias[dead] = 0
    for parameter in model.parameters():
        for name in ("exp_avg", "exp_avg_sq"):
            optimizer.state[parameter][name][dead] = 0


@checked
def explained_variance(
    states: Float[Tensor, "examples width"], reconstructions: Float[Tensor, "examples width"]
) -> float:
    """The share of the states' total variance that reconstructions keep: ``1 − Σ‖x − x̂‖² / Σ‖x − mean‖²``.

    Sums run over states and features together. The mean over features of each one's share, which some
    libraries print under the same name, weighs features of little variance as much as others.

    >>> explained_variance(torch.tensor([[0.0], [2.0]]), torch.tensor([[0.5], [2.0]]))
    0.875

    Raises:
        TypeError: tensors that are not floating point.
        ValueError: shapes that disagree, states that are all equal.
    """
    total = (states - states.mean(0)).square().sum()
    if total == 0:
        raise ValueError(f"states must differ to have a variance, got {len(states)} equal ones")
    return 1 - ((states - reconstructions).square().sum() / total).item()
