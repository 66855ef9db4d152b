"""Do the attributions of an example add up to what the score gained?"""

from collections.abc import Callable, Sequence
from numbers import Real

from jaxtyping import Float
from torch import Tensor

from lib.core.targets import Target
from lib.core.validation import check_same_length
from lib.explanations.baselines import baseline_like
from lib.explanations.calls import at_least_single, check_inputs, explaining
from lib.explanations.coalitions import Game

__all__ = ["completeness_gap"]


def completeness_gap(
    model: Callable,
    inputs: Float[Tensor, "batch *features"],
    target: Target,
    attributions: Float[Tensor, "batch *units"],
    *,
    baseline: Real | Tensor = 0.0,
    background: Float[Tensor, "background *features"] | None = None,
    arguments: Sequence[Tensor] = (),
    chunk_size: int | None = None,
) -> Float[Tensor, " batch"]:
    """What the attributions of each example add up to, less f(x) − f(x′).

    Sundararajan et al. 2017, section 3, ask for 0 up to the error of the integral; of Shapley values the axiom is called
    efficiency, and with a ``background`` f(x′) is the mean over its rows. Units: score. A small gap does not make the
    single attributions right: errors of opposite sign cancel in the sum.

    >>> completeness_gap(lambda x: x**2, torch.tensor([[1.0, 3.0]]), 1, torch.tensor([[0.0, 8.0]]))
    tensor([-1.])

    Raises:
        TypeError: inputs or baseline of a wrong dtype, a target that is no class index.
        ValueError: attributions for another number of examples or with NaN, a baseline that does not broadcast, a
            background of another shape.
    """
    with explaining(model, inputs, target, arguments=arguments, chunk_size=chunk_size) as score:
        check_inputs(attributions, "attributions")
        check_same_length(attributions=attributions, inputs=inputs)
        total = attributions.detach().to(inputs.device, at_least_single(attributions.dtype)).flatten(1).sum(1)
        if background is None:
            empty = score.at(baseline_like(baseline, score.inputs))
        else:
            empty, _ = Game(score, background, None).ends()
        gained = score.at(score.inputs) - empty.to(total)
        return (total - gained).to(inputs.dtype)
