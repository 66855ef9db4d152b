"""Ranks that share their gradients train the model that one process trains."""

import copy

import cloudpickle
import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

from lib.architectures import Linear
from lib.core import fixed_seed, seeded
from lib.parallelism import ColumnParallelLinear, run_ranks
from lib.parallelism.bucketed_data_parallel import BucketedDataParallel
from lib.parallelism.data_parallel import average_gradients, weigh_by_examples

BATCH, STEPS = 24, 5
FORMS = ("plain", "bucketed", "one bucket", "torch")
# In float64 a sum in another order differs by 1e-16 of its terms. Adam divides a gradient by its own size and so keeps
# relative errors; only entries near its epsilon, 1e-8, could lift one to 1e-16 / 1e-8 of a step of 1e-2.
EXACT = {"rtol": 1e-10, "atol": 1e-10}


class Net(nn.Module):
    """Small, but with what a careless average gets wrong: a layer used twice, a frozen parameter, a scalar."""

    def __init__(self, norm=None):
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 3)
        self.norm = norm
        self.dense = nn.Linear(36, 36)
        self.again = self.dense
        self.scale = nn.Parameter(torch.tensor(1.5))
        self.shift = nn.Parameter(torch.full((36,), 0.1), requires_grad=False)
        self.head = nn.Linear(36, 3)

    def forward(self, x):
        x = self.convolution(x)
        if self.norm is not None:
            x = self.norm(x)
        x = self.dense(F.gelu(x).flatten(1))
        return self.head(F.gelu(self.again(F.gelu(x) * self.scale + self.shift)))


def net(norm=None, seed=0):
    with fixed_seed(seed):
        return Net(norm).double()


def batches(steps=STEPS, examples=BATCH):
    generator = seeded(1)
    for _ in range(steps):
        inputs = torch.randn(examples, 1, 5, 5, generator=generator, dtype=torch.float64)
        yield inputs, torch.randint(0, 3, (examples,), generator=generator)


def wrapped(model, form):
    if form == "bucketed":
        return BucketedDataParallel(model, bucket_bytes=2000)
    if form == "one bucket":
        return BucketedDataParallel(model)
    return nn.parallel.DistributedDataParallel(model) if form == "torch" else model


def gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def trained(form, counts, *, weighted=False, norm=None):
    """Five Adam steps on this rank's share; outputs, loss and gradients of each step, parameters at the end."""
    rank = 0 if form == "alone" else dist.get_rank()
    # A wrapper copies rank 0's parameters; the plain form has to begin with them.
    model = net(norm, seed=0 if form == "plain" else rank)
    parallel = wrapped(model, form)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    history = []
    for inputs, labels in batches(examples=sum(counts)):
        inputs, labels = inputs.split(counts)[rank], labels.split(counts)[rank]
        optimizer.zero_grad()
        outputs = parallel(inputs)
        loss = F.cross_entropy(outputs, labels) if len(labels) else outputs.sum()
        (weigh_by_examples(loss, len(labels)) if weighted else loss).backward()
        if form == "plain":
            average_gradients(model)
        history.append((outputs.detach(), loss.item(), gradients(model)))
        optimizer.step()
    return history, {name: value.clone() for name, value in model.state_dict().items()}


def beside_torch():
    """Parameters after five steps of ours and of torch's, in float32."""
    after = []
    for form in ("one bucket", "torch"):
        with fixed_seed(3):
            model = Net()
        parallel = wrapped(model, form)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for inputs, labels in batches():
            mine = slice(dist.get_rank(), None, dist.get_world_size())
            optimizer.zero_grad()
            F.cross_entropy(parallel(inputs[mine].float()), labels[mine]).backward()
            optimizer.step()
        after.append(nn.utils.parameters_to_vector(model.parameters()).detach())
    return after


EQUAL = {2: [12, 12], 4: [6, 6, 6, 6]}
UNEQUAL = {2: [6, 4], 4: [5, 3, 2, 0]}
NORMS = {"batch": lambda: nn.BatchNorm2d(4), "group": lambda: nn.GroupNorm(2, 4)}


