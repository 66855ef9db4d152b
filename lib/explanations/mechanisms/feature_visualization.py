"""Feature visualization: an input made for a unit, by gradient ascent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.hooks import evaluation_mode
from lib.core.rules import NonNegativeInt, PositiveFloat, PositiveInt

from .unit_activations import activation_of

__all__ = ["FeatureVisualization", "feature_visualization"]


@dataclass(frozen=True)
class FeatureVisualization:
    """The input that was found, its activation, and the activation at each step on the way."""

    image: Float[Tensor, "*shape"]
    activation: float
    path: Float[Tensor, " steps"]


@checked
def feature_visualization(
    model: nn.Module,
    shape: Sequence[int],
    *,
    layer: str,
    unit: int | Tensor,
    norm: PositiveFloat,
    generator: torch.Generator,
    steps: PositiveInt = 200,
    rate: PositiveFloat = 0.05,
    parametrization: Literal["pixel", "fourier"] = "pixel",
    jitter: NonNegativeInt = 0,
    over: Literal["max", "mean"] = "max",
) -> FeatureVisualization:
    """Climb to ``argmax h_u(x)`` over inputs of one length, ``‖x‖ = norm``, from noise drawn by ``generator``.

    Equation: eq-feature-visualization (Erhan et al. 2009; Olah et al. 2017). What Adam moves are the entries of x, or the
    coefficients of its 2-d Fourier transform, each over its frequency, so that slow waves come first; the rate falls to 0.
    ``jitter`` rolls x along its last two axes by up to so many entries, anew at each step. Of a linear unit the optimum
    is its weight vector, scaled. ``shape`` is that of one example; unit, layer and ``over`` as in `unit_activations`.

    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(2, 1))
    >>> _ = model[1].weight.data.copy_(torch.tensor([[3.0, -4.0]]))
    >>> make = dict(layer="1", unit=0, norm=5.0, generator=torch.Generator().manual_seed(0))
    >>> feature_visualization(model, (1, 1, 2), **make).image.round()
    tensor([[[ 3., -4.]]])

    Raises:
        TypeError, ValueError: as `unit_activations`; a shape that has no two last axes to transform or roll, or a unit
            without a gradient at the first input, such as a ReLU that is off.
    """
    for size in shape:
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"shape must hold sizes of at least 1, got {tuple(shape)}")
    if not shape or (len(shape) < 2 and (parametrization == "fourier" or jitter)):
        raise ValueError(f"shape must have two axes for waves and jitter, and one in any case, got {tuple(shape)}")
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(()))
    start = torch.randn(tuple(shape), generator=generator, device=generator.device).to(like)
    # The model's weights ask for no gradients here: only the input does, which is a leaf of its own.
    with evaluation_mode(model), torch.inference_mode(False), torch.enable_grad():
        if parametrization == "fourier":
            scale = _over_frequency(*shape[-2:]).to(start)
            moved = torch.view_as_real(torch.fft.rfft2(start)).clone().requires_grad_()
        else:
            moved = start.clone().requires_grad_()

        def image() -> Tensor:
            x = moved
            if parametrization == "fourier":
                x = torch.fft.irfft2(torch.view_as_complex(moved) * scale, s=tuple(shape[-2:]))
            return norm * x / x.norm()

        optimizer, path = torch.optim.Adam([moved], rate * moved.detach().square().mean().sqrt().item()), []
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
        for step in range(steps):
            x = image()
            if jitter:
                shift = torch.randint(-jitter, jitter + 1, (2,), generator=generator, device=generator.device)
                x = x.roll(shift.tolist(), (-2, -1))
            activation = activation_of(model, x[None], layer, unit, over).squeeze(0)
            gradient = (
                torch.autograd.grad(activation, moved, allow_unused=True)[0] if activation.requires_grad else None
            )
            if gradient is None or (step == 0 and not gradient.any()):
                raise ValueError(
                    f"unit {unit if isinstance(unit, int) else 'direction'} of {layer!r} must have a gradient at the first "
                    "input, got none: if a ReLU is off there, name the layer before it"
                )
            moved.grad = -gradient
            optimizer.step()
            schedule.step()
            path.append(activation.detach())
        found = image().detach()
        with torch.no_grad():
            activation = activation_of(model, found[None], layer, unit, over).item()
    return FeatureVisualization(found, activation, torch.stack(path))


def _over_frequency(height: int, width: int) -> Float[Tensor, "height half"]:
    """One over the frequency (cycles an entry) of each wave of rfft2; the constant counts as the slowest wave."""
    frequency = (torch.fft.fftfreq(height)[:, None].square() + torch.fft.rfftfreq(width).square()).sqrt()
    return 1 / frequency.clamp(min=1 / max(height, width))
