"""The gated recurrent unit: one gate that forgets and lets in at once, and one that hides the state from the candidate."""

from typing import Literal

import torch
from torch.nn import functional as F

from lib.core.boundary import checked
from lib.core.rules import PositiveInt

from .recurrent import Recurrent

__all__ = ["GRU"]


class GRU(Recurrent):
    """``hₜ = (1 − zₜ) nₜ + zₜ hₜ₋₁``: what the update gate z does not keep is replaced (Cho et al. 2014, section 2.3).

    Equation: eq-gru

    Gates r, z are sigmoids of ``W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh`` in their rows; the rows stand in the order r, z, n.
    The candidate n is a tanh, in which the reset gate acts on W_hh h + b_hh with ``reset="after"``, as in torch, and
    on h itself with ``reset="before"``, as in the paper. The state dict is that of :class:`torch.nn.GRU`, and so are
    outputs and states with ``reset="after"`` and ``batch_first=True``.

    >>> outputs, state = GRU(3, 4)(torch.zeros(2, 5, 3), torch.tensor([5, 2]))
    >>> outputs.shape, state.shape
    (torch.Size([2, 5, 4]), torch.Size([1, 2, 4]))

    Raises:
        TypeError: sizes that are not ints; integer inputs, lengths that are not int64, a state of another dtype or kind.
        ValueError: sizes below 1, another place of the reset gate; other features, lengths below 1 or beyond the
            padding, a state of another size.
    """

    gates = 3

    @checked
    def __init__(
        self, in_features: PositiveInt, hidden: PositiveInt, *, reset: Literal["after", "before"] = "after", **options
    ) -> None:
        super().__init__(in_features, hidden, **options)
        self.reset = reset

    def step(self, projected, state, weight, bias):
        (hidden,) = state
        x_r, x_z, x_n = projected.chunk(3, -1)
        if self.reset == "after":
            h_r, h_z, h_n = F.linear(hidden, weight, bias).chunk(3, -1)
            r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
            n = torch.tanh(x_n + r * h_n)
        else:
            rows = 2 * self.hidden
            h_r, h_z = F.linear(hidden, weight[:rows], None if bias is None else bias[:rows]).chunk(2, -1)
            r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
            n = torch.tanh(x_n + F.linear(r * hidden, weight[rows:], None if bias is None else bias[rows:]))
        return (n + z * (hidden - n),)
