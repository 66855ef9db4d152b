"""Data parallelism: every rank holds the whole model, sees its own shard of the batch, and shares its gradients."""

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from lib.core.validation import check_non_negative_int

from .agreement import announce, compare_lists, place_in_group
from .sharded_state import cut_among, described, placements

__all__ = ["average_gradients", "weigh_by_examples"]


def weigh_by_examples(
    loss: Float[Tensor, ""], examples: int, *, group: dist.ProcessGroup | None = None
) -> Float[Tensor, ""]:
    """Scale this rank's mean loss over ``examples`` so that plain averaging is right for unequal shards.

    Equation: eq-data-parallel-gradient

    The factor is p·n_r / n, for rank r's n_r of the n examples on p ranks; it is 1 where shards are equal. Every
    rank calls this once a step. Without examples, n_r = 0, a mean is 0/0: pass ``model(inputs).sum()``.

    >>> from lib.parallelism import run_ranks
    >>> run_ranks(lambda: weigh_by_examples(torch.tensor(1.0), 1 + 2 * dist.get_rank()).item(), 2)  # 1 and 3 examples
    [0.5, 1.5]

    Raises:
        TypeError: examples is not an int.
        ValueError: examples below 0, or none on any rank; no process group, or one without this rank.
    """
    check_non_negative_int("examples", examples)
    _, ranks = place_in_group(group)
    announce("weigh_by_examples", group=group)
    total = torch.tensor(examples, device=loss.device)
    dist.all_reduce(total, group=group)
    if total == 0:
        raise ValueError("examples must be at least 1 on one rank, got 0 on all")
    return loss * (ranks * examples / total.item())


def average_gradients(model: nn.Module, *, group: dist.ProcessGroup | None = None) -> None:
    """Replace each gradient by its mean over the ranks: call this between ``backward`` and the optimizer's step.

    Equation: eq-data-parallel-gradient

    The plain form: when all gradients are there, one all-reduce for each parameter. A parameter that was not used
    on some ranks has gradient 0 there; one that was used on none keeps None. Buffers stay each rank's own.

    >>> from lib.parallelism import run_ranks
    >>> def step():
    ...     layer = nn.Linear(1, 1, bias=False)
    ...     layer.weight.grad = torch.full((1, 1), float(dist.get_rank()))
    ...     average_gradients(layer)
    ...     return layer.weight.grad.item()
    >>> run_ranks(step, 2, seed=0)
    [0.5, 0.5]

    Raises:
        ValueError: sparse gradients, or parameters that the ranks do not hold alike; where ranks check each other,
            another parameter on another rank; as :func:`weigh_by_examples`.
    """
    check_replicas(model, group, only_if_checking=True)
    for parameter in model.parameters():
        if parameter.requires_grad:
            bucket = Bucket([parameter])
            bucket.start(group)
            bucket.finish()


class Bucket:
    """Parameters whose gradients travel together, as one flat tensor."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.parameters = parameters
        self.reset()

    def reset(self) -> None:
        self.missing = set(self.parameters)
        self.flat = self.work = None

    @torch.no_grad()
    def start(self, group: dist.ProcessGroup | None) -> None:
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        for gradient in gradients:
            if gradient.layout is not torch.strided:
                raise ValueError(f"gradients must be dense, got a sparse one of shape {tuple(gradient.shape)}")
        # One number more a parameter tells on how many ranks it was used.
        used = self.parameters[0].new_tensor([p.grad is not None for p in self.parameters])
        self.flat = torch.cat([*(gradient.reshape(-1) for gradient in gradients), used])
        self.flat /= dist.get_world_size(group)  # before the sum: of numbers that fit, the mean fits, the sum may not
        announce(f"all-reduce of {self.flat.numel()} gradients", group=group, device=self.flat.device)
        self.work = dist.all_reduce(self.flat, group=group, async_op=True)

    @torch.no_grad()
    def finish(self) -> None:
        self.work.wait()
        *means, used = self.flat.split([*(p.numel() for p in self.parameters), len(self.parameters)])
        for index, (parameter, mean) in enumerate(zip(self.parameters, means, strict=True)):
            if parameter.grad is None and used[index] > 0:
                parameter.grad = torch.empty_like(parameter)
            if parameter.grad is not None:
                parameter.grad.copy_(mean.view_as(parameter))


def check_replicas(model: nn.Module, group: dist.ProcessGroup | None, *, only_if_checking: bool = False) -> None:
    """Require a model whose gradients can be averaged."""
    place_in_group(group)
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.sparse:
            raise ValueError(
                f"gradients must be dense to be averaged, got sparse=True in {name or type(module).__name__!r}"
            )
    where = placements(model)
    for name, parameter in model.named_parameters():
        if cut_among(where[parameter], group):
            raise ValueError(
                f"parameters must be copies to be averaged, got {name!r}, of which each rank holds another part: "
                f"give the group of the ranks that hold the same part"
            )
    compare_lists("model", described(model), group=group, only_if_checking=only_if_checking)
