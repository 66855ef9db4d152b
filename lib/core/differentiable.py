"""The base of functions whose derivative is written out, and which bear batching and forward mode all the same."""

import inspect
from typing import Any

import torch
from torch import Tensor

from .precision import is_transformed

__all__ = ["Differentiable"]


class Differentiable(torch.autograd.Function):
    """A :class:`torch.autograd.Function` in the form that ``torch.func`` asks for, and quick to call.

    Subclasses have ``forward`` without a context, ``setup_context``, ``backward`` and ``jvp``, all of operations that
    torch can differentiate and batch. PyTorch reads the signature of ``forward`` at every call, which costs more than
    a small layer computes; here it is read once. Where nobody asks for a derivative, ``forward`` is called and no more.

    >>> class Square(Differentiable):
    ...     forward = staticmethod(lambda x: x * x)
    ...     setup_context = staticmethod(lambda ctx, inputs, output: ctx.save_for_backward(*inputs))
    ...     backward = staticmethod(lambda ctx, grad: 2 * grad * ctx.saved_tensors[0])
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> torch.autograd.grad(Square.apply(x), x)
    (tensor(6.),)
    """

    generate_vmap_rule = True

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "forward" in vars(cls):
            cls.forward.__signature__ = inspect.signature(cls.forward)

    @classmethod
    def apply(cls, *args: Any) -> Any:
        if torch.is_grad_enabled() or is_transformed(*(value for value in args if isinstance(value, Tensor))):
            return super().apply(*args)
        return cls.forward(*args)
