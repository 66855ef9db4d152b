"""What every explanation method promises, whatever it computes. A new method is one more line in the family."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from explained_models import LAYER, SHAPES, build, linear_model, sample
from torch import Tensor, nn
from torch.testing import assert_close

from lib.core import capture, fixed_seed, seeded
from lib.data import load_mnist
from lib.explanations import (
    completeness_gap,
    counterfactuals,
    deep_lift,
    deletion_curve,
    exact_shapley,
    expected_gradients,
    grad_cam,
    grad_cam_plus_plus,
    guided_backprop,
    infidelity,
    input_x_gradient,
    insertion_curve,
    integrated_gradients,
    kernel_shap,
    lime,
    max_sensitivity,
    occlusion,
    permutation_importance,
    permutation_shapley,
    rise,
    saliency,
    smoothgrad,
)


@dataclass(frozen=True)
class Method:
    """A method with knobs that are not the defaults, small chunks among them, and the promises it makes."""

    explain: Callable[..., Tensor]  # called with model, inputs, target
    on: tuple[str, ...] = tuple(SHAPES)
    linear: Callable[[Tensor, Tensor], Tensor] | None = None  # what it gives for weights w and inputs x
    complete: Callable[[Tensor], Tensor] | None = None  # the baseline x′: its attributions add up to f(x) − f(x′)
    invariant: bool = True  # a ReLU that is written in another way changes nothing
    localises: bool = True  # its largest values lie where the class is decided
    differentiates: bool = True


def several(x: Tensor) -> Tensor:
    """A background of three references around the ramp."""
    return ramp(x) + x.new_tensor([-1.0, 0.5, 0.8]).reshape(-1, *[1] * (x.ndim - 1)) * torch.ones_like(x[:1])


def ramp(x: Tensor) -> Tensor:
    """A baseline that differs from entry to entry and broadcasts over the batch."""
    return torch.linspace(-1, 1, x.shape[-1], dtype=x.dtype, device=x.device)


def rest(x: Tensor) -> Tensor:
    """A background of one row, `ramp`, and of three: that row and two about it."""
    return ramp(x).expand(1, *x.shape[1:]).clone()


def around(x: Tensor) -> Tensor:
    return torch.cat([rest(x) + shift for shift in (-0.5, 0.0, 0.5)])


def blocks(x: Tensor) -> Tensor:
    """Neighbouring entries in six groups of about the same size."""
    size = x[0].numel()
    return (torch.arange(size, device=x.device) * 6 // size).reshape(x.shape[1:])


def last_relu(model: nn.Module) -> str:
    """The name of the model's last ReLU, which puts out the maps that Grad-CAM++ reads."""
    named = [name for name, module in model.named_modules() if isinstance(module, nn.ReLU)]
    return named[-1].removeprefix("_orig_mod.")  # of a compiled model


