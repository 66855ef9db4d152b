"""What hooks saw, and that none is left."""

import threading
from functools import partial

import pytest
import torch
from torch import nn

from lib.core import capture, evaluation_mode, rewrite
from lib.core.hooks import module_mode, rewrite_inputs


def model():
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def hooks_left(network):
    return sum(len(module._forward_hooks) for module in network.modules())


def test_captured_activations_are_the_layers_outputs():
    network, x = model(), torch.randn(5, 3)
    with capture(network, ["0", "1"]) as seen:
        network(x)
    assert torch.equal(seen["0"], network[0](x))
    assert torch.equal(seen["1"], network[0](x).relu())
    assert hooks_left(network) == 0


def test_gradients_flow_through_what_was_captured():
    network, x = model(), torch.randn(5, 3)
    with capture(network, ["1"]) as seen:
        output = network(x).sum()
    (gradient,) = torch.autograd.grad(output, seen["1"])
    assert torch.allclose(gradient, network[2].weight.sum(0).expand(5, 4))


def test_no_hook_is_left_when_the_model_raises():
    network = model()
    with pytest.raises(RuntimeError), capture(network, ["0"]):
        network(torch.randn(5, 9))
    assert hooks_left(network) == 0


@pytest.mark.parametrize("layers", [["0", "nine"], []])
def test_a_layer_that_is_not_in_the_model_is_named(layers):
    with (
        pytest.raises(ValueError, match=r"layers must name modules of the model, got \[.*\]; it has \['0', '1', '2'\]"),
        capture(model(), layers),
    ):
        pass


def test_what_follows_may_work_in_place_without_changing_the_record():
    network, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2)), torch.randn(5, 3)
    with capture(network, ["0"]) as seen:
        network(x)
    assert torch.equal(seen["0"], network[0](x))
    assert (seen["0"] < 0).any()


def test_an_output_that_is_no_tensor_is_recorded_as_it_is():
    network = nn.Sequential(nn.GRU(3, 4))
    with capture(network, ["0"]) as seen:
        output = network(torch.randn(2, 5, 3))
    assert seen["0"] is output
    assert isinstance(output, tuple)


def test_each_layer_is_rewritten_by_its_own_function():
    network, x = model(), torch.randn(5, 3)
    with rewrite(network, {"0": lambda y: 2 * y, "2": lambda y: y + 1}):
        changed = network(x)
    assert torch.equal(changed, network[2](2 * network[0](x).relu()) + 1)
    assert hooks_left(network) == 0


def test_hooks_are_removed_when_one_of_them_cannot_be_placed():
    network = model()
    network[2].register_forward_hook = None  # calling it is an error
    with pytest.raises(TypeError), rewrite(network, {"0": lambda y: y, "2": lambda y: y}):
        pass
    assert hooks_left(network) == 0


@pytest.mark.bad_input
@pytest.mark.parametrize("context", [capture, rewrite])
def test_a_function_has_no_layers_by_name(context):
    with (
        pytest.raises(TypeError, match=r"model must be a .*Module.*, got builtin_function"),
        context(torch.relu, ["0"]),
    ):
        pass


def mixed():
    network = nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Sequential(nn.BatchNorm1d(4)))
    network.eval()
    network[1].train()
    network[2][0].train()
    return network


def modes(network):
    return [module.training for module in network.modules()]


@pytest.mark.parametrize("training", [True, False])
def test_each_submodule_gets_its_own_mode_back(training):
    network = mixed()
    before = modes(network)
    with module_mode(network, training=training):
        assert modes(network) == [training] * 5
    assert modes(network) == before
    with pytest.raises(KeyError), module_mode(network, training=training):
        raise KeyError
    assert modes(network) == before


def test_modes_are_restored_when_changing_them_fails_half_way():
    class Stubborn(nn.Linear):
        def __setattr__(self, name, value):
            if name == "training" and not value:
                raise RuntimeError("not this one")
            super().__setattr__(name, value)

    network = nn.Sequential(nn.Dropout(), Stubborn(2, 2))
    with pytest.raises(RuntimeError, match="not this one"), evaluation_mode(network):
        pass
    assert modes(network) == [True, True, True]


def test_an_exported_program_which_refuses_train_and_eval_can_be_run():
    program = torch.export.export(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), (torch.ones(2, 3),)).module()
    with evaluation_mode(program):
        assert not any(modes(program))
    assert program.training


class Holder:
    """An object that is no module and holds one, two levels down."""

    def __init__(self, network):
        self.parts = {"network": network}

    def __call__(self, x):
        return self.parts["network"](x)


