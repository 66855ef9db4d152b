"""The difference of two scores, handed back from layer to layer."""

from collections.abc import Callable, Sequence
from numbers import Real

import torch
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lib.core.targets import Target
from lib.explanations.baselines import baseline_like
from lib.explanations.calls import at_least_single, explaining, gradient_of

__all__ = ["deep_lift"]

# Activation functions, entry by entry, by their name in torch: as a module, a function, a method or in place.
_ACTIVATIONS = frozenset({
    "relu", "relu6", "leaky_relu", "prelu", "elu", "celu", "selu", "gelu", "silu", "mish", "softplus", "softsign",
    "tanh", "sigmoid", "log_sigmoid", "hardtanh", "hardswish", "hardsigmoid", "threshold", "clamp", "clamp_min",
})  # fmt: skip
_MAXIMA = frozenset({
    "max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d", "amax",
})  # fmt: skip
_MISSED = 0.01  # what the sum may miss, as a share of the attributions' sizes


def deep_lift(
    model: Callable,
    inputs: Float[Tensor, "batch *features"],
    target: Target,
    *,
    baseline: Real | Tensor = 0.0,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> Float[Tensor, "batch *features"]:
    """(x − x′) ⊙ multipliers, which are gradients with Δy/Δz in place of each activation's derivative.

    Equation: eq-deep-lift. Shrikumar et al. 2017, the Rescale rule (section 3.5.2): Δ is the difference between a
    number's values at input and baseline. Units: score. What is conserved: the attributions of an example add up to
    f(x) − f(x′), exactly, if all between them is affine, an activation function or max pooling (of which the change goes
    to the two places of the maximum); a model for which they miss more than a hundredth of their sizes (attention,
    layer normalization, products) is refused.

    >>> deep_lift(lambda x: (x - 1).relu(), torch.tensor([[1.0, 3.0]]), 1)
    tensor([[0., 2.]])

    Raises:
        TypeError: inputs or baseline of a wrong dtype, a target that is no class index.
        ValueError: a sum that is not conserved, a baseline that does not broadcast, and what `saliency` refuses.
    """
    with explaining(model, inputs, target, arguments=arguments, chunk_size=chunk_size) as score:
        start, attributions = baseline_like(baseline, score.inputs), torch.zeros_like(score.inputs)
        for rows in score.rows.split(max(1, score.chunk // 2)):
            # Input and baseline go through the model together, so that each activation sees both.
            both = torch.cat([score.inputs[rows], start[rows]]).requires_grad_()
            with torch.enable_grad():
                with _Rescaled():
                    scores = score.of(both, rows.repeat(2))
                # The multipliers of the two halves are one; only the input's half is asked for.
                multipliers = gradient_of(scores[: len(rows)], both, "inputs")[: len(rows)]
            attributions[rows] = (score.inputs[rows] - start[rows]) * multipliers
            _check_conserved(attributions[rows], scores.detach())
        return attributions


class _Rescaled(TorchFunctionMode):
    """Inside: activations and max pooling, called on inputs and baselines stacked, pass back their change over Δz."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name = getattr(function, "__name__", "").partition(".")[0].strip("_")
        z = args[0] if args else kwargs.get("input")
        rule = _Rescale if name in _ACTIVATIONS else _CrossMaximum if name in _MAXIMA else None
        if rule is None or not (isinstance(z, Tensor) and z.requires_grad):
            return function(*args, **kwargs)
        kwargs.pop("input", None)
        in_place = kwargs.pop("inplace", False) or getattr(function, "__name__", "").endswith("_")
        y = rule.apply(z.clone() if in_place else z, lambda values: function(values, *args[1:], **kwargs))
        return z.copy_(y) if in_place else y


class _Rescale(torch.autograd.Function):
    """y = bend(z) for values at inputs and at baselines, one half each; backwards, both get Δy/Δz."""

    @staticmethod
    def forward(ctx, z: Tensor, bend: Callable) -> Tensor:
        with torch.enable_grad():
            leaf = z.detach().clone().requires_grad_()
            y = bend(leaf.clone())  # a copy, on which it may work in place
            (derivative,) = torch.autograd.grad(y, leaf, torch.ones_like(y))
        rise, run = (half[0] - half[1] for half in (_halves(y.detach()), _halves(z)))
        # The quotient of two differences that are all rounding says nothing; there it tends to the derivative.
        near = run.abs() <= torch.finfo(z.dtype).eps ** 0.75 * (1 + z.abs().amax())
        quotient = rise / torch.where(near, 1, run)
        ctx.save_for_backward(torch.where(near, _halves(derivative), quotient).flatten(0, 1).to(z.dtype))
        return y.detach().clone()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        (multipliers,) = ctx.saved_tensors
        return gradient * multipliers, None


class _CrossMaximum(torch.autograd.Function):
    """y = max z over windows; backwards, the change of y is the change at the two places where the maxima stand.

    From the baseline's maximum up to the larger of both it is the place at the input's, from there on that at the baseline's.
    """

    @staticmethod
    def forward(ctx, z: Tensor, pool: Callable) -> Tensor:
        with torch.enable_grad():
            ctx.leaf = z.detach().clone().requires_grad_()
            ctx.y = pool(ctx.leaf)
        return ctx.y.detach().clone()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        at_input, at_baseline = ctx.y.detach().unflatten(0, (2, -1))
        larger = torch.maximum(at_input, at_baseline)
        changes = gradient[: len(larger)] * torch.stack([larger - at_baseline, at_input - larger])
        (placed,) = torch.autograd.grad(ctx.y, ctx.leaf, changes.flatten(0, 1))
        z = ctx.leaf.detach().unflatten(0, (2, -1))
        change, run = placed.unflatten(0, (2, -1)).sum(0), z[0] - z[1]
        multipliers = torch.where(run == 0, 0, change / torch.where(run == 0, 1, run))
        return torch.cat([multipliers, torch.zeros_like(multipliers)]), None


def _halves(stacked: Float[Tensor, "twice *features"]) -> Float[Tensor, "2 batch *features"]:
    """The values at the inputs and at the baselines."""
    return stacked.to(at_least_single(stacked.dtype)).unflatten(0, (2, -1))


def _check_conserved(attributions: Float[Tensor, "batch *features"], scores: Float[Tensor, " twice"]) -> None:
    eps = torch.finfo(scores.dtype).eps
    with_baseline, values = _halves(scores), attributions.to(at_least_single(attributions.dtype)).flatten(1)
    gap = (values.sum(1) - (with_baseline[0] - with_baseline[1])).abs()
    allowed = max(_MISSED, 30 * eps) * values.abs().sum(1) + 100 * eps * with_baseline.abs().sum(0)
    if (gap > allowed).any():
        worst = (gap - allowed).argmax()
        raise ValueError(
            f"the attributions must add up to f(x) − f(x′), but miss it by {gap[worst]:.4g} with sizes of "
            f"{values[worst].abs().sum():.4g}: the model has parts that are neither affine nor known activation functions "
            "(attention, layer normalization, products, compiled parts, custom autograd functions); use integrated_gradients"
        )
