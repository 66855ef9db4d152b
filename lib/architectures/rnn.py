"""The simple recurrent network: the new state is read from the input and from the old state."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from lib.core.boundary import checked
from lib.core.rules import PositiveInt

from .dense import Linear
from .recurrent import Recurrent

__all__ = ["RNN", "JordanRNN"]


class RNN(Recurrent):
    """Elman's network, ``hₜ = tanh(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh)`` (Elman 1990, figure 2).

    Equation: eq-elman

    The state dict is that of :class:`torch.nn.RNN`, and so are outputs and states with ``batch_first=True``.

    >>> outputs, state = RNN(3, 4)(torch.zeros(2, 5, 3), torch.tensor([5, 2]))
    >>> outputs.shape, state.shape
    (torch.Size([2, 5, 4]), torch.Size([1, 2, 4]))

    Raises:
        TypeError: sizes that are not ints; integer inputs, lengths that are not int64, a state of another dtype or kind.
        ValueError: sizes below 1, another nonlinearity; other features, lengths below 1 or beyond the
            padding, a state of another size.
    """

    gates = 1

    @checked
    def __init__(
        self,
        in_features: PositiveInt,
        hidden: PositiveInt,
        *,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        **options,
    ) -> None:
        super().__init__(in_features, hidden, **options)
        self.nonlinearity = nonlinearity

    def step(self, projected, state, weight, bias):
        pre = projected + F.linear(state[0], weight, bias)
        return (torch.tanh(pre) if self.nonlinearity == "tanh" else torch.relu(pre),)


class JordanRNN(nn.Module):
    """A network that remembers what it answered: ``hₜ = tanh(W xₜ + U yₜ₋₁)``, ``yₜ = V hₜ`` (Jordan 1986).

    Its state is its output, so that it can only keep what its answer shows. Each map has a bias.

    Equation: eq-jordan

    >>> JordanRNN(3, 4, 2)(torch.zeros(1, 5, 3)).shape
    torch.Size([1, 5, 2])

    Raises:
        TypeError: sizes that are not ints, an integer input.
        ValueError: sizes below 1, other features.
    """

    @checked
    def __init__(self, in_features: PositiveInt, hidden: PositiveInt, out_features: PositiveInt) -> None:
        super().__init__()
        self.input = Linear(in_features, hidden)
        self.feedback = Linear(out_features, hidden)
        self.output = Linear(hidden, out_features)

    @checked
    def forward(self, x: Float[Tensor, "batch time features"]) -> Float[Tensor, "batch time out"]:
        y = x.new_zeros(len(x), self.output.weight.shape[0])
        answers = []
        for projected in self.input(x).unbind(1):
            y = self.output(torch.tanh(projected + self.feedback(y)))
            answers.append(y)
        return torch.stack(answers, 1)