WRAPPED = {
    "lambda": lambda network: lambda x: network(x),
    "partial": lambda network: partial(lambda model, x: model(x), network),
    "object": Holder,
    "method of an object": lambda network: Holder(network).__call__,
    "list": lambda network: lambda x, members=(network,): sum(member(x) for member in members),
    "inner layer": lambda network: lambda x: network[1](network[0](x)),
}


def test_a_method_of_a_module_has_the_modules_mode():
    network = mixed().train()
    with evaluation_mode(network.forward):
        assert not any(modes(network))
    assert all(modes(network))


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_modules_that_any_callable_runs_are_in_evaluation_mode_while_it_does(wrap):
    network = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5))
    network[1].eval()
    before, means = modes(network), network[0].running_mean.clone()
    x, function = torch.randn(5, 3), wrap(network)
    with evaluation_mode(function):
        assert torch.equal(function(x), function(x))
    assert torch.equal(network[0].running_mean, means)
    assert modes(network) == before
    with pytest.raises(TypeError), evaluation_mode(function):
        function(x, "one argument too many")
    assert modes(network) == before
    network(x)  # and outside, nothing is switched any more
    assert modes(network) == before
    assert not torch.equal(network[0].running_mean, means)


def test_another_thread_keeps_its_modes():
    network, function = nn.Sequential(nn.Dropout(0.5)), lambda x: x
    seen = []
    with evaluation_mode(function):
        thread = threading.Thread(target=lambda: (network(torch.ones(1)), seen.append(network[0].training)))
        thread.start()
        thread.join()
    assert seen == [True]


def test_a_layer_that_stands_in_a_model_twice_answers_to_both_names():
    network = nn.Module()
    network.first = nn.Linear(2, 2)
    network.alias = network.first
    network.forward = lambda x: network.alias(x)
    with capture(network, ["alias", "first"]) as seen:
        expected = network.forward(torch.ones(1, 2))
    assert torch.equal(seen["alias"], expected)
    assert torch.equal(seen["first"], expected)


@pytest.mark.bad_input
@pytest.mark.parametrize("layers", ["10", "ab", "1"])
def test_one_name_is_not_taken_for_a_list_of_letters(layers):
    with pytest.raises(TypeError, match=f"layers must be a list or tuple, got str '{layers}'"):
        capture(model(), layers)


@pytest.mark.bad_input
def test_a_function_that_forgets_to_return_is_named():
    network = model()
    message = "the function for '1' must return the layer's new output, got None"
    with pytest.raises(TypeError, match=message), rewrite(network, {"1": lambda y: None}):
        network(torch.randn(5, 3))
    assert hooks_left(network) == 0


def compiled_whole():
    return torch.compile(model(), backend="eager")


def compiled_in_place():
    network = model()
    network.compile(backend="eager")
    return network


def compiled_within():
    return nn.Sequential(torch.compile(model(), backend="eager"))


def compiled_by_torchscript():
    return torch.jit.trace(model(), torch.randn(5, 3))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own, of the compiler that is tested
@pytest.mark.parametrize("build", [compiled_whole, compiled_in_place, compiled_within, compiled_by_torchscript])
def test_layers_of_a_compiled_model_are_refused(build):
    network = build()
    network(torch.randn(5, 3))  # code compiled without hooks would go on without them
    *_, layer = (name for name, _ in network.named_modules())
    message = "layers of a compiled model run past hooks"
    with pytest.raises(ValueError, match=message), rewrite(network, {layer: lambda y: 2 * y}):
        pass


def test_a_second_thread_waits_until_the_first_has_put_the_model_back():
    network = nn.Sequential(nn.Linear(3, 3), nn.Dropout()).train()
    inside, go_on, order = threading.Event(), threading.Event(), []

    def first():
        with evaluation_mode(network), rewrite(network, {"0": lambda y: 2 * y}):
            inside.set()
            go_on.wait()
            order.append("first is done")

    def second():
        with evaluation_mode(network), capture(network, ["0"]):
            order.append("second is in")

    threads = [threading.Thread(target=target) for target in (first, second)]
    threads[0].start()
    inside.wait()
    threads[1].start()
    threads[1].join(0.05)  # time to do it wrong, were it possible
    go_on.set()
    for thread in threads:
        thread.join()
    assert order == ["first is done", "second is in"]
    assert network.training
    assert hooks_left(network) == 0


def test_an_input_is_rewritten_given_by_place_or_by_name():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Scaled()

        def forward(self, x):
            return self.inner(x, 3) + self.inner(x=x, by=5)

    class Scaled(nn.Module):
        def forward(self, x, by):
            return by * x

    network, x = Named(), torch.randn(5, 3)
    with rewrite_inputs(network, {"inner": lambda old: old + 1}):
        assert torch.allclose(network(x), 8 * (x + 1))
    assert torch.allclose(network(x), 8 * x)
    assert not any(module._forward_pre_hooks for module in network.modules())