def every_training():
    ranks = dist.get_world_size()
    runs = {"beside torch": beside_torch()}
    for form in FORMS:
        runs["equal", form] = trained(form, EQUAL[ranks])
        runs["weighted", form] = trained(form, UNEQUAL[ranks], weighted=True)
        runs["not weighted", form] = trained(form, UNEQUAL[2] if ranks == 2 else [7, 7, 5, 5])
        for name, norm in NORMS.items():
            runs[name, form] = trained(form, EQUAL[ranks], norm=norm())
    return runs


@pytest.fixture(scope="module")
def runs():
    """What each rank of two and of four has to tell; one launch each, because a rank's first optimizer loads for seconds."""
    answers = {ranks: run_ranks(every_training, ranks) for ranks in (2, 4)}
    return lambda ranks, *case: [answer[case if len(case) > 1 else case[0]] for answer in answers[ranks]]


@pytest.fixture(scope="module")
def alone():
    """The same training in one process, on the whole batch."""
    return {
        "equal": trained("alone", [BATCH]),
        "unequal": trained("alone", [10]),
        **{name: trained("alone", [BATCH], norm=norm()) for name, norm in NORMS.items()},
    }


def assert_same_training(answers, counts, expected):
    """Outputs are the parts of one process's, losses average to its loss; gradients and parameters are its own."""
    steps, parameters = expected
    shares = torch.tensor(counts, dtype=torch.float64) / sum(counts)
    for step, (outputs, loss, of_batch) in enumerate(steps):
        assert_close(torch.cat([history[step][0] for history, _ in answers]), outputs, **EXACT)
        losses = torch.tensor([history[step][1] for history, _ in answers], dtype=torch.float64)
        assert_close((shares * losses).sum().item(), loss, **EXACT)
        for history, _ in answers:
            assert_close(history[step][2], of_batch, **EXACT)
    for _, state in answers:
        assert_close(state, parameters, **EXACT)


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("form", FORMS)
def test_ranks_train_as_one_process(runs, alone, ranks, form):
    assert_same_training(runs(ranks, "equal", form), EQUAL[ranks], alone["equal"])


@pytest.mark.equation("eq-data-parallel-gradient")
@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("form", FORMS)
def test_unequal_shards_are_weighted_by_their_examples(runs, alone, ranks, form):
    assert_same_training(runs(ranks, "weighted", form), UNEQUAL[ranks], alone["unequal"])


@pytest.mark.parametrize("form", FORMS)
def test_the_mean_of_unequal_shards_means_is_another_gradient(runs, alone, form):
    for history, _ in runs(2, "not weighted", form):
        apart = history[0][2]["head.bias"] - alone["unequal"][0][0][2]["head.bias"]
        assert apart.abs().max() > 1e-3


def test_parameters_are_bitwise_those_of_torch_on_two_ranks_and_on_four_but_for_the_order_of_sums(runs):
    for ours, torchs in runs(2, "beside torch"):
        assert torch.equal(ours, torchs)
    for ours, torchs in runs(4, "beside torch"):
        # Four addends: the ring's order depends on the place in the bucket. A few float32 roundings over five steps.
        assert_close(ours, torchs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("form", FORMS)
def test_batch_norm_is_the_exception_and_group_norm_is_not(runs, alone, ranks, form):
    answers, (steps, _) = runs(ranks, "batch", form), alone["batch"]
    # Statistics of a part of the batch, already in the first step's outputs and gradients …
    first_outputs = torch.cat([history[0][0] for history, _ in answers])
    assert (first_outputs - steps[0][0]).abs().max() > 1e-2
    assert (answers[0][0][0][2]["head.weight"] - steps[0][2]["head.weight"]).abs().max() > 1e-3
    # … and running statistics of its own part on each rank, which nobody averages; the bucketed form copies rank 0's.
    apart = answers[0][1]["norm.running_mean"] - answers[1][1]["norm.running_mean"]
    assert (apart.abs().max() > 1e-4) == (form in ("plain", "torch"))
    if form == "bucketed":
        assert_close(answers[0][1]["norm.running_mean"], runs(ranks, "batch", "torch")[0][1]["norm.running_mean"])
    assert_same_training(runs(ranks, "group", form), EQUAL[ranks], alone["group"])


def weights_of(counts):
    return weigh_by_examples(torch.tensor(2.0), counts[dist.get_rank()]).item()


def test_the_weight_is_one_where_shards_are_equal():
    assert run_ranks(weights_of, 2, [7, 7]) == [2.0, 2.0]
    assert run_ranks(weights_of, 2, [6, 4]) == pytest.approx([2 * 1.2, 2 * 0.8])


class Branches(nn.Module):
    """Uses its layers in the order asked for, and not the others."""

    def __init__(self):
        super().__init__()
        with fixed_seed(0):
            self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(4))
        self.double()

    def forward(self, x, order):
        for index in order:
            x = torch.tanh(self.layers[index](x))
        return x


