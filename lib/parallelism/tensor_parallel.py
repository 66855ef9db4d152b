"""Tensor parallelism: the matrices of one layer are cut, and every rank works on every example with its piece.

After Megatron-LM (Shoeybi et al. 2019, section 3). What all ranks hold alike goes in through *f*
(:func:`~lib.parallelism.conjugate_pairs.copy_to_ranks`) and comes out through *g*
(:func:`~lib.parallelism.conjugate_pairs.reduce_from_ranks`); between the two no rank needs another one. So the formulas
of :mod:`lib.architectures` stay as they are: a plan says which of a model's layers are exchanged for parts of them.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from lib.architectures import MLP, Linear, MultiHeadAttention, Transformer, linear
from lib.core import replaced
from lib.core.boundary import checked
from lib.core.validation import check_divisible

from .agreement import Group, compare_lists, place_in_group
from .conjugate_pairs import copy_to_ranks, reduce_from_ranks
from .sharded_state import Placement, described, own_part
from .vocabulary_parallel import VocabularyParallelEmbedding

__all__ = ["ColumnParallelLinear", "RowParallelLinear", "tensor_parallel", "tensor_parallel_plan"]


Plan = dict[str, Callable[[nn.Module], nn.Module]]


class ColumnParallelLinear(nn.Module):
    """``x Wᵀ + b`` cut by outputs: x is whole on every rank, y is this rank's slice of the features.

    Equation: eq-column-parallel

    The paper writes XA and cuts the columns of A; torch stores A transposed, so these are rows of ``weight``.
    The input passes *f* on its way in. ``copy_input=False`` leaves that to the caller, who has several layers
    that read one x and needs one *f* for all. With ``pad``, outputs of zeros fill up what ranks do not divide. A
    layer that is built here draws its part of a whole; :meth:`of` takes it from one that is there.

    >>> from lib.parallelism import run_ranks
    >>> run_ranks(lambda: [*ColumnParallelLinear(4, 6)(torch.ones(1, 4)).shape], 2)
    [[1, 3], [1, 3]]

    Raises:
        TypeError: features that are not ints; in the call as :func:`~lib.architectures.dense.linear`.
        ValueError: ranks that do not divide the outputs; no process group; in the call as
            :func:`~lib.architectures.dense.linear`.
    """

    @checked
    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        group: Group = None,
        copy_input: bool = True,
        pad: bool = False,
    ) -> None:
        super().__init__()
        self.group, self.copy_input, self.pad = group, copy_input, pad
        self._take(Linear(in_features, out_features, bias))

    @classmethod
    def of(cls, layer: nn.Module, **options: Group | bool) -> "ColumnParallelLinear":
        """This rank's part of an affine layer; nothing is drawn."""
        return _part_of(cls, layer, options)

    def _take(self, layer: nn.Module) -> None:
        outputs = len(layer.weight)
        if not self.pad:
            check_divisible("out_features", outputs, "ranks", place_in_group(self.group)[1])
        self.placements = {name: Placement(0, outputs, group=self.group) for name in ("weight", "bias")}
        _hold(self, layer)

    def forward(self, x: Float[Tensor, "*batch in_features"]) -> Float[Tensor, "*batch out_part"]:
        x = copy_to_ranks(x, group=self.group) if self.copy_input else x
        return linear(x, self.weight, self.bias)


class RowParallelLinear(nn.Module):
    """``x Wᵀ + b`` cut by inputs: x is this rank's slice of the features, y is whole on every rank.

    Equation: eq-row-parallel

    Each rank has one addend of the sum over features; *g* adds them up. The bias is whole on every rank, as rank
    0 has drawn it, and is added once, after the sum.

    >>> from lib.parallelism import run_ranks
    >>> run_ranks(lambda: [*RowParallelLinear(4, 6)(torch.ones(1, 2)).shape], 2)
    [[1, 6], [1, 6]]

    Raises:
        TypeError: features that are not ints; in the call as :func:`~lib.architectures.dense.linear`.
        ValueError: ranks that do not divide the inputs; no process group; in the call as
            :func:`~lib.architectures.dense.linear`, or when ranks differ in shape.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, group: Group = None) -> None:
        super().__init__()
        self.group = group
        self._take(Linear(in_features, out_features, bias))

    @classmethod
    def of(cls, layer: nn.Module, **options: Group) -> "RowParallelLinear":
        """This rank's part of an affine layer; nothing is drawn."""
        return _part_of(cls, layer, options)

    def _take(self, layer: nn.Module) -> None:
        inputs = layer.weight.shape[1]
        check_divisible("in_features", inputs, "ranks", place_in_group(self.group)[1])
        self.placements = {"weight": Placement(1, inputs, group=self.group)}
        _hold(self, layer)
        if self.bias is not None and not self.bias.is_meta:
            dist.broadcast(self.bias.detach(), group=self.group, group_src=0)

    def forward(self, x: Float[Tensor, "*batch in_part"]) -> Float[Tensor, "*batch out_features"]:
        y = reduce_from_ranks(linear(x, self.weight), group=self.group)
        return y if self.bias is None else y + self.bias


