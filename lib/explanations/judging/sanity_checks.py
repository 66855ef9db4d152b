"""Does an explanation depend on what the model has learned?"""

import copy
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.validation import check_callable, check_floating
from lib.explanations.calls import check_generator, check_inputs

__all__ = ["cascading_randomization", "rank_correlation"]


def cascading_randomization(
    model: nn.Module,
    explain: Callable[[nn.Module], Tensor],
    *,
    generator: torch.Generator,
    stops: Sequence[str] | None = None,
) -> dict[str, Tensor]:
    """Explain a copy of the model while its layers are randomised from the top down, one after the other.

    Adebayo et al. 2018: an explanation that stays the same does not depend on the weights. Returns layer name →
    ``explain(copy)``, from the layer that ran last to the one that ran first; the first entry, under ``""``, is the
    trained model's. ``stops`` names the layers after which to explain, all if not given. Each parameter tensor is drawn
    anew from a normal distribution with its own mean and standard deviation, so that the scale survives and the learned
    pattern does not; a constant one gets the deviation of its whole layer. Buffers stay, and so does the model.

    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 2))
    >>> list(cascading_randomization(model, lambda copy: copy(torch.ones(1, 2)), generator=torch.Generator()))
    ['', '2', '0']

    Raises:
        TypeError: a model that is not a module, an explanation that is not a tensor.
        ValueError: a model without parameters or that cannot be copied, no run of it, stops that are not its layers.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module to have layers, got {type(model).__name__}")
    check_callable("explain", explain)
    check_generator(generator)
    if not any(True for _ in model.parameters()):
        raise ValueError(f"model must have parameters to randomise, got {type(model).__name__} without any")
    with torch.inference_mode(False), torch.enable_grad():
        randomised = _copy(model)
        first, layers = _explain_and_watch(randomised, explain)
        unknown = [name for name in stops or () if name not in layers]
        if unknown:
            raise ValueError(f"stops must name layers with parameters, got {unknown}; from the top: {list(layers)}")
        explanations, drawn = {"": first}, set()
        for name, parameters in layers.items():
            if stops is not None and set(stops) <= set(explanations):
                break
            _draw_anew([p for p in parameters if p not in drawn], generator)
            drawn.update(parameters)  # what two layers share is drawn once
            if stops is None or name in stops:
                explanations[name] = _explain(randomised, explain)
    return explanations


def _copy(model: nn.Module) -> nn.Module:
    """A deep copy; what a module keeps of its last run is copied without its graph."""
    kept = [value for module in model.modules() for value in vars(module).values()]
    memo = {id(value): value.detach().clone() for value in kept if isinstance(value, Tensor) and not value.is_leaf}
    try:
        return copy.deepcopy(model, memo)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"model must be one that can be copied with copy.deepcopy, got: {error}") from error


def _explain(model: nn.Module, explain: Callable[[nn.Module], Tensor]) -> Tensor:
    explanation = explain(model)
    if not isinstance(explanation, Tensor):
        raise TypeError(f"explain must return a torch.Tensor, got {type(explanation).__name__}")
    return explanation.detach().clone()  # it may be a view of what is about to change


def _explain_and_watch(
    model: nn.Module, explain: Callable[[nn.Module], Tensor]
) -> tuple[Tensor, dict[str, list[nn.Parameter]]]:
    """Explain, and list the layers that hold parameters, from the one that ran last to the one that ran first.

    A layer that was not called itself, as the output projection of torch's attention, takes the place of what it is part of.
    """
    ran: dict[str, None] = {}

    def note(name: str) -> Callable:
        def begin(_module, _inputs) -> None:
            ran.pop(name, None)  # of several runs, the last one
            ran[name] = None

        return begin

    handles = [module.register_forward_pre_hook(note(name)) for name, module in model.named_modules()]
    try:
        first = _explain(model, explain)
    finally:
        for handle in handles:
            handle.remove()
    if not ran:
        raise ValueError("explain must run the model that it is given, which tells the order of the layers; it did not")
    places = {name: place for place, name in enumerate(ran)}

    def place(name: str) -> int:
        while name not in places and name:
            name = name.rpartition(".")[0]
        return places.get(name, -1)

    layers = {name: list(module.parameters(recurse=False)) for name, module in model.named_modules()}
    order = sorted((name for name in layers if layers[name]), key=place)
    return first, {name or "(root)": layers[name] for name in reversed(order)}


@torch.no_grad()
def _draw_anew(parameters: list[nn.Parameter], generator: torch.Generator) -> None:
    for parameter in parameters:
        check_floating("a parameter of the model", parameter)
    if not parameters:
        return
    whole = torch.cat([parameter.detach().flatten() for parameter in parameters])
    size = whole.std(correction=0) or whole.abs().mean() or torch.ones_like(whole[0])
    for parameter in parameters:
        draw = torch.randn(parameter.shape, generator=generator, device=generator.device, dtype=parameter.dtype)
        parameter.copy_(parameter.mean() + (parameter.std(correction=0) or size) * draw.to(parameter.device))


def rank_correlation(
    first: Float[Tensor, "batch *features"], second: Float[Tensor, "batch *features"]
) -> Float[Tensor, " batch"]:
    """Spearman's correlation of two explanations of the same examples, over all entries of an example.

    Equation: eq-rank-correlation. Tied values share their mean rank. In [-1, 1]; NaN where one of the
    two is constant and so ranks nothing.

    >>> rank_correlation(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[0.1, 20.0, 300.0]]))
    tensor([1.])

    Raises:
        TypeError: values that are not floating point.
        ValueError: shapes that differ, nothing to rank, NaN or infinity.
    """
    for name, values in (("first", first), ("second", second)):
        check_inputs(values, name)
    if first.shape != second.shape:
        raise ValueError(
            f"first and second must have the same shape, got {tuple(first.shape)} and {tuple(second.shape)}"
        )
    # On the CPU in double precision: ranks of a photograph are large numbers, and not every device has doubles.
    ranks = torch.stack([_mean_ranks(values.detach().cpu().flatten(1).contiguous()) for values in (first, second)])
    ranks -= ranks.mean(dim=2, keepdim=True)
    covariance = (ranks[0] * ranks[1]).sum(dim=1)
    correlation = covariance / ranks.square().sum(dim=2).prod(dim=0).sqrt()
    return correlation.to(first)


def _mean_ranks(values: Tensor) -> Tensor:
    """Rank of each value in its row, counted from half; ties get the middle of the ranks they cover."""
    ordered = values.sort(dim=1).values
    below = torch.searchsorted(ordered, values, right=False)
    up_to = torch.searchsorted(ordered, values, right=True)
    return (below + up_to).double() / 2