def gradients_of_branches(orders, form, bucket_bytes):
    model = Branches()
    order = orders[dist.get_rank()]
    parallel = BucketedDataParallel(model, bucket_bytes=bucket_bytes) if form == "bucketed" else model
    for _ in range(2):
        model.zero_grad()
        parallel(torch.ones(1, 4).double(), order).sum().backward()
        if form == "plain":
            average_gradients(model)
    return gradients(model)


@pytest.mark.parametrize("form", ["plain", "bucketed"])
@pytest.mark.parametrize("bucket_bytes", [1, 200, 2**20])
def test_ranks_may_use_different_layers_in_different_order(form, bucket_bytes):
    orders = [(0, 1, 2), (2, 0)]
    model = Branches()
    sum(model(torch.ones(1, 4).double(), order).sum() / 2 for order in orders).backward()
    expected = gradients(model)
    assert sorted(expected) == [f"layers.{index}.{kind}" for index in range(3) for kind in ("bias", "weight")]
    for received in run_ranks(gradients_of_branches, 2, orders, form, bucket_bytes):
        # Layer 3 was used nowhere and keeps None, as in one process; layer 1 only on rank 0.
        assert_close(received, expected, **EXACT)


def recorded(rounds, bucket_bytes=800):
    """Run the rounds and note each all-reduce: its length, and which gradients existed when it began."""
    model = net()
    parallel = BucketedDataParallel(model, bucket_bytes=bucket_bytes)
    calls, all_reduce = [], dist.all_reduce

    def noting(tensor, **settings):
        calls.append((tensor.numel(), sorted(gradients(model)), settings["async_op"]))
        return all_reduce(tensor, **settings)

    dist.all_reduce = noting
    result = rounds(model, parallel)
    return calls, result


def one_backward(model, parallel):
    ((inputs, labels),) = batches(steps=1)
    mine = slice(dist.get_rank(), None, dist.get_world_size()) if dist.is_initialized() else slice(None)
    F.cross_entropy(parallel(inputs[mine]), labels[mine]).backward()


def test_a_full_bucket_leaves_while_earlier_layers_have_no_gradient_yet():
    (calls, _), _ = run_ranks(recorded, 2, one_backward)
    # From the last parameter to the first: head 3·36 + 3, then the dense layer's bias and weight, which the net
    # registers twice and which travel once; then convolution and, registered before the layers, the scalar.
    # The frozen shift never travels. Each message carries one number more for each parameter.
    lengths = [length for length, _, _ in calls]
    assert sum(lengths) == (108 + 3) + (36 * 36 + 36) + (36 + 4) + 1 + 7
    assert len(lengths) == 3
    first = calls[0]
    assert first[1]
    assert "convolution.weight" not in first[1]
    assert "convolution.weight" in calls[-1][1]
    assert all(is_asynchronous for _, _, is_asynchronous in calls)


def test_a_bucket_is_full_with_its_last_byte():
    def messages():
        model = nn.Sequential(nn.Linear(4, 2, bias=False), nn.Linear(2, 4, bias=False))  # of 32 bytes each
        return [len(BucketedDataParallel(model, bucket_bytes=size)._buckets) for size in (32, 33, 64)]

    assert run_ranks(messages, 1) == [[2, 1, 1]]