def tensor_parallel(model: nn.Module, *, group: Group = None) -> nn.Module:
    """A copy of a built model of which each rank keeps a part, exchanged by :func:`tensor_parallel_plan`.

    Equation: eq-tensor-parallel-mlp

    Of an MLP, the first map is cut by outputs and the second by inputs, and GELU acts on each hidden feature alone:
    one all-reduce each way. Of attention, the heads are dealt out, and meet first in the output map: one each way, and
    one more backward for a ``context``. (Keys and values made beforehand pass no *f*: no gradient may go through them.)
    Norms and residual sums every rank does again. All ranks must have built the same model; one on the meta device
    takes no memory, and :meth:`~lib.parallelism.deferred.Draws.fill` then gives each rank its part of what was drawn.

    >>> from lib.parallelism import run_ranks
    >>> mlp = MLP(4, 8)
    >>> run_ranks(lambda: [*tensor_parallel(nn.Sequential(mlp))[0].up.weight.shape], 2)
    [[4, 4], [4, 4]]

    Raises:
        TypeError: not a module.
        ValueError: a model with nothing to cut or a matrix that two of its parts share, ranks that do not divide its
            heads, those of keys and values or its hidden features, or whose models differ; no process group.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    plan = tensor_parallel_plan(model, group=group)
    if not plan:
        raise ValueError(
            f"model must hold attention or an MLP of lib.architectures to be cut, got {type(model).__name__}"
        )
    owners: dict[nn.Parameter, str] = {}
    for name in plan:
        for parameter in model.get_submodule(name).parameters(recurse=False):
            if owners.setdefault(parameter, name) != name:
                raise ValueError(
                    f"each matrix is cut in one way, got one that {owners[parameter]} and {name} share; build with tied=False"
                )
    compare_lists("model", described(model, values={*model.parameters()}), group=group)
    itself = plan.pop("", None)
    model = replaced(model, plan)
    return itself(model) if itself else model


def tensor_parallel_plan(model: nn.Module, *, group: Group = None) -> Plan:
    """For :func:`~lib.core.surgery.replaced`: what takes the place of the attentions, MLPs and ends of a Transformer.

    >>> from lib.parallelism import run_ranks
    >>> run_ranks(lambda: [*tensor_parallel_plan(nn.Sequential(MLP(4, 8)))], 2)
    [['0.up', '0.down'], ['0.up', '0.down']]
    """
    column, row = partial(ColumnParallelLinear.of, group=group), partial(RowParallelLinear.of, group=group)
    reads_copy = partial(column, copy_input=False)
    plans: dict[type, Plan] = {
        MLP: {"up": column, "down": row},
        MultiHeadAttention: {
            "query": reads_copy, "key": reads_copy, "value": reads_copy, "output": row, "": partial(_deal_heads, group=group),
        },
        Transformer: {
            "embedding": partial(VocabularyParallelEmbedding.of, group=group), "head": partial(column, pad=True),
        },
    }  # fmt: skip
    return {
        ".".join(filter(None, (prefix, name))): change
        for prefix, module in model.named_modules()
        for kind, plan in plans.items()
        if isinstance(module, kind)
        for name, change in plan.items()
    }


def _deal_heads(attention: MultiHeadAttention, *, group: Group) -> MultiHeadAttention:
    """Leave it this rank's number of heads, and put *f* before its three input maps."""
    _, ranks = place_in_group(group)
    check_divisible("heads", attention.heads, "ranks", ranks)
    check_divisible("kv_heads", attention.heads // attention.sharing, "ranks", ranks)
    attention.heads //= ranks
    attention.register_forward_pre_hook(lambda _, *given: _copied(*given, group=group), with_kwargs=True)
    return attention


def _copied(inputs: tuple, named: dict, *, group: Group) -> tuple[tuple, dict]:
    """Put an *f* before x, and one before a context, which the key and value maps of all ranks read in its place."""
    inputs = tuple(copy_to_ranks(given, group=group) if isinstance(given, Tensor) else given for given in inputs)
    copied = {
        name: copy_to_ranks(named[name], group=group)
        for name in ("x", "context")
        if isinstance(named.get(name), Tensor)
    }
    return inputs, named | copied


def _part_of(cls: type, layer: nn.Module, options: dict) -> nn.Module:
    outputs, inputs = layer.weight.shape
    with torch.device("meta"):
        part = cls(inputs, outputs, layer.bias is not None, **options)
    part._take(layer)
    return part


def _hold(part: nn.Module, layer: nn.Module) -> None:
    """Give the part of a layer its parts of the layer's weight and bias."""
    for name in ("weight", "bias"):
        whole = getattr(layer, name)
        own = None if whole is None else own_part(whole, part.placements.get(name, Placement()))
        part.register_parameter(name, None if own is None else nn.Parameter(own, whole.requires_grad))
