"""A model cut over 1, 2 or 4 real processes is the model of one process: outputs, gradients, five steps of training."""

import copy
import math
import re
from functools import partial

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    loss_parallel,
    parallelize_module,
)
from torch.nn import functional as F
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from lib.architectures import MLP, Block, Linear, MultiHeadAttention, Transformer, TransformerConfig, cross_entropy
from lib.core import fixed_seed, seeded
from lib.parallelism import (
    ColumnParallelLinear,
    RowParallelLinear,
    VocabularyParallelEmbedding,
    assert_replicas_equal,
    clip_gradients,
    deferred,
    gather_from_ranks,
    gather_state_dict,
    gradient_norm,
    placements,
    run_ranks,
    shard_state_dict,
    split_to_ranks,
    tensor_parallel,
    vocabulary_parallel_cross_entropy,
)

WORLDS = (1, 2, 4)
# The ranks' sums have the same terms in another order: in float64 a few times 1e-16 of the largest of them.
EXACT = {"rtol": 1e-11, "atol": 1e-12}
# Five steps of Adam carry that on. A step divides a gradient by its own size, so relative errors stay what they are,
# except next to Adam's epsilon of 1e-8, where 1e-16 becomes up to 1e-8 of a step of 1e-2.
AFTER_ADAM = {"rtol": 1e-9, "atol": 1e-9}
SIZES = {"layers": 2, "width": 8, "heads": 4, "vocabulary": 12, "context": 6, "mlp_width": 20}
BATCH, TIME, STEPS = 3, 6, 5
LOSS = partial(vocabulary_parallel_cross_entropy, vocabulary=12)


def built(**sizes):
    """The same model on every rank."""
    with fixed_seed(0):
        return Transformer(TransformerConfig(**(SIZES | sizes)))


def seen(kind, *sizes, **options):
    """A layer that is the same on all ranks, cut."""
    with fixed_seed(0):
        return tensor_parallel(kind(*sizes, **options))


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=seeded(seed))