def three_rounds_then_one(model, parallel):
    sent = []
    ((inputs, labels),) = batches(steps=1)
    parts = list(zip(inputs.chunk(8), labels.chunk(8), strict=True))[dist.get_rank() :: 2]
    with parallel.accumulating():
        for part, its_labels in parts[:-1]:
            (F.cross_entropy(parallel(part), its_labels) / 4).backward()
        sent.append(gradients(model)["head.bias"])
    (F.cross_entropy(parallel(parts[-1][0]), parts[-1][1]) / 4).backward()
    return sent, gradients(model)


def test_accumulating_sends_nothing_until_the_last_round():
    model = net()
    one_backward(model, model)
    answers = run_ranks(recorded, 2, three_rounds_then_one)
    assert not torch.equal(answers[0][1][0][0], answers[1][1][0][0])  # local until then
    for calls, (_, received) in answers:
        assert len(calls) == 3  # as many as one backward pass sends
        assert_close(received, gradients(model), **EXACT)


def after_an_error_inside_accumulating():
    model = net()
    parallel = BucketedDataParallel(model)
    with pytest.raises(KeyError), parallel.accumulating():
        raise KeyError
    one_backward(model, parallel)
    return gradients(model)


def after_an_error_inside_backward():
    model = net()
    parallel = BucketedDataParallel(model, bucket_bytes=1)

    def broken(gradient):
        raise ArithmeticError("the gradient is not to my taste")

    handle = model.convolution.bias.register_hook(broken)
    with pytest.raises(ArithmeticError):
        one_backward(model, parallel)
    handle.remove()
    model.zero_grad()
    one_backward(model, parallel)
    return gradients(model)


@pytest.mark.parametrize("step", [after_an_error_inside_accumulating, after_an_error_inside_backward])
def test_the_step_after_an_error_is_right(step):
    model = net()
    one_backward(model, model)
    for received in run_ranks(step, 2):
        assert_close(received, gradients(model), **EXACT)


def after_construction():
    model = net(nn.BatchNorm2d(4), seed=dist.get_rank())
    model.norm.running_mean += dist.get_rank()
    model.convolution.to(memory_format=torch.channels_last if dist.get_rank() else torch.contiguous_format)
    keys = list(model.state_dict())
    parallel = BucketedDataParallel(model)
    assert list(parallel.state_dict()) == keys
    parallel.load_state_dict(parallel.state_dict())
    return {name: value.contiguous() for name, value in parallel.state_dict().items()}


def test_all_ranks_begin_with_rank_0s_parameters_and_buffers_under_the_models_own_names():
    first, second = run_ranks(after_construction, 2)
    assert_close(second, first, rtol=0, atol=0)
    assert_close(first, net(nn.BatchNorm2d(4), seed=0).state_dict(), rtol=0, atol=0)


def layouts_and_types(form):
    """Weights that lie in memory differently on the two ranks, float32 and float64 in one model."""
    with fixed_seed(0):
        model = nn.Sequential(nn.Conv2d(3, 5, 2), nn.Flatten(), nn.Linear(20, 2)).double()
    model[2].weight.data = model[2].weight.data.float()
    model[2].bias.data = model[2].bias.data.float()
    if dist.get_rank():
        model[0].to(memory_format=torch.channels_last)
    parallel = BucketedDataParallel(model) if form == "bucketed" else model
    x = torch.randn(4, 3, 3, 3, generator=seeded(5), dtype=torch.float64).chunk(2)[dist.get_rank()]
    hidden = parallel[:2](x) if form == "plain" else model[:2](x)
    model[2](hidden.float()).square().mean().backward()
    if form == "plain":
        average_gradients(model)
    return gradients(model)


@pytest.mark.parametrize("form", ["plain", "bucketed"])
def test_memory_layout_and_mixed_types_do_not_matter(form):
    first, second = run_ranks(layouts_and_types, 2, form)
    assert_close(first, second, rtol=0, atol=0)
    with fixed_seed(0):
        model = nn.Sequential(nn.Conv2d(3, 5, 2), nn.Flatten(), nn.Linear(20, 2)).double()
    model(torch.randn(4, 3, 3, 3, generator=seeded(5), dtype=torch.float64)).square().mean().backward()
    for name, gradient in gradients(model).items():
        assert_close(first[name].double(), gradient, rtol=1e-5, atol=1e-6)  # float32 in one layer


