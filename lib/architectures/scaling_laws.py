"""How the loss falls with parameters and text, and how a budget of compute is divided between the two."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.core.boundary import checked
from lib.core.rules import PositiveFloat

from .transformer import Transformer

__all__ = ["LossSurface", "ParameterCounts", "PowerLaw", "count_parameters", "fit_power_law", "training_flops"]


@dataclass(frozen=True)
class ParameterCounts:
    """Three answers to "how many parameters": ``blocks`` alone, those that ``multiply`` a token's features, ``all`` of them."""

    blocks: int
    multiply: int
    all: int


@checked
def count_parameters(model: Transformer) -> ParameterCounts:
    """Count a Transformer's parameters: without tables and head; with the head; with tables, a tied one once.

    Kaplan et al. 2020 count the blocks, Hoffmann et al. 2022 all. A table is read and not multiplied by, so its
    lookup costs no arithmetic, while the head costs as much as any other matrix; a tied table is a head too.

    >>> from lib.architectures import TransformerConfig
    >>> config = TransformerConfig(layers=1, width=2, heads=1, vocabulary=10, context=4, tied=True)
    >>> count_parameters(Transformer(config))
    ParameterCounts(blocks=74, multiply=94, all=106)
    """
    blocks = sum(parameter.numel() for parameter in model.blocks.parameters())
    head = sum(parameter.numel() for parameter in model.head.parameters())
    return ParameterCounts(blocks, blocks + head, sum(parameter.numel() for parameter in model.parameters()))


@checked
def training_flops(parameters: PositiveFloat, tokens: PositiveFloat) -> float:
    """6 N D: floating-point operations of training N parameters on D tokens.

    Equation: eq-training-flops. Kaplan et al. 2020, section 2.1. Forward, a parameter costs a token one product and
    one sum; backward twice that, once for the gradient of the weights and once for that of the input. What attention
    adds by scores and weighted sums, 12 · layers · width · context a token, is left out.

    >>> training_flops(70e9, 1.4e12)
    5.88e+23

    Raises:
        TypeError, ValueError: a number that is not positive and finite.
    """
    return 6.0 * parameters * tokens


@checked
@dataclass(frozen=True)
class PowerLaw:
    """L = c · x^−α. ``exponent`` is α, ``coefficient`` c, the loss at x = 1."""

    exponent: float
    coefficient: float

    def __call__(self, x: float | Sequence[float] | np.ndarray) -> np.ndarray:
        """The loss that the law says for ``x``."""
        return self.coefficient * np.asarray(x, dtype=float) ** -self.exponent


@checked
def fit_power_law(x: Sequence[float] | np.ndarray, losses: Sequence[float] | np.ndarray) -> PowerLaw:
    """The straight line through log x and log loss, by least squares.

    Equation: eq-power-law. Kaplan et al. 2020, equation 1.1. Sizes count alike, whatever lies between them.

    >>> round(fit_power_law([1, 10, 100], [8.0, 4.0, 2.0]).exponent, 4)
    0.301

    Raises:
        ValueError: fewer than two sizes, another number of losses, a number that is not positive and finite.
    """
    x, losses = np.asarray(x, dtype=float), np.asarray(losses, dtype=float)
    if x.ndim != 1 or x.shape != losses.shape:
        raise ValueError(f"x and losses must be two rows of equal length, got shapes {x.shape} and {losses.shape}")
    if len(np.unique(x)) < 2:
        raise ValueError(f"x must hold at least two different sizes, got {x.tolist()}")
    for name, numbers in (("x", x), ("losses", losses)):
        if not (np.isfinite(numbers).all() and (numbers > 0).all()):
            raise ValueError(f"{name} must be positive and finite, got {numbers.tolist()}")
    slope, height = np.polyfit(np.log(x), np.log(losses), 1)
    return PowerLaw(exponent=float(-slope), coefficient=float(np.exp(height)))


@checked
@dataclass(frozen=True)
class LossSurface:
    """L(N, D) = E + A / N^α + B / D^β, in nats a token, for N parameters and D tokens.

    Equation: eq-loss-surface. Hoffmann et al. 2022, equation 2. ``floor`` is E, ``parameters`` the pair (A, α),
    ``tokens`` the pair (B, β).

    >>> surface = LossSurface(floor=1.69, parameters=(406.4, 0.34), tokens=(410.7, 0.28))
    >>> round(surface.loss(70e9, 1.4e12), 2)
    1.94

    Raises:
        ValueError: A, α, B or β that is not positive and finite.
    """

    floor: float
    parameters: tuple[PositiveFloat, PositiveFloat]
    tokens: tuple[PositiveFloat, PositiveFloat]

    @checked
    def loss(self, parameters: PositiveFloat, tokens: PositiveFloat) -> float:
        """The loss after training ``parameters`` on ``tokens``."""
        (a, alpha), (b, beta) = self.parameters, self.tokens
        return self.floor + a / parameters**alpha + b / tokens**beta

    @checked
    def allocation(self, flops: PositiveFloat) -> tuple[float, float]:
        """Parameters N and tokens D with the least loss of all that cost 6 N D = ``flops``.

        Equation: eq-compute-optimal. Hoffmann et al. 2022, equation 4. There a per cent more parameters, for a per
        cent fewer tokens, would change nothing: α A / N^α = β B / D^β.
        """
        (a, alpha), (b, beta) = self.parameters, self.tokens
        balance = (alpha * a / (beta * b)) ** (1 / (alpha + beta))
        parameters = balance * (flops / 6) ** (beta / (alpha + beta))
        return parameters, flops / 6 / parameters
