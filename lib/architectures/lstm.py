"""Long short-term memory: a cell that is added to, and three gates that say how much."""

import torch
from torch import nn
from torch.nn import functional as F

from lib.core.boundary import checked

from .recurrent import Recurrent

__all__ = ["LSTM"]


class LSTM(Recurrent):
    """A cell ``cₜ = fₜ cₜ₋₁ + iₜ gₜ`` read through a gate, ``hₜ = oₜ tanh(cₜ)`` (Gers et al. 2000, section 3).

    Equation: eq-lstm

    Gates i, f, o are sigmoids and the candidate g a tanh of ``W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh``, whose rows stand in
    the order i, f, g, o. Hochreiter & Schmidhuber (1997) had no forget gate f. The state is the pair (h, c). The state
    dict is that of :class:`torch.nn.LSTM`, and so are outputs and states with ``batch_first=True``.

    >>> outputs, (hidden, cell) = LSTM(3, 4)(torch.zeros(2, 5, 3), torch.tensor([5, 2]))
    >>> outputs.shape, cell.shape
    (torch.Size([2, 5, 4]), torch.Size([1, 2, 4]))

    Raises:
        TypeError: sizes that are not ints; integer inputs, lengths that are not int64, a state of another dtype or kind.
        ValueError: sizes below 1; other features, lengths below 1 or beyond the
            padding, a state of another size.
    """

    gates, parts = 4, 2

    def step(self, projected, state, weight, bias):
        hidden, cell = state
        i, f, g, o = (projected + F.linear(hidden, weight, bias)).chunk(4, -1)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(cell), cell

    @checked
    @torch.no_grad()
    def set_forget_bias(self, value: float = 1.0) -> None:
        """Let the forget gates begin with this bias, open with 1 (Jozefowicz et al. 2015), and no second one.

        Raises:
            TypeError: no number.
            ValueError: a number that is not finite, a network without biases.
        """
        if not self.bias:
            raise ValueError("a forget bias needs a network with bias=True, got bias=False")
        for name, parameter in self.named_parameters():
            if name.startswith("bias"):
                nn.init.constant_(parameter.chunk(4)[1], value if name.startswith("bias_ih") else 0.0)