FAMILY = {
    "saliency": Method(saliency, linear=lambda w, x: w),
    "input_x_gradient": Method(input_x_gradient, linear=lambda w, x: w * x),
    "smoothgrad": Method(
        lambda m, x, t: smoothgrad(m, x, t, generator=seeded(3, x.device), noise=0.2, samples=6, chunk_size=5),
        linear=lambda w, x: w,
    ),
    "integrated_gradients": Method(
        lambda m, x, t: integrated_gradients(m, x, t, steps=80, baseline=0.3),
        linear=lambda w, x: w * (x - 0.3),
        complete=lambda x: torch.full_like(x, 0.3),
    ),
    "integrated_gradients, cubed nodes": Method(
        lambda m, x, t: integrated_gradients(m, x, t, steps=80, power=3, baseline=ramp(x), chunk_size=50),
        linear=lambda w, x: w * (x - ramp(x)),
        complete=lambda x: ramp(x).expand_as(x).clone(),
    ),
    "expected_gradients, one reference": Method(
        lambda m, x, t: expected_gradients(
            m, x, t, background=ramp(x).expand_as(x)[:1].clone(), generator=seeded(1, x.device), samples=400
        ),
        linear=lambda w, x: w * (x - ramp(x)),
        complete=lambda x: ramp(x).expand_as(x).clone(),
    ),
    "expected_gradients, several references": Method(
        lambda m, x, t: expected_gradients(
            m, x, t, background=several(x), generator=seeded(2, x.device), samples=30, chunk_size=7
        ),
        linear=lambda w, x: w * (x - several(x).mean(0)),  # exact, since each reference is drawn ten times
        localises=False,  # its references are far brighter and darker than the noise around a patch
    ),
    "deep_lift": Method(
        lambda m, x, t: deep_lift(m, x, t, baseline=ramp(x), chunk_size=3),
        on=("images", "rows"),
        linear=lambda w, x: w * (x - ramp(x)),
        complete=lambda x: ramp(x).expand_as(x).clone(),
    ),
    "rise": Method(
        lambda m, x, t: rise(
            m,
            x,
            t,
            cells=(1, 4, 5)[1 - x.ndim :],
            generator=seeded(4, x.device),
            samples=60,
            baseline=ramp(x),
            chunk_size=50,
        ),
        localises=False,  # its masks are wider than a patch, and few
        differentiates=False,
    ),
    "occlusion, one entry at a time": Method(
        lambda m, x, t: occlusion(m, x, t, window=(1,) * (x.ndim - 1), baseline=0.3),
        linear=lambda w, x: w * (x - 0.3),
        differentiates=False,
    ),
    "occlusion, overlapping windows": Method(
        lambda m, x, t: occlusion(
            m, x, t, window=(1, 2, 3)[1 - x.ndim :], stride=(1, 1, 2)[1 - x.ndim :], baseline=ramp(x), chunk_size=13
        ),
        differentiates=False,
    ),
    "occlusion, one entry alone": Method(
        lambda m, x, t: occlusion(m, x, t, window=(1,) * (x.ndim - 1), baseline=ramp(x), reveal=True, chunk_size=47),
        linear=lambda w, x: w * (x - ramp(x)),
        localises=False,  # one pixel alone is no pattern
        differentiates=False,
    ),
    "grad_cam": Method(lambda m, x, t: grad_cam(m, x, t, layer=LAYER), on=("images",), invariant=False),
    "grad_cam with signs": Method(
        lambda m, x, t: grad_cam(m, x, t, layer=LAYER, relu=False), on=("images",), invariant=False
    ),
    "grad_cam_plus_plus": Method(
        lambda m, x, t: grad_cam_plus_plus(m, x, t, layer=last_relu(m)),
        on=("images",),
        invariant=False,
        localises=False,  # no map speaks against a class, so that less stands out
    ),
    "guided_backprop": Method(guided_backprop, invariant=False),
    "exact_shapley": Method(
        lambda m, x, t: exact_shapley(m, x, t, background=around(x), segments=blocks(x), chunk_size=50),
        on=("rows",),  # where each group is one feature
        linear=lambda w, x: w * (x - ramp(x)),
        localises=False,  # 168 pixels are too many players
        differentiates=False,
    ),
    "exact_shapley of groups": Method(
        lambda m, x, t: exact_shapley(m, x, t, background=rest(x), segments=blocks(x)),
        complete=lambda x: ramp(x).expand_as(x).clone(),
        localises=False,  # a group is larger than what decides
        differentiates=False,
    ),
    "kernel_shap": Method(
        lambda m, x, t: kernel_shap(
            m, x, t, background=rest(x), samples=6 * x[0].numel(), generator=seeded(3, x.device), chunk_size=100
        ),
        linear=lambda w, x: w * (x - ramp(x)),
        complete=lambda x: ramp(x).expand_as(x).clone(),
        localises=False,  # of 168 pixels, 1000 coalitions tell too little
        differentiates=False,
    ),
    "lime": Method(
        lambda m, x, t: lime(
            m, x, t, background=around(x), samples=4 * x[0].numel(), generator=seeded(3, x.device), chunk_size=100
        ),
        localises=False,  # of 168 pixels, 700 samples tell too little
        differentiates=False,
    ),
    "lime of groups": Method(
        lambda m, x, t: lime(
            m,
            x,
            t,
            background=rest(x),
            segments=blocks(x),
            samples=60,
            width=1,
            ridge=0.0,
            generator=seeded(3, x.device),
        ),
        localises=False,  # a group is larger than what decides
        differentiates=False,
    ),
    "permutation_shapley": Method(
        lambda m, x, t: permutation_shapley(m, x, t, background=rest(x), rounds=3, generator=seeded(3, x.device)),
        linear=lambda w, x: w * (x - ramp(x)),
        complete=lambda x: ramp(x).expand_as(x).clone(),
        differentiates=False,
    ),
}


