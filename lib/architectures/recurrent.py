"""What all recurrent networks share: one step after another, layers, two directions, sequences of different lengths."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from lib.core.boundary import checked
from lib.core.precision import autocast_dtype
from lib.core.rules import PositiveFloat, PositiveInt
from lib.core.validation import check_lengths, check_same_dtype

__all__ = ["Recurrent", "State"]

#: The hidden state of each layer and direction, ``[layers · directions, batch, hidden]``; of an LSTM a pair, with the cells.
State = Float[Tensor, "..."] | tuple[Float[Tensor, "..."], Float[Tensor, "..."]]


class Recurrent(nn.Module, ABC):
    """What an Elman network, an LSTM and a GRU have in common; each gives its own step.

    Sequences of different lengths are padded at their ends and come beside their
    lengths; what stands in the padding changes nothing, outputs there are zeros, the state is the one at each end,
    and the direction that runs backwards begins there. Names and order of the weights are those of torch's layers.

    Raises:
        TypeError: sizes that are not ints.
        ValueError: sizes below 1.
    """

    gates: ClassVar[int]  # how many blocks of rows a weight holds
    parts: ClassVar[int] = 1  # of the state

    @checked
    def __init__(
        self,
        in_features: PositiveInt,
        hidden: PositiveInt,
        *,
        layers: PositiveInt = 1,
        bidirectional: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.in_features, self.hidden, self.layers, self.bias = in_features, hidden, layers, bias
        self.directions = 2 if bidirectional else 1
        rows = self.gates * hidden
        for layer in range(layers):
            for suffix in self._suffixes(layer):
                columns = in_features if layer == 0 else hidden * self.directions
                shapes = {"weight_ih": (rows, columns), "weight_hh": (rows, hidden)}
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
                for name, shape in shapes.items():
                    self.register_parameter(name + suffix, nn.Parameter(torch.empty(shape)))
        self.reset_parameters()

    @abstractmethod
    def step(
        self, projected: Tensor, state: tuple[Tensor, ...], weight: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, ...]:
        """One step in time: the new state from ``W_ih x + b_ih`` and the old state; ``weight`` and ``bias`` are W_hh and b_hh."""

    def reset_parameters(self) -> None:
        """Draw weights and biases anew from U(−1/√hidden, 1/√hidden), in torch's order."""
        bound = 1 / math.sqrt(self.hidden)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    @checked
    def make_orthogonal(self, gain: PositiveFloat = 1.0) -> None:
        """Make each gate's square of W_hh ``gain`` times an orthogonal matrix (Saxe et al. 2014, section 3).

        An orthogonal matrix neither shortens nor lengthens what it is applied to, however often.

        Raises:
            TypeError: a gain that is no number.
            ValueError: a gain that is not positive and finite.
        """
        for name, weight in self.named_parameters():
            if name.startswith("weight_hh"):
                for square in weight.chunk(self.gates):
                    nn.init.orthogonal_(square, gain)

    @checked
    def forward(
        self,
        x: Float[Tensor, "batch time features"],
        lengths: Int64[Tensor, " batch"] | None = None,
        state: State | None = None,
        *,
        truncate: PositiveInt | None = None,
    ) -> tuple[Float[Tensor, "batch time out"], State]:
        """Read the sequences and return the last layer's states at all times, and all layers' states at the end.

        Both directions of a layer stand beside each other. The first state is 0 unless given. With ``truncate=k``
        gradients flow within stretches of k steps only (Williams & Peng 1990); values stay the same.

        Raises:
            TypeError: integer inputs, lengths that are not int64, a state of another dtype or kind.
            ValueError: other features, lengths below 1 or beyond the padding, a state of another size.
        """
        time = x.shape[1]
        if x.shape[2] != self.in_features:
            raise ValueError(f"x must have {self.in_features} features, got {x.shape[2]} in shape {tuple(x.shape)}")
        if autocast_dtype(x.device) is None:  # which would bring them to one dtype
            check_same_dtype(x=x, weights=self.weight_ih_l0)
        first = self._first_state(x, state)
        alive = None
        if lengths is not None:
            check_lengths("lengths", lengths, time)
            alive = torch.arange(time, device=x.device)[:, None, None] < lengths[:, None]  # time batch 1
        outputs, ends = x.transpose(0, 1), []
        for layer in range(self.layers):
            read = []
            for direction, suffix in enumerate(self._suffixes(layer)):
                # The other direction reads each sequence, without its padding, from its end.
                turned = outputs if direction == 0 else _reversed(outputs, lengths)
                begin = tuple(part[self.directions * layer + direction] for part in first)
                states, end = self._unrolled(turned, alive, begin, suffix, truncate)
                read.append(states if direction == 0 else _reversed(states, lengths))
                ends.append(end)
            outputs = torch.cat(read, -1)
        last = tuple(torch.stack(part) for part in zip(*ends, strict=True))
        return outputs.transpose(0, 1), last[0] if self.parts == 1 else last

    def _unrolled(
        self,
        x: Float[Tensor, "time batch features"],
        alive: Tensor | None,
        state: tuple[Tensor, ...],
        suffix: str,
        truncate: int | None,
    ) -> tuple[Float[Tensor, "time batch hidden"], tuple[Tensor, ...]]:
        """Take one layer through time in one direction."""
        weights = {
            name: getattr(self, name + suffix, None) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
        outputs = []
        # What depends on the input alone is one product for all times.
        for t, projected in enumerate(F.linear(x, weights["weight_ih"], weights["bias_ih"])):
            if truncate is not None and t and t % truncate == 0:
                state = tuple(part.detach() for part in state)
            new = self.step(projected, state, weights["weight_hh"], weights["bias_hh"])
            state = (
                new if alive is None else tuple(torch.where(alive[t], n, o) for n, o in zip(new, state, strict=True))
            )
            outputs.append(state[0])
        stacked = torch.stack(outputs)
        return (stacked if alive is None else stacked.masked_fill(~alive, 0)), state

    def _first_state(self, x: Tensor, state: State | None) -> tuple[Tensor, ...]:
        shape = (self.layers * self.directions, len(x), self.hidden)
        if state is None:
            return (x.new_zeros(shape),) * self.parts
        given = (state,) if isinstance(state, Tensor) else state
        if len(given) != self.parts:
            raise TypeError(
                f"state must be {'one tensor' if self.parts == 1 else 'a pair of tensors'}, got {len(given)}"
            )
        for part in given:
            if part.shape != shape:
                raise ValueError(
                    f"state must have shape {shape} (layers · directions, batch, hidden), got {tuple(part.shape)}"
                )
        return given

    def _suffixes(self, layer: int) -> Iterator[str]:
        return (f"_l{layer}{direction}" for direction in ("", "_reverse")[: self.directions])

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.hidden}, layers={self.layers}, bidirectional={self.directions == 2}"


def _reversed(x: Float[Tensor, "time batch features"], lengths: Tensor | None) -> Float[Tensor, "time batch features"]:
    """Turn each sequence round within its length; the padding stays at the end. Done twice, nothing has changed."""
    if lengths is None:
        return x.flip(0)
    t = torch.arange(len(x), device=x.device)[:, None]
    order = torch.where(t < lengths, lengths - 1 - t, t)  # time batch
    return x.gather(0, order[..., None].expand_as(x))
