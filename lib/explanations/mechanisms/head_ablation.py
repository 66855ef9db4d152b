"""Ablation of attention heads: what the model does without what they add."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.hooks import rewrite_inputs
from lib.core.rules import PositiveInt

from .runs import head_width

__all__ = ["without_heads"]


@checked
@contextmanager
def without_heads(
    model: nn.Module,
    ablated: Mapping[str, Sequence[int]],
    *,
    heads: PositiveInt,
    by: Literal["zero", "mean"] = "zero",
    output: str = "output",
) -> Iterator[None]:
    """Inside the block, the results of some heads are 0, or their mean over the batch and all positions of the run.

    ``ablated`` gives attention modules by name and numbers of their heads; ``output`` is the name, inside them, of the map that takes
    the results of all ``heads`` beside each other. Zero is what no head need ever give; the mean keeps what a head adds
    everywhere and takes away what depends on the token. The hooks are removed at the end, also when the model raises.

    >>> model = nn.Sequential(nn.ModuleDict({"output": nn.Linear(4, 1, bias=False)}))
    >>> with without_heads(model, {"0": [1]}, heads=2):
    ...     without = model[0]["output"](torch.ones(1, 1, 4))
    >>> torch.equal(without, model[0]["output"](torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])))
    True

    Raises:
        TypeError: not a module, heads that are no ints.
        ValueError: an unknown layer, a number outside of the heads, heads that do not divide the width.
    """
    changes = {}
    for layer, numbers in ablated.items():
        for number in numbers:
            if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < heads:
                raise ValueError(f"ablated heads of {layer!r} must be ints in 0 … {heads - 1}, got {number!r}")
        changes[f"{layer}.{output}"] = _ablation(list(numbers), heads, by)
    with rewrite_inputs(model, changes):
        for name in changes:
            head_width(model, name, heads)
        yield


def _ablation(numbers: list[int], heads: int, by: str) -> Callable[[Tensor], Tensor]:
    def ablate(x: Tensor) -> Tensor:
        x = x.unflatten(-1, (heads, -1)).clone()
        x[..., numbers, :] = 0 if by == "zero" else x[..., numbers, :].mean((0, 1), keepdim=True)
        return x.flatten(-2)

    return ablate