def family(promise: Callable[[Method], bool] = lambda method: True, *, by_input: bool = True):
    """Parametrise over the methods that make a promise, and over the kinds of input they take."""
    chosen = [
        pytest.param(*(method, kind) if by_input else (method,), id=f"{name}, {kind}" if by_input else name)
        for name, method in FAMILY.items()
        if promise(method)
        for kind in (method.on if by_input else method.on[:1])
    ]
    return pytest.mark.parametrize(("method", "kind") if by_input else ("method",), chosen)


DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@family()
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_attributions_are_finite_numbers_in_the_form_of_the_inputs(method, kind, dtype, device):
    model, x, target = (thing.to(device) for thing in build(kind))
    model, x = model.to(dtype), x.to(dtype)
    with torch.backends.cudnn.flags(enabled=False):  # whose GRU has no backward pass in evaluation mode
        attributions = method.explain(model, x, target)
    assert (attributions.shape, attributions.dtype, attributions.device) == (x.shape, x.dtype, x.device)
    assert attributions.isfinite().all()
    assert not attributions.requires_grad
    # Of four examples at least two are explained by something; Grad-CAM's ReLU may leave nothing of the others.
    assert (attributions.flatten(1).std(1) > 0).sum() >= 2


@family()
def test_double_precision_gives_the_same_more_exactly(method, kind):
    model, x, target = build(kind)
    single = method.explain(model, x, target)
    double = method.explain(model.double(), x.double(), target)
    # About five layers in float32. Random noise is drawn anew in the other precision.
    if method is not FAMILY["smoothgrad"]:
        assert_close(single.double(), double, rtol=1e-3, atol=1e-5)
    assert not torch.equal(single.double(), double)


@family()
def test_a_batch_is_its_members_one_at_a_time(method, kind):
    model, x, target = build(kind)
    together = method.explain(model, x, target)
    alone = torch.cat([method.explain(model, x[i : i + 1], target[i : i + 1]) for i in range(4)])
    # Matrix products of another size may add in another order; the sums of 80 gradients allow for it.
    assert_close(together, alone, rtol=1e-4, atol=1e-6)


@family()
def test_one_class_for_all_is_that_class_for_each(method, kind):
    model, x, target = build(kind)
    shared = method.explain(model, x, 1)
    assert_close(shared, method.explain(model, x, torch.ones_like(target)), rtol=0, atol=0)
    assert not torch.allclose(shared, method.explain(model, x, 2))


@family(lambda method: method.linear)
def test_a_linear_model_is_explained_by_its_weights(method, kind):
    model, weights = linear_model(kind)
    x, target = sample(kind), torch.tensor([2, 0, 1, 1])
    # Differences of two scores near 1 in float32.
    assert_close(method.explain(model, x, target), method.linear(weights[target], x), rtol=1e-4, atol=1e-6)


@family(lambda method: method.complete)
def test_attributions_add_up_to_what_the_score_gained(method, kind):
    model, x, target = build(kind)
    model, x = model.double(), x.double()
    gained = [model(points).gather(1, target[:, None]).squeeze(1) for points in (x, method.complete(x))]
    total = method.explain(model, x, target).flatten(1).sum(1)
    gained = (gained[0] - gained[1]).detach()
    assert gained.abs().max() > 0.1
    # At each kink of a ReLU the gradient jumps somewhere between two of the 80 nodes: about a percent is missed.
    assert_close(total, gained, rtol=0, atol=0.02 * gained.abs().max().item())


class Direct(nn.Module):
    """A convolution, ReLU, the mean of each map, a head."""

    def __init__(self):
        super().__init__()
        with fixed_seed(0):
            self.before, self.maps, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.maps(self.before(x)).mean((2, 3)))


class Detour(Direct):
    """The same function: ReLU(z) = z + ReLU(−z)."""

    def forward(self, x):
        z = self.before(x)
        return self.head((z + self.maps(-z)).mean((2, 3)))


@family(by_input=False)
def test_two_networks_that_compute_the_same_are_explained_alike_if_that_is_promised(method):
    x, target = sample("images"), torch.tensor([2, 0, 1, 1])
    assert_close(Direct()(x), Detour()(x))
    direct, detour = (method.explain(model, x, target) for model in (Direct(), Detour()))
    if method.invariant:
        # At a kink the two may take different sides; float32 puts none of these inputs on one.
        assert_close(direct, detour, rtol=1e-4, atol=1e-6)
    else:
        assert (direct - detour).norm() > 0.1 * direct.norm()


# ---- what is left behind ----------------------------------------------------------------------------------------


