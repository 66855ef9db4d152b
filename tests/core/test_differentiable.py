"""Functions with a derivative of their own: PyTorch reads their signature once, and transforms them like any other."""

import inspect

import pytest
import torch
from torch.func import jvp, vmap

from lib.core.differentiable import Differentiable


class Cube(Differentiable):
    @staticmethod
    def forward(x, factor=1.0):
        return factor * x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.factor = inputs
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)

    @staticmethod
    def backward(ctx, grad):
        return 3 * ctx.factor * ctx.saved_tensors[0].square() * grad, None

    @staticmethod
    def jvp(ctx, tangent, _):
        return Cube.backward(ctx, tangent)[0]


def test_the_signature_is_not_read_at_each_call(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("read again")

    monkeypatch.setattr(inspect, "_signature_from_function", refuse)
    with pytest.raises(AssertionError, match="read again"):
        inspect.signature(lambda x: x)
    assert Cube.apply(torch.tensor(2.0)).item() == 8  # a default is filled in all the same


def test_both_directions_and_batches_are_those_of_the_formula():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (first,) = torch.autograd.grad(Cube.apply(x, 2.0).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert first.tolist() == [6.0, 24.0]
    assert second.tolist() == [12.0, 24.0]
    values, slopes = vmap(lambda row: jvp(lambda z: Cube.apply(z, 2.0), (row,), (torch.ones(()),)))(x.detach())
    assert values.tolist() == [2.0, 16.0]
    assert slopes.tolist() == [6.0, 24.0]


def test_without_a_derivative_forward_alone_is_called_and_transforms_still_see_the_function(monkeypatch):
    x, calls = torch.tensor([1.0, 2.0], requires_grad=True), []
    monkeypatch.setattr(Cube, "setup_context", staticmethod(lambda ctx, inputs, output: calls.append(inputs)))
    with torch.no_grad():
        assert Cube.apply(x, 2.0).tolist() == [2.0, 16.0]
        assert Cube.apply(x).tolist() == [1.0, 8.0]
    assert not calls
    assert not Cube.apply(x.detach()).requires_grad
    assert len(calls) == 1
    monkeypatch.undo()
    with torch.no_grad():
        values, slopes = vmap(lambda row: jvp(Cube.apply, (row,), (torch.ones(()),)))(x.detach())
    assert (values.tolist(), slopes.tolist()) == ([1.0, 8.0], [3.0, 12.0])
