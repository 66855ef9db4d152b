"""A backward pass that lets only positive signals through, kept because it fails a sanity check."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.graph import Node

from lib.core.hooks import rewrite
from lib.core.targets import Target
from lib.explanations.calls import explaining, gradient_of

__all__ = ["guided_backprop"]

_RELU = re.compile(r"_*relu6?backward\d*", re.IGNORECASE)  # torch's own, and a custom autograd function called ReLU
_CUT_AT_ZERO = re.compile(r"(Hardtanh|Clamp|ClampMin|Threshold)Backward\d*")  # ReLU6, clamp(min=0), …
_OPAQUE = re.compile(
    r"CompiledFunction|DifferentiableGraph|CheckpointFunction"
)  # the operations inside are not to be seen


def guided_backprop(
    model: Callable,
    inputs: Float[Tensor, "batch *features"],
    target: Target,
    *,
    activations: tuple[type[nn.Module], ...] = (),
    arguments: Sequence[Tensor] = (),
) -> Float[Tensor, "batch *features"]:
    """The gradient, with negative values set to zero wherever it enters a ReLU on its way back.

    Equation: eq-guided-backprop. Springenberg et al. 2015. Units: none, this is the gradient of no function.
    Its sharp pictures hardly depend on the upper layers' weights (Adebayo et al. 2018). Every ReLU and ReLU6 that
    autograd recorded is guided, module or function, and every module of the types ``activations`` besides.

    >>> weights = torch.tensor([[2.0], [-3.0]])
    >>> guided_backprop(lambda x: x.relu() @ weights, torch.tensor([[1.0, 1.0]]), 0)
    tensor([[2., 0.]])

    Raises:
        TypeError: inputs that are not floating point; ``activations`` of something that is not a module.
        ValueError: no ReLU between inputs and score, parts that are compiled, and what `saliency` refuses.
    """
    with explaining(model, inputs, target, arguments=arguments) as score, torch.enable_grad():
        leaf = score.inputs.clone().requires_grad_()
        ran = []

        def guide(output: Tensor) -> Tensor:
            ran.append(output)
            if output.requires_grad:
                output.register_hook(lambda gradient: gradient.clamp(min=0))
            return output

        with _modules_rewritten(score.model, activations, guide) if activations else nullcontext():
            scores = score.of(leaf, score.rows)
        nodes = list(_nodes(scores.grad_fn))
        opaque = sorted({node.name() for node in nodes if _OPAQUE.search(node.name())})
        if opaque:
            raise ValueError(
                f"model must not hold compiled or checkpointed parts, whose ReLUs cannot be guided; got {opaque}"
            )
        relus = [node for node in nodes if _is_relu(node)]
        for node in relus:
            node.register_prehook(lambda gradients: tuple(g if g is None else g.clamp(min=0) for g in gradients))
        gradient = gradient_of(scores, leaf, "inputs")
    if not relus and not ran:
        raise ValueError(
            "the model must run at least one ReLU between inputs and score, got none; name other activations"
        )
    return gradient


def _modules_rewritten(model: Callable, kinds: tuple[type[nn.Module], ...], change: Callable):
    """Let ``change`` see the outputs of all modules of some kinds."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module to have activations by type, got {type(model).__name__}")
    found = [name for name, module in model.named_modules() if name and isinstance(module, kinds)]
    if not found:
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"model must hold at least one {wanted} as a module, got {type(model).__name__} without any")
    return rewrite(model, dict.fromkeys(found, change))


def _nodes(last: Node | None) -> Iterator[Node]:
    """Every operation that autograd recorded on the way to ``last``."""
    seen, waiting = set(), [last]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting.extend(before for before, _ in node.next_functions)
            yield node


def _is_relu(node: Node) -> bool:
    """ReLU by name, or another operation that cuts off exactly what is negative."""
    if _RELU.fullmatch(node.name()):
        return True
    low = getattr(node, "_saved_min_val", getattr(node, "_saved_min", getattr(node, "_saved_threshold", None)))
    return bool(_CUT_AT_ZERO.fullmatch(node.name())) and low == 0