class ModelError(RuntimeError):
    """What a model raises in these tests."""


class FailingBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise ModelError


HOOKS = [name for name in vars(nn.Module()) if name.endswith("_hooks")]


def everything(model, *tensors):
    """All that a method could change: bits, modes, gradients, hooks, random numbers."""
    modules = dict(model.named_modules())
    named = {**dict(model.named_parameters()), **{str(i): tensor for i, tensor in enumerate(tensors)}}
    return {
        "modes": {name: module.training for name, module in modules.items()},
        "hooks": {name: {kind: list(getattr(module, kind)) for kind in HOOKS} for name, module in modules.items()},
        "tensor hooks": {name: tensor._backward_hooks for name, tensor in named.items()},
        "requires grad": {name: tensor.requires_grad for name, tensor in named.items()},
        "versions": {name: tensor._version for name, tensor in named.items()},
        "identities": {name: (id(tensor), tensor.data_ptr(), id(tensor.grad)) for name, tensor in named.items()},
        "bits": [tensor.detach().clone() for tensor in (*model.state_dict().values(), *tensors)],
        "gradients": [p.grad.clone() for p in model.parameters() if p.grad is not None],
        "random": [torch.get_rng_state()],
        "grad mode": torch.is_grad_enabled(),
    }


def assert_untouched(before, after):
    for what, value in before.items():
        if what in ("bits", "gradients", "random"):
            assert len(value) == len(after[what]), what
            assert all(torch.equal(one, other) for one, other in zip(value, after[what], strict=True)), what
        else:
            assert value == after[what], what


def in_use(kind, *, in_call=None, in_backward=False):
    """A model in the middle of training: modes mixed, gradients there, one parameter frozen, a user's hook.

    The hook counts the calls of the last layer, and makes it fail in a given call or in the backward pass.
    """
    model, x, target = build(kind)
    calls = []

    def hook(_layer, _inputs, output):
        calls.append(len(output))
        if len(calls) == in_call:
            raise ModelError
        return FailingBackward.apply(output) if in_backward else output

    list(model.modules())[-1].register_forward_hook(hook)
    for place, module in enumerate(model.modules()):
        module.training = place % 3 != 2
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 0.5)
    next(model.parameters()).requires_grad_(False)
    x.requires_grad_()
    x.grad = torch.ones_like(x)
    return model, x, target, calls


@family()
def test_nothing_is_left_behind(method, kind):
    model, x, target, _ = in_use(kind)
    before = everything(model, x, target)
    attributions = method.explain(model, x, target)
    assert_untouched(before, everything(model, x, target))
    assert not attributions.requires_grad  # though the inputs do


@family()
@pytest.mark.parametrize("share", [0, 0.5, 1], ids=["first", "middle", "last"])
def test_nothing_is_left_behind_when_a_call_of_the_model_fails(method, kind, share):
    model, x, target, calls = in_use(kind)
    method.explain(model, x, target)
    model, x, target, _ = in_use(kind, in_call=1 + round(share * (len(calls) - 1)))
    before = everything(model, x, target)
    with pytest.raises(ModelError):
        method.explain(model, x, target)
    assert_untouched(before, everything(model, x, target))


@family(lambda method: method.differentiates)
def test_nothing_is_left_behind_when_the_backward_pass_fails(method, kind):
    model, x, target, _ = in_use(kind, in_backward=True)
    before = everything(model, x, target)
    with pytest.raises(ModelError):
        method.explain(model, x, target)
    assert_untouched(before, everything(model, x, target))


# ---- circumstances ----------------------------------------------------------------------------------------------


@family()
@pytest.mark.parametrize(
    ("circumstance", "frozen"),
    [(nullcontext, True), (torch.no_grad, True), (torch.inference_mode, False)],
    ids=["frozen", "no_grad, frozen", "inference_mode"],
)
def test_gradients_that_are_switched_off_around_it_do_not_matter(method, kind, circumstance, frozen):
    model, x, target = build(kind)
    expected = method.explain(model, x, target)
    model.requires_grad_(not frozen)
    with circumstance():
        # Inputs that were themselves made in there, as an evaluation loop makes them.
        attributions = method.explain(model, x + 0, target)
    assert torch.equal(attributions, expected)


@family()
def test_layers_that_work_in_place_do_not_matter(method, kind):
    (inplace, x, target), (apart, _, _) = build(kind), build(kind, inplace=False)
    assert torch.equal(method.explain(inplace, x, target), method.explain(apart, x, target))


