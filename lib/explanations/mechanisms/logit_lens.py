"""The logit lens: what the model's own head reads in the state after each layer."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .runs import check_positions, looking, outputs_of_layers

__all__ = ["logit_lens"]


def logit_lens(
    model: nn.Module,
    inputs: Tensor,
    layers: Sequence[str],
    *,
    position: int = -1,
    norm: str = "norm",
    head: str = "head",
) -> Float[Tensor, "layers batch vocabulary"]:
    """Give the states after named layers to the model's last norm and head, as if no layer followed.

    Equation: eq-logit-lens (nostalgebraist 2020). ``position`` picks the state of one position. The norm is computed anew for each
    state: its scale is that state's own, not the last one's, which would make early layers look uniform. After the
    last layer the lens gives the model's logits.

    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Identity(), nn.Linear(2, 5))
    >>> inputs = torch.zeros(1, 3, 2)
    >>> torch.equal(logit_lens(model, inputs, ["0"], norm="1", head="2")[0], model(inputs)[:, -1])
    True

    Raises:
        TypeError: not a module, no tensor, a position that is no int.
        ValueError: an unknown layer, norm or head, a layer that does not run once, a position outside.
    """
    with looking(model, inputs):
        check_positions([position], inputs.shape[1])
        modules = dict(model.named_modules())
        for name in (norm, head):
            if name not in modules:
                raise ValueError(f"norm and head must name modules of the model, got {name!r}; it has {list(modules)}")
        states, _ = outputs_of_layers(model, inputs, layers)
        return torch.stack([modules[head](modules[norm](states[name][:, position])) for name in layers])