def in_two_groups():
    groups = [dist.new_group([0, 1]), dist.new_group([2, 3])]
    group = groups[dist.get_rank() // 2]
    model = net(seed=dist.get_rank())
    parallel = BucketedDataParallel(model, group=group)
    (parallel(torch.ones(1, 1, 5, 5).double() * dist.get_rank()).sum()).backward()
    return gradients(model)


def test_groups_average_among_themselves():
    answers = run_ranks(in_two_groups, 4)
    for first in (0, 2):
        model = net(seed=first)  # the group's own rank 0
        model(torch.ones(2, 1, 5, 5).double() * torch.tensor([first, first + 1.0]).view(2, 1, 1, 1)).sum().div(
            2
        ).backward()
        for received in answers[first : first + 2]:
            assert_close(received, gradients(model), **EXACT)


def closed():
    model = net()
    parallel = BucketedDataParallel(model)
    assert all(p._post_accumulate_grad_hooks for p in model.parameters() if p.requires_grad)
    parallel.close()
    parallel.close()
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())
    parallel(torch.ones(1, 1, 5, 5).double() * (1 + dist.get_rank())).sum().backward()
    return gradients(model)["convolution.weight"]


def test_close_leaves_no_hook_and_backward_is_local_again():
    first, second = run_ranks(closed, 2)
    assert not torch.equal(first, second)


class Recipe:
    """A model that differs between ranks in one respect."""

    def __init__(self, difference):
        self.difference = difference

    def __call__(self, form):
        width, dtype, names = 3, torch.float32, ("a", "b")
        odd = dist.get_rank() == 1
        if odd and self.difference == "shape":
            width = 4
        if odd and self.difference == "dtype":
            dtype = torch.float64
        if odd and self.difference == "order":
            names = ("b", "a")
        if odd and self.difference == "number":
            names = ("a",)
        model = nn.ModuleDict({name: nn.Linear(width, 2).to(dtype) for name in names})
        model.register_buffer("count", torch.zeros(2 if odd and self.difference == "buffer" else 3))
        model["a"].weight.requires_grad_(not (odd and self.difference == "frozen"))
        average_gradients(model) if form == "plain" else BucketedDataParallel(model)


@pytest.mark.bad_input
@pytest.mark.parametrize("form", ["plain", "bucketed"])
@pytest.mark.parametrize(
    ("difference", "message"),
    [
        ("shape", r"a.weight \(float32 \[2, 3\]\) on rank 0 and a.weight \(float32 \[2, 4\]\) on rank 1"),
        ("dtype", r"a.weight \(float32 \[2, 3\]\) on rank 0 and a.weight \(float64 \[2, 3\]\) on rank 1"),
        ("order", r"a.weight \(float32 \[2, 3\]\) on rank 0 and b.weight"),
        ("number", r"b.weight \(float32 \[2, 3\]\) on rank 0 and count"),
        ("buffer", r"count \(buffer float32 \[3\]\) on rank 0 and count \(buffer float32 \[2\]\) on rank 1"),
        ("frozen", r"a.weight \(float32 \[2, 3\]\) on rank 0 and a.weight \(frozen float32 \[2, 3\]\) on rank 1"),
    ],
)
def test_ranks_with_different_models_are_told_and_do_not_hang(form, difference, message):
    # The plain form compares at each step, and so only where ranks check each other.
    with pytest.raises(RuntimeError, match=f"model must be the same on all ranks, got {message}"):
        run_ranks(Recipe(difference), 2, form, check=form == "plain")


def changed_after_construction():
    model = net()
    parallel = BucketedDataParallel(model)
    model.shift.requires_grad_(True)
    with torch.no_grad():
        parallel(torch.ones(1, 1, 5, 5).double())  # nothing to average, nothing to say
    parallel(torch.ones(1, 1, 5, 5).double())