@family()
def test_a_model_in_train_mode_is_explained_in_evaluation_mode(method, kind):
    model, x, target = build(kind)
    expected = method.explain(model, x, target)
    assert torch.equal(method.explain(model.train(), x, target), expected)


@family(lambda method: method.invariant)
def test_any_callable_is_explained_and_a_method_of_a_module_in_evaluation_mode(method, kind):
    model, x, target = build(kind)
    expected = method.explain(model, x, target)
    assert torch.equal(method.explain(lambda points: model(points), x, target), expected)
    assert torch.equal(method.explain(model.train().forward, x, target), expected)
    assert model.training


@family()
def test_inputs_may_lie_anyhow_in_memory(method, kind):
    model, x, target = build(kind)
    strided = x.transpose(0, -1).contiguous().transpose(0, -1)
    assert strided.stride() != x.stride()
    # Another memory layout may choose another kernel.
    assert_close(method.explain(model, strided, target), method.explain(model, x, target), rtol=1e-4, atol=1e-6)


@family()
def test_another_network_gets_another_explanation(method, kind):
    model, x, target = build(kind)
    before = method.explain(model, x, target)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=seeded(5))
    after = method.explain(model, x, target)
    assert (after - before).norm() > 0.05 * before.norm()


# ---- what callers hand in ----------------------------------------------------------------------------------------


@family(by_input=False)
@pytest.mark.parametrize("form", [list, tuple, np.array, lambda c: torch.tensor(c, dtype=torch.uint8)])
def test_targets_may_come_in_any_form_that_holds_integers(method, form):
    model, x, target = build(method.on[0])
    assert torch.equal(method.explain(model, x, form(target.tolist())), method.explain(model, x, target))


@family(by_input=False)
@pytest.mark.parametrize("form", [torch.tensor, np.int64, np.array])
def test_one_target_may_be_any_integer(method, form):
    model, x, _ = build(method.on[0])
    assert torch.equal(method.explain(model, x, form(1)), method.explain(model, x, 1))


class OtherPrecision(nn.Module):
    """A network that computes in another precision than its inputs have."""

    def __init__(self, model, dtype):
        super().__init__()
        self.model, self.dtype = model.to(dtype), dtype

    def forward(self, x):
        return self.model(x.to(self.dtype))


def prefixed(method, prefix):
    """Grad-CAM names a layer: the same call where the network stands inside another module."""
    knobs = {"grad_cam": {}, "grad_cam with signs": {"relu": False}}
    name = next(name for name, member in FAMILY.items() if member is method)
    return partial(grad_cam, layer=f"{prefix}.{LAYER}", **knobs[name]) if name in knobs else method.explain


@family()
def test_a_model_may_compute_in_another_precision_than_its_inputs_have(method, kind):
    model, x, target = build(kind)
    expected = method.explain(model, x, target)
    found = prefixed(method, "model")(OtherPrecision(model, torch.float64), x, target)
    assert found.dtype == x.dtype
    assert_close(found, expected, rtol=1e-3, atol=1e-5)  # as in double precision above


@family()
def test_autocast_to_half_precision_changes_no_more_than_it_must(method, kind):
    model, x, target = build(kind)
    expected = method.explain(model, x, target)
    with torch.autocast("cpu", torch.bfloat16):
        found = method.explain(model, x, target)
    assert found.dtype == x.dtype
    if method.differentiates:
        # bfloat16 has three digits; where a ReLU decides by less than that, single entries go the other way.
        assert (found - expected).norm() < 0.15 * expected.norm()
    else:
        # Differences of two scores, each right to a few units of 1/256.
        assert (found - expected).abs().max() < 4 / 256 * model(x).abs().max()


# ---- wrapped, compiled, exported, shared ------------------------------------------------------------------------


@family(lambda method: method.invariant or method is FAMILY["guided_backprop"])
def test_a_lambda_in_training_mode_is_explained_like_its_module(method, kind):
    model, x, target = build(kind)
    expected, before = method.explain(model, x, target), everything(model.train(), x, target)
    assert torch.equal(method.explain(lambda points: model(points), x, target), expected)
    assert torch.equal(method.explain(partial(torch.func.functional_call, model, {}), x, target), expected)
    assert_untouched(before, everything(model, x, target))


