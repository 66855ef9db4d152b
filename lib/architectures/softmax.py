"""From scores to probabilities to a loss."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lib.core.boundary import checked
from lib.core.differentiable import Differentiable
from lib.core.precision import in_float32
from lib.core.rules import PositiveFloat
from lib.core.validation import check_indices, check_not_empty

__all__ = ["cross_entropy", "log_softmax", "softmax"]


@checked
@in_float32
def softmax(
    logits: Float[Tensor, "*shape"], *, dim: int = -1, temperature: PositiveFloat = 1.0
) -> Float[Tensor, "*shape"]:
    """Turn scores into positive numbers that sum to 1 along ``dim``.

    Equation: eq-softmax

    Adding a constant to all scores changes nothing, so the largest is subtracted first and exp cannot
    overflow. A high ``temperature`` flattens the distribution, a low one sharpens it.

    >>> softmax(torch.tensor([0.0, 0.0]))
    tensor([0.5000, 0.5000])

    Raises:
        TypeError: integer input.
        ValueError: no elements, an axis that does not exist, or a temperature that is not positive and finite.
    """
    _check(logits, dim)
    # Divided by a low temperature, the largest score could leave the dtype's range: it becomes 0 first.
    return _Softmax.apply(logits if temperature == 1 else _shifted(logits, dim) / temperature, dim)


@checked
@in_float32
def log_softmax(logits: Float[Tensor, "*shape"], *, dim: int = -1) -> Float[Tensor, "*shape"]:
    """Logarithm of :func:`softmax`, in nats, exact where the probability itself would round to 0.

    Equation: eq-log-softmax

    >>> log_softmax(torch.tensor([0.0, 1000.0]))
    tensor([-1000.,     0.])

    Raises:
        TypeError: integer input.
        ValueError: no elements, or an axis that does not exist.
    """
    _check(logits, dim)
    shifted = _shifted(logits, dim)
    return shifted - shifted.exp().sum(dim, keepdim=True).log()


@checked
@in_float32
def cross_entropy(logits: Float[Tensor, "batch classes"], labels: Int64[Tensor, " batch"]) -> Float[Tensor, ""]:
    """Mean surprise, in nats, at the true labels: minus the log-probability the model gave them.

    Equation: eq-cross-entropy

    >>> cross_entropy(torch.zeros(1, 10), torch.tensor([3]))  # ln 10
    tensor(2.3026)

    Raises:
        TypeError: integer logits, or labels that are not int64.
        ValueError: wrong rank, empty batch, lengths that differ, or a label that names no class.
    """
    check_not_empty("logits", logits)
    check_indices("labels", labels, logits.shape[1], "one for each column of the logits")
    log_probabilities = log_softmax(logits)
    return -log_probabilities.gather(1, labels[:, None]).mean()


class _Softmax(Differentiable):
    """p = exp(s − max s) / Σ exp(s − max s); its Jacobian is diag(p) − p pᵀ, the same to both sides."""

    @staticmethod
    def forward(scores: Tensor, dim: int) -> Tensor:
        powers = _shifted(scores, dim).exp_()  # in place: nobody else has seen these numbers
        return powers.div_(powers.sum(dim, keepdim=True))

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.dim = inputs[1]
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        (p,) = ctx.saved_tensors
        weighted = p * grad
        return torch.addcmul(weighted, p, weighted.sum(ctx.dim, keepdim=True), value=-1), None

    @staticmethod
    def jvp(ctx, tangent: Tensor, _: None) -> Tensor:
        return _Softmax.backward(ctx, tangent)[0]


def _check(logits: Tensor, dim: int) -> None:
    if not -logits.ndim <= dim < logits.ndim:
        raise ValueError(f"dim must name one of the {logits.ndim} axes of the logits, got {dim}")
    if logits.shape[dim] == 0:
        raise ValueError(f"logits must hold at least one element along dim {dim}, got shape {tuple(logits.shape)}")


def _shifted(scores: Tensor, dim: int) -> Tensor:
    """Subtract the largest score, as a constant: softmax is blind to it and so is the gradient."""
    return scores - scores.detach().amax(dim, keepdim=True)