def a_sparse_gradient():
    table = nn.Parameter(torch.ones(5, 2))
    model = nn.Module()
    model.table = table
    F.embedding(torch.tensor([1]), table, sparse=True).sum().backward()
    average_gradients(model)


def empty_everywhere():
    weigh_by_examples(torch.tensor(1.0), 0)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (
            lambda: BucketedDataParallel(len),
            "TypeError: model must be a torch.nn.Module, got builtin_function_or_method",
        ),
        (lambda: BucketedDataParallel(net(), bucket_bytes=0), "ValueError: bucket_bytes must be at least 1, got 0"),
        (lambda: BucketedDataParallel(net(), bucket_bytes=1e6), "TypeError: bucket_bytes must be an int, got float"),
        (lambda: BucketedDataParallel(nn.ReLU()), "ValueError: model must have a parameter that needs a gradient"),
        (changed_after_construction, "ValueError: parameters must stay .* got a new or unfrozen 'shift'"),
        (lambda: weigh_by_examples(torch.tensor(1.0), -1), "ValueError: examples must be at least 0, got -1"),
        (lambda: weigh_by_examples(torch.tensor(1.0), 2.5), "TypeError: examples must be an int, got float 2.5"),
        (
            lambda: BucketedDataParallel(nn.Sequential(nn.Embedding(5, 2, sparse=True))),
            "ValueError: gradients must be dense to be averaged, got sparse=True in '0'",
        ),
        (a_sparse_gradient, r"ValueError: gradients must be dense, got a sparse one of shape \(5, 2\)"),
        (
            lambda: BucketedDataParallel(ColumnParallelLinear(4, 4)),
            "ValueError: parameters must be copies to be averaged, got 'weight', of which each rank holds another part",
        ),
        (empty_everywhere, "ValueError: examples must be at least 1 on one rank, got 0 on all"),
    ],
)
def test_bad_input_on_a_rank_names_the_value_and_the_rule(fn, message):
    with pytest.raises(RuntimeError, match=message):
        run_ranks(fn, 2)


def half(form):
    layer = nn.Linear(1, 1, bias=False).half()
    model = BucketedDataParallel(layer) if form == "bucketed" else layer
    model(torch.full((1, 1), 40_000.0, dtype=torch.float16)).sum().backward()
    if form == "plain":
        average_gradients(layer)
    return layer.weight.grad.item()


@pytest.mark.parametrize("form", ["plain", "bucketed"])
def test_the_mean_of_float16_gradients_fits_where_their_sum_does_not(form):
    assert run_ranks(half, 2, form) == [40_000.0] * 2


def copied(how):
    model = BucketedDataParallel(net(), bucket_bytes=2000)
    if how == "of a closed one":
        model.close()
    twin = cloudpickle.loads(cloudpickle.dumps(model)) if how == "pickled" else copy.deepcopy(model)
    assert not {id(p) for p in twin.parameters()} & {id(p) for p in model.parameters()}
    one_backward(twin.model, twin)
    return gradients(twin.model), len(twin._buckets) == len(model._buckets) > 1, not gradients(model.model)


@pytest.mark.parametrize("how", ["deep", "pickled", "of a closed one"])
def test_a_copy_is_data_parallel_too(how):
    model = net()
    one_backward(model, model)
    for received, as_many_buckets, untouched in run_ranks(copied, 2, how):
        assert untouched
        assert as_many_buckets
        if how == "of a closed one":
            assert not torch.equal(received["head.bias"], gradients(model)["head.bias"])
        else:
            assert_close(received, gradients(model), **EXACT)


def copied_in_a_group():
    group = dist.new_group([0, 1])
    return copy.deepcopy(BucketedDataParallel(nn.Linear(2, 1), group=group))._group is group