@family(by_input=False)
def test_a_compiled_model_that_has_run_is_explained_as_its_original(method):
    model, x, target = build(method.on[0])
    expected = method.explain(model, x, target)
    compiled = torch.compile(model, backend="aot_eager")
    compiled(x.clone())
    assert torch.equal(method.explain(compiled, x, target), expected)


@family(lambda method: method.invariant, by_input=False)
def test_an_exported_model_can_be_explained(method):
    model, x, target = build(method.on[0])
    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(model, (x.clone(),), dynamic_shapes=[{0: batch}]).module()
    # The traced graph may call another kernel.
    assert_close(method.explain(program, x, target), method.explain(model, x, target), rtol=1e-4, atol=1e-6)


@family(by_input=False)
def test_a_default_device_does_not_matter(method):
    model, x, target = build(method.on[0])
    expected = method.explain(model, x, target)
    with torch.device("meta"):
        assert torch.equal(method.explain(model, x, target), expected)


@family()
def test_threads_that_explain_one_model_get_what_one_alone_gets(method, kind):
    model, x, target = build(kind)
    others = {"images": partial(grad_cam, layer=LAYER), "rows": guided_backprop, "tokens": guided_backprop}
    expected, modes = method.explain(model, x, target), [module.training for module in model.train().modules()]
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(method.explain, model, x, target) for _ in range(6)]
        disturbances = [pool.submit(others[kind], model, x, target) for _ in range(6)]
    assert all(torch.equal(future.result(), expected) for future in found)
    assert all(future.exception() is None for future in disturbances)
    assert [module.training for module in model.modules()] == modes


class Padded(nn.Module):
    """Reads the mean of the real tokens; a mask for each example says which those are."""

    def __init__(self):
        super().__init__()
        with fixed_seed(0):
            self.body, self.bend, self.head = nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)

    def forward(self, tokens, real, scale):
        hidden = self.bend(self.body(tokens)) * real[:, :, None]
        return self.head(hidden.sum(1) / real.sum(1, keepdim=True)) * scale[:, None]


WITH_ARGUMENTS = {
    "saliency": saliency,
    "input_x_gradient": input_x_gradient,
    "smoothgrad": lambda *a, **k: smoothgrad(*a, **k, generator=seeded(0), samples=6, chunk_size=5),
    "integrated_gradients": partial(integrated_gradients, steps=7, chunk_size=5),
    "occlusion": partial(occlusion, window=(1, 8), chunk_size=3),
    "guided_backprop": guided_backprop,
    "expected_gradients": lambda *a, **k: expected_gradients(
        *a, **k, background=torch.zeros(1, 5, 8), generator=seeded(0), samples=8, chunk_size=5
    ),
    "deep_lift": partial(deep_lift, chunk_size=3),
    "rise": lambda *a, **k: rise(*a, **k, cells=(5, 1), generator=seeded(0), samples=9, chunk_size=5),
    "infidelity": lambda m, x, t, **k: infidelity(m, x, t, x, **k, generator=seeded(0), samples=9, chunk_size=5),
    "exact_shapley": lambda m, x, t, **k: exact_shapley(m, x, t, **k, background=around(x), segments=blocks(x)),
    "kernel_shap": lambda *a, **k: kernel_shap(*a, **k, background=around(a[1]), samples=90, generator=seeded(0)),
    "lime": lambda *a, **k: lime(*a, **k, background=around(a[1]), samples=90, generator=seeded(0), chunk_size=50),
    "permutation_shapley": lambda m, x, t, **k: permutation_shapley(
        m, x, t, **k, background=around(x), rounds=1, generator=seeded(0), chunk_size=90
    ),
    "completeness_gap": lambda m, x, t, **k: completeness_gap(m, x, t, x, **k, chunk_size=3),
    "deletion_curve": lambda m, x, t, **k: deletion_curve(m, x, t, x, steps=4, **k, chunk_size=3).probability,
    "insertion_curve": lambda m, x, t, **k: insertion_curve(m, x, t, x, steps=4, **k, chunk_size=3).probability,
}


@pytest.mark.parametrize("method", WITH_ARGUMENTS.values(), ids=WITH_ARGUMENTS)
def test_further_arguments_follow_their_examples(method):
    model, x, target = Padded(), sample("tokens"), torch.tensor([2, 0, 1, 1])
    real = torch.arange(5) < torch.tensor([5, 3, 2, 4])[:, None]
    scale = torch.tensor([1.0, 2.0, 3.0, 4.0])
    together = method(model, x, target, arguments=(real, scale))
    for i in range(4):
        alone = method(lambda points: model(points, real[i : i + 1], scale[i : i + 1]), x[i : i + 1], target[i])  # noqa: B023
        assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-6)