def shaken(model):
    """The model with a value of its own for every parameter: a bias of zeros could be left out unseen."""
    generator = seeded(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model.double()


# name: the layer, the same on ranks, the input's features, and how they are called
def column(*sizes):
    return ColumnParallelLinear.of(Linear(*sizes))


def row(*sizes):
    return RowParallelLinear.of(Linear(*sizes))


def cut(kind, *sizes, **options):
    return tensor_parallel(kind(*sizes, **options))


LAYERS = {
    "column": (partial(Linear, 8, 12), partial(ColumnParallelLinear, 8, 12), 8, {}),
    "column of a layer": (partial(Linear, 8, 12), partial(column, 8, 12), 8, {}),
    "column without bias": (partial(Linear, 8, 12, False), partial(ColumnParallelLinear, 8, 12, False), 8, {}),
    "row": (partial(Linear, 12, 8), partial(RowParallelLinear, 12, 8), 12, {}),
    "row of a layer": (partial(Linear, 12, 8), partial(row, 12, 8), 12, {}),
    "row without bias": (partial(Linear, 12, 8, False), partial(RowParallelLinear, 12, 8, False), 12, {}),
    "MLP": (partial(MLP, 8, 20), partial(cut, MLP, 8, 20), 8, {}),
    "attention": (partial(MultiHeadAttention, 8, 4), partial(cut, MultiHeadAttention, 8, 4), 8, {"causal": True}),
    "masked attention without bias": (
        partial(MultiHeadAttention, 8, 4, bias=False),
        partial(cut, MultiHeadAttention, 8, 4, bias=False),
        8,
        {"mask": (torch.arange(TIME) % 3 != 1)[None]},
    ),
    "attention with shared keys": (
        partial(MultiHeadAttention, 16, 8, kv_heads=4),
        partial(cut, MultiHeadAttention, 16, 8, kv_heads=4),
        16,
        {"causal": True},
    ),
    "block": (
        partial(Block, 8, 4, 20, eps=0.1),
        partial(cut, Block, 8, 4, 20, eps=0.1),
        8,
        {"causal": True},
    ),
}


def one_process(name):
    serial, _, width, options = LAYERS[name]
    with fixed_seed(5):
        drawn = serial().double()
    layer = shaken(copy.deepcopy(drawn))
    x = random(BATCH, TIME, width).requires_grad_()
    y = layer(x, **options)
    y.sin().sum().backward()
    gradients = {key: parameter.grad for key, parameter in layer.named_parameters()}
    return {"drawn": drawn.state_dict(), "state": layer.state_dict(), "y": y, "x": x.grad, "gradients": gradients}


def gathered_gradients(model):
    """Gradients in the place of parameters, gathered as parameters are."""
    stand_in = copy.deepcopy(model)
    stand_in.load_state_dict({name: parameter.grad for name, parameter in model.named_parameters()})
    return gather_state_dict(stand_in)


def several_processes(states):
    """On a rank: every layer with the state of one process, cut."""
    answers = {}
    for name, state in states.items():
        _, parallel, width, options = LAYERS[name]
        with fixed_seed(5):
            layer = parallel()
        drawn = gather_state_dict(layer)
        layer.double().load_state_dict(shard_state_dict(state, layer))
        sizes = {key: value.numel() for key, value in layer.state_dict().items()}
        x = random(BATCH, TIME, width).requires_grad_()
        y = layer(split_to_ranks(x) if name.startswith("row") else x, **options)
        y = gather_from_ranks(y) if name.startswith("column") else y
        y.sin().sum().backward()
        own = {key: parameter.grad for key, parameter in layer.named_parameters()}
        answers[name] = {
            "drawn": drawn, "state": gather_state_dict(layer), "sizes": sizes, "y": y.detach(), "x": x.grad,
            "gradients": gathered_gradients(layer), "own gradients": own,
        }  # fmt: skip
    return answers


@pytest.fixture(scope="module", params=WORLDS, ids="{} ranks".format)
def layers(request):
    """What one process and ``request.param`` processes get: (expected, answers in rank order)."""
    expected = {name: one_process(name) for name in LAYERS}
    return expected, run_ranks(several_processes, request.param, {name: e["state"] for name, e in expected.items()})


@pytest.mark.equation("eq-column-parallel")
@pytest.mark.equation("eq-row-parallel")
@pytest.mark.equation("eq-tensor-parallel-mlp")
@pytest.mark.parametrize("name", LAYERS)
def test_outputs_and_every_gradient_are_those_of_one_process(layers, name):
    expected, answers = layers
    for answer in answers:
        assert_close(answer[name]["y"], expected[name]["y"], **EXACT)
        assert_close(answer[name]["x"], expected[name]["x"], **EXACT)
        assert_close(answer[name]["gradients"], expected[name]["gradients"], **EXACT)


@pytest.mark.parametrize("name", LAYERS)
def test_what_is_whole_on_every_rank_has_the_same_gradient_bit_for_bit(layers, name):
    """Otherwise the copies would drift apart, a little with every step."""
    expected, answers = layers
    for key, whole in expected[name]["gradients"].items():
        copies = [answer[name]["own gradients"][key] for answer in answers]
        if copies[0].shape == whole.shape:
            assert all(torch.equal(other, copies[0]) for other in copies)


@pytest.mark.parametrize("name", LAYERS)
def test_a_state_dict_is_cut_and_joined_again(layers, name):
    expected, answers = layers
    for answer in answers:
        assert_close(answer[name]["state"], expected[name]["state"], rtol=0, atol=0)
    matrices = [key for key, value in expected[name]["state"].items() if value.ndim == 2]
    for key in matrices:
        assert answers[0][name]["sizes"][key] * len(answers) == expected[name]["state"][key].numel()


@pytest.mark.parametrize("name", LAYERS)
def test_one_seed_on_all_ranks_gives_the_parts_of_one_layer(layers, name):
    expected, answers = layers
    for answer in answers:
        drawn = {key: value.double() for key, value in answer[name]["drawn"].items()}
        assert_close(drawn, dict(expected[name]["drawn"]), rtol=0, atol=0)


TO_A_CONTEXT = {
    "by place": lambda layer, x, context: layer(x, context),
    "context by name": lambda layer, x, context: layer(x, context=context),
    "by name": lambda layer, x, context: layer(x=x, context=context),
}


def attended(call, cut):
    """On a rank, or in one process: attention to another sequence; the output and the gradients of both inputs."""
    with fixed_seed(5):
        layer = MultiHeadAttention(8, 4)
    layer = (tensor_parallel(layer) if cut else layer).double()
    x, context = random(BATCH, TIME, 8).requires_grad_(), random(BATCH, TIME + 2, 8, seed=1).requires_grad_()
    y = call(layer, x, context)
    y.sin().sum().backward()
    return y.detach(), x.grad, context.grad


@pytest.mark.parametrize("call", TO_A_CONTEXT)
def test_a_context_that_the_heads_of_all_ranks_read_gets_its_whole_gradient(call):
    expected = attended(TO_A_CONTEXT[call], cut=False)
    for answer in run_ranks(attended, 2, TO_A_CONTEXT[call], True):
        assert_close(answer, expected, **EXACT)


# The whole model, and torch's own tensor parallelism beside it.


def text(step):
    tokens = torch.randint(0, SIZES["vocabulary"], (BATCH, TIME + 1), generator=seeded(step))
    return tokens[:, :-1], tokens[:, 1:].flatten()


def trained(model, loss_of):
    """First logits and gradients, the loss of five steps, and the model after them."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    answer = {"losses": []}
    for step in range(STEPS):
        tokens, labels = text(step)
        logits = model(tokens)
        loss = loss_of(logits.flatten(0, 1), labels)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            answer["logits"] = logits.detach()
            answer["model"] = copy.deepcopy(model)
            for stand_in, parameter in zip(answer["model"].parameters(), model.parameters(), strict=True):
                stand_in.grad = parameter.grad
        optimizer.step()
        answer["losses"].append(loss.item())
    return answer


def train_on_ranks(state):
    model = tensor_parallel(built()).double()
    model.load_state_dict(shard_state_dict(state, model))
    answer = trained(model, LOSS)
    return {
        "losses": answer["losses"],
        "logits": gather_from_ranks(answer["logits"]),
        "gradients": gathered_gradients(answer["model"]),
        "state": gather_state_dict(model),
        "own state": {key: value.detach() for key, value in model.state_dict().items()},
    }


def train_with_dtensor(state):
    """The same, by torch.distributed.tensor.parallel."""
    model = built().double()
    model.load_state_dict(state)
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    plan = {
        "embedding": RowwiseParallel(input_layouts=Replicate()),
        "head": ColwiseParallel(output_layouts=Shard(-1), use_local_output=False),
    }
    for i, block in enumerate(model.blocks):
        block.attention.heads //= dist.get_world_size()
        plan |= {f"blocks.{i}.attention.{part}": ColwiseParallel() for part in ("query", "key", "value")}
        plan[f"blocks.{i}.attention.output"] = RowwiseParallel()
        plan |= {f"blocks.{i}.mlp.up": ColwiseParallel(), f"blocks.{i}.mlp.down": RowwiseParallel()}
    model = parallelize_module(with_torchs_linear(model), mesh, plan)
    with loss_parallel():
        answer = trained(model, F.cross_entropy)
    whole = {key: in_full(value) for key, value in model.state_dict().items()}
    gradients = {key: in_full(value.grad) for key, value in answer["model"].named_parameters()}
    return {"losses": answer["losses"], "gradients": gradients, "state": whole, "logits": in_full(answer["logits"])}


def with_torchs_linear(model):
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Linear):
                out_features, in_features = child.weight.shape
                torchs = nn.Linear(in_features, out_features, dtype=child.weight.dtype)
                torchs.load_state_dict(child.state_dict())
                setattr(module, name, torchs)
    return model


def in_full(value):
    return (value.full_tensor() if isinstance(value, DTensor) else value).detach()


@pytest.fixture(scope="module")
def start():
    with fixed_seed(1):
        return shaken(built()).state_dict()


@pytest.fixture(scope="module")
def one(start):
    model = built().double()
    model.load_state_dict(start)
    answer = trained(model, cross_entropy)
    gradients = {name: parameter.grad for name, parameter in answer["model"].named_parameters()}
    return answer | {"gradients": gradients, "state": model.state_dict()}


@pytest.fixture(scope="module", params=[2, 4], ids="{} ranks".format)
def runs(request, start):
    return run_ranks(train_on_ranks, request.param, start)


@pytest.fixture(scope="module")
def torchs(start):
    """On two ranks only: each has to load a second's worth of code for it."""
    return run_ranks(train_with_dtensor, 2, start)


def assert_same_training(answers, one):
    assert one["losses"][-1] < one["losses"][0]
    for answer in answers:
        assert_close(answer["logits"], one["logits"], **EXACT)
        assert_close(answer["gradients"], one["gradients"], **EXACT)
        assert answer["losses"] == pytest.approx(one["losses"], rel=AFTER_ADAM["rtol"])
        assert_close(answer["state"], dict(one["state"]), **AFTER_ADAM)


def test_training_on_ranks_is_training_in_one_process(runs, one):
    assert_same_training(runs, one)


def test_so_is_training_by_torchs_tensor_parallelism(torchs, one):
    assert_same_training(torchs, one)


def test_ours_and_torchs_tensor_parallelism_agree(runs, torchs):
    for ours in runs:
        assert_close(ours["gradients"], torchs[0]["gradients"], **EXACT)
        assert_close(ours["state"], torchs[0]["state"], **AFTER_ADAM)


def test_copies_stay_copies_through_five_steps(runs, one):
    for name, whole in one["state"].items():
        copies = [ours["own state"][name] for ours in runs]
        if copies[0].shape == whole.shape:
            assert all(torch.equal(other, copies[0]) for other in copies)


# The two ends.


def look_up(table, tokens):
    layer = VocabularyParallelEmbedding(*table.shape).double()
    layer.load_state_dict(shard_state_dict({"weight": table}, layer))
    y = layer(tokens)
    y.sin().sum().backward()
    return y.detach(), gather_from_ranks(layer.weight.grad, dim=0)


def test_an_embedding_cut_by_tokens_is_the_embedding():
    table, tokens = random(12, 5).requires_grad_(), torch.tensor([[0, 11, 5, 5], [6, 3, 2, 0]])
    expected = F.embedding(tokens, table)
    (gradient,) = torch.autograd.grad(expected.sin().sum(), table)
    for y, own in run_ranks(look_up, 4, table.detach(), tokens):
        assert torch.equal(y, expected)  # one addend is not zero: nothing is rounded
        assert_close(own, gradient, **EXACT)


def losses(cases):
    answers = []
    for logits, labels in cases:
        shard = split_to_ranks(logits).requires_grad_()
        loss = vocabulary_parallel_cross_entropy(shard, labels, vocabulary=8)
        (slope,) = torch.autograd.grad(3 * loss, shard)
        answers.append((loss.detach(), gather_from_ranks(slope)))
    return answers


@pytest.mark.equation("eq-vocabulary-parallel-cross-entropy")
@pytest.mark.parametrize("world_size", [2, 4])
def test_the_loss_of_cut_logits_is_the_loss(world_size):
    labels = torch.tensor([0, 7, 3, 4, 4])
    huge = torch.tensor([[1e4, 0, 0, 0, -1e4, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 1e4]]).double()
    never = random(1, 8)
    never[:, ::2] = -torch.inf
    cases = [(random(5, 8), labels), (random(5, 8) + 1e3, labels), (huge, torch.tensor([4, 6])), (never, labels[1:2])]
    for answers in run_ranks(losses, world_size, cases):
        for (logits, targets), (loss, slope) in zip(cases, answers, strict=True):
            whole = logits.clone().requires_grad_()
            expected = F.cross_entropy(whole, targets)
            # A shift by 1000 leaves the logits three digits less.
            assert_close(loss, expected.detach(), rtol=1e-11, atol=1e-12)
            assert_close(slope, torch.autograd.grad(3 * expected, whole)[0], rtol=1e-9, atol=1e-12)


# What it costs.


class AllReduces(TorchDispatchMode):
    """Sizes of what goes into an all-reduce, in elements."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.name() == "c10d::allreduce_":
            self.sizes += [tensor.numel() for tensor in args[0]]
        return function(*args, **(kwargs or {}))


def count_all_reduces():
    counts = {}
    for name in ("MLP", "attention", "block"):
        _, parallel, width, options = LAYERS[name]
        x = torch.randn(BATCH, TIME, width, requires_grad=True)
        with fixed_seed(5):
            layer = parallel()
        with AllReduces() as forward:
            y = layer(x, **options)
        with AllReduces() as backward:
            y.sum().backward()
        counts[name] = forward.sizes, backward.sizes
    model = tensor_parallel(built())
    tokens, labels = text(0)
    with AllReduces() as forward:
        loss = LOSS(model(tokens).flatten(0, 1), labels)
    with AllReduces() as backward:
        loss.backward()
    return counts | {"model": (forward.sizes, backward.sizes)}


def test_a_layer_costs_one_all_reduce_each_way_and_the_logits_never_travel():
    activation, examples, blocks = BATCH * TIME * 8, BATCH * TIME, SIZES["layers"]
    for counts in run_ranks(count_all_reduces, 2):
        assert counts["MLP"] == counts["attention"] == ([activation], [activation])
        assert counts["block"] == ([activation] * 2, [activation] * 2)
        # Forward the embedding, the blocks, then a maximum and two sums an example; backward the head and the blocks.
        assert counts["model"][0] == [activation] * (1 + 2 * blocks) + [examples] * 3
        assert counts["model"][1] == [activation] * (1 + 2 * blocks)


# Bad input.

LOGITS, LABELS = torch.zeros(2, 4), torch.tensor([0, 11])
BAD = {
    "out_features 8 must be divisible by ranks 3": (ValueError, lambda: ColumnParallelLinear(3, 8)),
    "in_features 8 must be divisible by ranks 3": (ValueError, lambda: RowParallelLinear(8, 3)),
    "out_features 32 must be divisible by ranks 3": (ValueError, lambda: seen(MLP, 9, 32)),
    "heads 4 must be divisible by ranks 3": (ValueError, lambda: seen(MultiHeadAttention, 12, 4)),
    "kv_heads 2 must be divisible by ranks 3": (ValueError, lambda: seen(MultiHeadAttention, 18, 6, kv_heads=2)),
    "model must hold attention or an MLP of lib.architectures to be cut, got Linear": (ValueError, lambda: seen(Linear, 3, 3)),
    "model must be a torch.nn.Module, got builtin_function_or_method": (TypeError, lambda: tensor_parallel(len)),
    "model must be the same on all ranks, got up.weight (float32 [9, 3], numbers ": (ValueError, lambda: tensor_parallel(MLP(3, 9))),
    "a table to be cut must have neither padding_idx nor": (
        ValueError, lambda: VocabularyParallelEmbedding.of(torch.nn.Embedding(9, 4, padding_idx=0)),
    ),
    "out_features must be an int, got float 6.0": (TypeError, lambda: ColumnParallelLinear(3, 6.0)),
    "out_features 8 must be divisible by ranks 3 ": (
        ValueError, lambda: seen(lambda: built(width=6, heads=3, mlp_width=8)),
    ),
    "vocabulary must be given, to tell a part of the logits from the whole, got None and 3 ranks": (
        ValueError, lambda: vocabulary_parallel_cross_entropy(LOGITS, LABELS),
    ),
    "logits_shard must have 4 columns, one of 3 parts of a vocabulary of 12, got shape (2, 12)": (
        ValueError, lambda: LOSS(torch.zeros(2, 12), LABELS),
    ),
    "max_norm must be positive, got 0": (ValueError, lambda: clip_gradients(nn.Linear(2, 2), 0)),
    "model must have gradients, got none": (ValueError, lambda: gradient_norm(nn.Linear(2, 2))),
    "replicas must be the same on all ranks, got weight (float32 [1, 1], numbers ": (
        ValueError, lambda: assert_replicas_equal(nn.Linear(1, 1)),
    ),
    "tokens must lie in 0 … 8, the vocabulary, got 9": (ValueError, lambda: VocabularyParallelEmbedding(9, 4)(torch.tensor([9]))),
    "tokens must lie in 0 … 8, the vocabulary, got -1": (ValueError, lambda: VocabularyParallelEmbedding(9, 4)(torch.tensor([-1]))),
    "tokens must be a tensor of indices of dtype torch.int64, got torch.int32": (
        TypeError,
        lambda: VocabularyParallelEmbedding(9, 4)(torch.tensor([1], dtype=torch.int32)),
    ),
    "tokens must hold at least one element": (
        ValueError,
        lambda: VocabularyParallelEmbedding(9, 4)(torch.zeros(0, 2).long()),
    ),
    "x and weight must agree on in_features, got 12 and 4": (ValueError, lambda: RowParallelLinear(12, 3)(torch.zeros(2, 12))),
    "labels must lie in 0 … 11, the vocabulary, got 12": (ValueError, lambda: LOSS(LOGITS, LABELS + 1)),
    "labels must be a tensor of indices of dtype torch.int64, got torch.float32": (
        TypeError,
        lambda: LOSS(LOGITS, LABELS.float()),
    ),
    "logits_shard must have 2 axes": (ValueError, lambda: LOSS(LOGITS[0], LABELS)),
    "logits_shard must be floating point": (
        TypeError,
        lambda: LOSS(LOGITS.long(), LABELS),
    ),
    "logits_shard must hold at least one element": (
        ValueError,
        lambda: LOSS(LOGITS[:0], LABELS[:0]),
    ),
    "logits_shard and labels must have the same length": (
        ValueError,
        lambda: LOSS(LOGITS[:1], LABELS),
    ),
    "ranks must agree on call, shape and dtype, got ranks 0 2: vocabulary_parallel_cross_entropy of torch.float32 (2, 4), rank 1": (
        ValueError,
        lambda: LOSS(torch.zeros(2 + dist.get_rank() % 2, 4), LABELS[[0, 1, 1]][: 2 + dist.get_rank() % 2]),
    ),
    "ranks must agree on call, shape and dtype, got ranks 0 2: reduce_from_ranks": (
        ValueError,
        lambda: RowParallelLinear(12, 3)(torch.zeros(2 + dist.get_rank() % 2, 4)),
    ),
    "weight must have size 9 on axis 0, got shape (8, 3)": (
        ValueError,
        lambda: shard_state_dict({"weight": torch.zeros(8, 3)}, ColumnParallelLinear(3, 9)),
    ),
    "got one that embedding and head share": (
        ValueError,
        lambda: tensor_parallel(
            Transformer(TransformerConfig(layers=1, width=6, heads=3, vocabulary=6, context=4, tied=True))
        ),
    ),
}  # fmt: skip


def refusals(calls):
    """On a rank: what each call raises. All ranks refuse, so none waits for another."""
    answers = {}
    for name, call in calls.items():
        try:
            call()
        except Exception as error:
            answers[name] = error
    return answers


@pytest.fixture(scope="module")
def refused():
    return run_ranks(refusals, 3, {message: call for message, (_, call) in BAD.items()}, check=True)


@pytest.mark.bad_input
@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_refused_on_every_rank_with_the_value_and_the_rule(refused, message):
    for answers in refused:
        assert type(answers[message]) is BAD[message][0]
        assert re.search(re.escape(message.strip()), str(answers[message]))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "call",
    [
        lambda: ColumnParallelLinear(4, 4),
        lambda: RowParallelLinear(4, 4),
        lambda: tensor_parallel(Block(4, 2, 8)),
        lambda: gather_state_dict(nn.Linear(2, 2)),
        lambda: gradient_norm(nn.Linear(2, 2)),
        lambda: VocabularyParallelEmbedding(4, 4),
        lambda: LOSS(LOGITS, LABELS),
        lambda: shard_state_dict({}, nn.Linear(2, 2)),
    ],
)
def test_outside_of_a_process_group_the_way_in_is_named(call):
    with pytest.raises(ValueError, match=r"a process group must exist, got none: call this inside .* run_ranks"):
        call()


def test_the_first_loss_is_that_of_a_uniform_guess():
    """As in one process: the cut model starts from GPT's small weights."""
    for loss in run_ranks(first_loss, 2):
        assert loss == pytest.approx(math.log(12), abs=0.01)


def first_loss():
    with fixed_seed(0):
        model = tensor_parallel(built())
    tokens, labels = text(0)
    return LOSS(model(tokens).flatten(0, 1), labels).item()


# Where parameters lie, and what follows from it.


def by_placement():
    """Norm, clipping, the joined state, copies that are equal; of a model whose vocabulary the ranks do not divide."""
    tokens = torch.randint(0, 13, (BATCH, TIME + 1), generator=seeded(0))
    inputs, labels = tokens[:, :-1], tokens[:, 1:].flatten()
    whole = shaken(built(vocabulary=13))
    model = tensor_parallel(whole)
    loss = cross_entropy(whole(inputs).flatten(0, 1), labels)
    own_loss = vocabulary_parallel_cross_entropy(model(inputs).flatten(0, 1), labels, vocabulary=13)
    loss.backward()
    own_loss.backward()
    assert_close(own_loss, loss, **EXACT)
    length = nn.utils.clip_grad_norm_(whole.parameters(), 0.1)
    assert_close(gradient_norm(model), length, **EXACT)
    assert_close(clip_gradients(model, 0.1), length, **EXACT)
    assert_close(
        gathered_gradients(model), {name: p.grad for name, p in whole.named_parameters()}, rtol=1e-9, atol=1e-12
    )
    assert_replicas_equal(model)
    assert_close(gather_state_dict(model), dict(whole.state_dict()), rtol=0, atol=0)
    # Behind the end of the vocabulary stand zeros that no gradient reaches.
    padding = -(-13 // dist.get_world_size()) * (dist.get_rank() + 1) - 13
    for part in (model.embedding.weight, model.head.weight, model.head.bias):
        behind = slice(max(0, len(part) - max(0, padding)), None)
        assert part.detach()[behind].count_nonzero() == part.grad[behind].count_nonzero() == 0
    # A clipped gradient that is short already stays.
    assert_close(clip_gradients(model, 10.0), torch.tensor(0.1).double(), rtol=1e-4, atol=0)
    return sum(placement.axis is not None for placement in placements(model).values()), padding


@pytest.mark.parametrize("ranks", [2, 4])
def test_norm_clipping_and_state_follow_from_the_placements_also_with_padding(ranks):
    answers = run_ranks(by_placement, ranks)
    # Of each block q, k, v and up with their biases, output and down without; of the ends three.
    assert [cut for cut, _ in answers] == [2 * (4 * 2 + 2) + 3] * ranks
    assert answers[-1][1] > 0


def drawn_apart(seed):
    with deferred(seed) as draws:
        whole = Transformer(TransformerConfig(**SIZES))
    assert all(parameter.is_meta for parameter in whole.parameters())
    model = draws.fill(tensor_parallel(whole), whole)
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    with deferred(seed) as draws:
        tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        tied[1].weight = tied[0].weight
    draws.fill(tied, tied)
    assert tied[0].weight is tied[1].weight
    return gather_state_dict(model), {name: value.clone() for name, value in tied.state_dict().items()}


def test_what_is_built_without_memory_is_drawn_in_parts_as_one_process_draws_it():
    before = torch.get_rng_state()
    for state, tied in run_ranks(drawn_apart, 2, 3):
        with fixed_seed(3):
            expected = Transformer(TransformerConfig(**SIZES))
        assert_close(state, dict(expected.state_dict()), rtol=0, atol=0)
        with fixed_seed(3):
            expected = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
            expected[1].weight = expected[0].weight
        assert_close(tied, dict(expected.state_dict()), rtol=0, atol=0)
    assert not torch.equal(torch.get_rng_state(), before)  # the ranks' seed was drawn


@pytest.mark.bad_input
def test_a_parameter_that_is_made_of_others_is_not_believed_to_be_drawn():
    with deferred(0) as draws:
        layer = nn.Linear(2, 2)
        layer.weight = nn.Parameter(layer.weight.detach() * 2)
    with pytest.raises(ValueError, match="weight must have been drawn or set where the model was built"):
        draws.fill(layer, layer)


class Twice(nn.Module):
    """One cut layer under two names, and a whole parameter."""

    def __init__(self):
        super().__init__()
        self.first = ColumnParallelLinear(4, 6, bias=False)
        self.again = self.first
        self.scale = nn.Parameter(torch.ones(4))


def shared_and_wrapped():
    wrapped = nn.Sequential(nn.Sequential(Twice()))
    state = gather_state_dict(wrapped)
    wrapped.load_state_dict(shard_state_dict(state, wrapped))
    assert_close(gather_state_dict(wrapped), state, rtol=0, atol=0)
    return {name: tuple(value.shape) for name, value in state.items()}


def test_a_layer_under_two_names_inside_wrappers_is_joined_whole_under_both():
    shapes = {"0.0.scale": (4,), "0.0.first.weight": (6, 4), "0.0.again.weight": (6, 4)}
    assert run_ranks(shared_and_wrapped, 2) == [shapes] * 2


def test_a_bias_behind_the_sum_is_rank_0s_whatever_the_ranks_have_drawn():
    first, second = run_ranks(lambda: RowParallelLinear(4, 3).bias.detach(), 2)
    assert torch.equal(first, second)