def test_a_copy_meets_in_the_same_group():
    assert run_ranks(copied_in_a_group, 2) == [True, True]


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = BucketedDataParallel(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
        self.critic = nn.Linear(2, 1)


def nested():
    pair = Pair()
    state = {name: value.clone() for name, value in pair.state_dict().items()}
    with torch.no_grad():
        for parameter in pair.parameters():
            parameter.zero_()
    pair.load_state_dict(state)
    assert_close(dict(pair.state_dict()), state, rtol=0, atol=0)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        pair.load_state_dict(state | {"model.9.weight": torch.ones(1)})
    return list(state)


def test_inside_another_module_it_keeps_the_models_own_names_and_loads_them():
    names = [f"model.{name}" for name in nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).state_dict()]
    assert run_ranks(nested, 2) == [[*names, "critic.weight", "critic.bias"]] * 2


def statistics_after_backward():
    model = BucketedDataParallel(nn.BatchNorm1d(2))
    for _ in range(2):
        model(torch.randn(8, 2)).sum().backward()
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_after_each_backward_pass_all_ranks_have_rank_0s_running_statistics():
    first, second = run_ranks(statistics_after_backward, 2)
    assert_close(first, second, rtol=0, atol=0)
    assert first["num_batches_tracked"] == 2
    assert first["running_mean"].abs().min() > 0


class Reused(nn.Module):
    """One layer used under a reentrant checkpoint and once more, before it or after."""

    def __init__(self, again):
        super().__init__()
        with fixed_seed(0):
            self.layer = nn.Linear(3, 3).double()
        self.again = again

    def forward(self, x):
        if self.again == "before":
            x = self.layer(x)
        x = checkpoint(self.layer, x, use_reentrant=True)
        if self.again == "checkpointed":
            x = checkpoint(self.layer, torch.tanh(x), use_reentrant=True)
        return self.layer(torch.tanh(x)) if self.again == "after" else x


def reused(again):
    model = Reused(again)
    parallel = BucketedDataParallel(model, bucket_bytes=1) if dist.is_initialized() else model
    rows = slice(dist.get_rank(), None, 2) if dist.is_initialized() else slice(None)
    x = torch.randn(4, 3, generator=seeded(0), dtype=torch.float64)[rows].requires_grad_()
    parallel(x).square().mean().backward()
    return gradients(model)


@pytest.mark.parametrize("again", ["before", "after", "checkpointed"])
def test_a_parameter_that_gets_two_gradients_in_one_backward_pass_is_right_or_refused(again):
    expected = reused(again)
    try:
        answers = run_ranks(reused, 2, again)
    except RuntimeError as error:
        assert "has got a second gradient in one backward pass after the first was sent" in str(error)  # noqa: PT017
    else:
        for received in answers:
            assert_close(received, expected, **EXACT)


def a_loss_of_nothing():
    model = BucketedDataParallel(nn.Linear(2, 1))
    loss = model(torch.ones(1, 2)).sum() if dist.get_rank() else torch.zeros((), requires_grad=True)
    loss.backward()


def test_a_rank_whose_loss_touches_no_parameter_is_named_and_not_waited_for():
    with pytest.raises(
        RuntimeError, match=r"ranks must agree .* got rank 0: nothing more, rank 1: all-reduce of 5 gradients"
    ):
        run_ranks(a_loss_of_nothing, 2, timeout=60)


def own_layers(kind):
    with fixed_seed(0):
        model = BucketedDataParallel(kind(3, 2))
    examples = 4 if dist.get_rank() == 0 else 0
    outputs = model(torch.ones(examples, 3))
    loss = F.cross_entropy(outputs, torch.zeros(4, dtype=torch.int64)) if examples else outputs.sum()
    weigh_by_examples(loss, examples).backward()
    return model.model.weight.grad


def test_a_rank_without_examples_may_use_the_librarys_own_layers():
    for ours, torchs in zip(run_ranks(own_layers, 2, Linear), run_ranks(own_layers, 2, nn.Linear), strict=True):
        assert_close(ours, torchs, rtol=0, atol=0)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "call",
    [
        lambda: average_gradients(net()),
        lambda: BucketedDataParallel(net()),
        lambda: weigh_by_examples(torch.ones(()), 1),
    ],
)
def test_without_a_process_group_the_message_says_how_to_get_one(call):
    with pytest.raises(ValueError, match="a process group must exist"):
        call()