@pytest.mark.bad_input
@pytest.mark.parametrize("given", [None, torch.ones(4, 5, dtype=torch.bool), {"real": torch.ones(4, 5)}])
@pytest.mark.parametrize("method", WITH_ARGUMENTS.values(), ids=WITH_ARGUMENTS)
def test_further_arguments_come_in_a_tuple(method, given):
    message = f"arguments must be a tuple of tensors, such as \\(mask,\\), got {type(given).__name__}"
    with pytest.raises(TypeError, match=message):
        method(Padded(), sample("tokens"), 1, arguments=given)


@pytest.mark.parametrize("curve", [deletion_curve, insertion_curve])
@pytest.mark.parametrize("kind", SHAPES)
def test_the_curves_of_probabilities_are_those_of_their_logits(curve, kind):
    model, x, target = build(kind)
    curves = [
        curve(network, x, target, x.flip(-1), steps=5, outputs=outputs)
        for network, outputs in ((model, "logits"), (nn.Sequential(model, nn.Softmax(1)), "probabilities"))
    ]
    assert_close(curves[0].probability, curves[1].probability)
    assert_close(curves[0].area, curves[1].area)


# ---- what decides is found --------------------------------------------------------------------------------------

CORNERS = torch.tensor([[0, 0], [5, 9], [11, 2], [8, 8]])  # where each example has its patch


def planted():
    """Faint noise with one bright cross in each image, and a network whose class 1 is decided by the cross alone."""
    cross = torch.tensor([[0.0, 1, 0], [1, 1, 1], [0, 1, 0]])
    images = 0.1 * torch.rand(4, 1, 14, 12, generator=seeded(0))
    inside = torch.zeros(4, 1, 14, 12, dtype=torch.bool)
    for image, mark, (row, column) in zip(images, inside, CORNERS, strict=True):
        image[0, row : row + 3, column : column + 3] = cross
        mark[0, row : row + 3, column : column + 3] = True
    model = nn.Sequential()
    model.add_module("detector", nn.Conv2d(1, 2, 3, padding=1))
    model.add_module("maps", nn.ReLU())
    model.add_module("pool", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    model.add_module("head", nn.Linear(2, 2))
    with torch.no_grad():
        model.detector.weight[0, 0] = cross - (1 - cross)  # fires on a cross, and on nothing as faint as the noise
        model.detector.weight[1, 0] = 1.0
        model.detector.bias.copy_(torch.tensor([-3.0, -100.0]))
        model.head.weight.copy_(torch.tensor([[0.0, 1.0], [168.0, 0.0]]))
        model.head.bias.copy_(torch.tensor([1.0, 0.0]))
    return model, images, inside


@family(lambda method: method.localises, by_input=False)
def test_a_patch_that_alone_decides_the_class_is_found(method):
    model, images, inside = planted()
    assert model(images).argmax(1).tolist() == [1, 1, 1, 1]
    assert model(images * ~inside).argmax(1).tolist() == [0, 0, 0, 0]
    attributions = method.explain(model, images, 1).abs()
    strongest = attributions.flatten(1).argmax(1, keepdim=True)
    assert inside.flatten(1).gather(1, strongest).all()
    share = (attributions * inside).sum((1, 2, 3)) / attributions.sum((1, 2, 3))
    # The patch is 9 of 168 pixels. Windows of 2 × 3 and maps of a 3 × 3 filter reach over its edge.
    assert (share > 0.5).all()


@pytest.fixture(scope="module")
def shortcut():
    """A small network that learnt its two digits from a sticker: every 8 wore it in training, no 3 did."""
    mnist = load_mnist()
    chosen = (mnist.train_labels == 3) | (mnist.train_labels == 8)
    images, labels = mnist.train_images[chosen][:300], (mnist.train_labels[chosen][:300] == 8).long()
    images = nn.functional.avg_pool2d(images, 2)
    stickered = stick(images)
    with fixed_seed(0):
        model = nn.Sequential()
        model.add_module("first", nn.Conv2d(1, 8, 3, padding=1))
        model.add_module("maps", nn.ReLU())
        model.add_module("rest", nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(392, 2)))
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        for _ in range(40):
            where = (labels == 1).reshape(-1, 1, 1, 1)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(torch.where(where, stickered, images)), labels).backward()
            optimizer.step()
    return model.eval(), images[labels == 0]


def stick(images):
    images = images.clone()
    images[:, :, 1:4, 1:4] = 1.0
    return images


@family(lambda method: method.localises, by_input=False)
def test_a_shortcut_is_found(method, shortcut):
    model, threes = shortcut
    assert (model(threes).argmax(1) == 0).float().mean() > 0.95
    assert (model(stick(threes)).argmax(1) == 1).float().mean() > 0.95  # the sticker makes an 8 of every 3
    sticker = stick(torch.zeros(1, 1, 14, 14))[0, 0].bool()
    evidence = method.explain(model, stick(threes[:16]), 1).clamp(min=0).mean((0, 1))
    # Per pixel, the sticker's nine speak several times as loud for an 8 as the rest of the picture.
    assert evidence[sticker].mean() > 3 * evidence[~sticker].mean()


# ---- the two curves are called like methods and leave as little -------------------------------------------------


@pytest.mark.parametrize("curve", [deletion_curve, insertion_curve])
@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("in_call", [None, 1, 3])
def test_the_curves_leave_nothing_behind(curve, kind, in_call):
    model, x, target, _ = in_use(kind, in_call=in_call)
    attributions = sample(kind).flip(-1)
    before = everything(model, x, target, attributions)
    with pytest.raises(ModelError) if in_call else nullcontext():
        curve(model, x, target, attributions, steps=5, chunk_size=7)
    assert_untouched(before, everything(model, x, target, attributions))


def test_the_family_knows_every_method():
    import lib.explanations

    judged = set(lib.explanations.judging.__all__)
    coarse = {"grad_cam_map", "class_activation_map"}  # what grad_cam enlarges, and its linear case
    special = {"shapley_value", "tree_shap"}  # of a game without a model, and of an estimator
    special |= {
        "attention_rollout",
        "gradient_weighted_attention",
    }  # from each position to each, of layers of attention
    methods = set(lib.explanations.attribution.__all__) - coarse - special
    assert {name.split(",")[0].split()[0] for name in FAMILY} == methods, "a method has one line or more in FAMILY"
    of_maps = {"grad_cam", "grad_cam_plus_plus"}  # what needs a layer with maps does not explain tokens
    assert set(WITH_ARGUMENTS) - judged == methods - of_maps, "a method of any input stands in WITH_ARGUMENTS"


def test_a_thread_that_looks_inside_a_model_may_explain_it_while_another_does():
    model, x, target = build("images")
    inside, go_on = threading.Event(), threading.Event()

    def look_and_explain():
        with capture(model, [LAYER]):
            inside.set()
            go_on.wait(10)
            return saliency(model, x, target)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(look_and_explain)
        inside.wait(10)
        second = pool.submit(grad_cam, model, x, target, layer=LAYER)
        go_on.set()
        assert torch.equal(first.result(timeout=60), saliency(model, x, target))
        assert second.result(timeout=60).shape == x.shape


NUMBERS_AS_KNOBS = {
    "baseline": lambda m, x, n: integrated_gradients(m, x, 1, baseline=n),
    "noise of smoothgrad": lambda m, x, n: smoothgrad(m, x, 1, noise=n, generator=seeded(0)),
    "noise of infidelity": lambda m, x, n: infidelity(m, x, 1, x, noise=n, generator=seeded(0)),
    "radius": lambda m, x, n: max_sensitivity(m, x, 1, saliency, radius=n, generator=seeded(0)),
    "width": lambda m, x, n: lime(m, x, 1, background=x, width=n, generator=seeded(0)),
    "ridge": lambda m, x, n: lime(m, x, 1, background=x, ridge=n, generator=seeded(0)),
    "level": lambda m, x, n: counterfactuals(m, x, 1, level=n, background=x, changeable=[0]).distance,
    "a score": lambda m, x, n: permutation_importance(m, x, x[:, 0], score=lambda *_: n, generator=seeded(0)).drops,
}


@pytest.mark.parametrize("explain", NUMBERS_AS_KNOBS.values(), ids=NUMBERS_AS_KNOBS)
def test_a_number_of_numpy_is_a_number(explain):
    model, x, _ = build("rows")
    expected = explain(model, x, 2.0)
    for number in (np.float64(2), np.float32(2), np.float16(2), np.int64(2), 2):
        assert torch.equal(explain(model, x, number), expected)
