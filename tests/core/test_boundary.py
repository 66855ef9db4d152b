"""The annotations of a public function decide what it accepts, and the refusal gives the value and the rule."""

import re
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import pytest
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from lib.core.boundary import checked
from lib.core.rules import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Share

X, ROW = torch.zeros(2, 3, 4), torch.zeros(4)


@checked
def images(x: Float[Tensor, "batch 3 width"]):
    return x


@checked
def product(
    x: Float[Tensor, "*batch width"],
    weight: Float[Tensor, "out width"],
    labels: Int64[Tensor, " out"] | None = None,
    mask: Bool[Tensor, "..."] | None = None,
):
    return x


@checked
def knobs(
    count: PositiveInt = 1,
    *,
    origin: NonNegativeInt = 0,
    scale: PositiveFloat = 1.0,
    offset: float = 0.0,
    least: NonNegativeFloat = 0.0,
    share: Share = 0.5,
    mode: Literal["zeros", "circular"] = "zeros",
    pair: PositiveInt | tuple[PositiveInt, PositiveInt] = 1,
    names: Sequence[str] = (),
    model: nn.Module | None = None,
    score: Callable[[Tensor], Tensor] = torch.sum,
    flag: bool = False,
    generator: torch.Generator | None = None,
):
    return count


REFUSED = {
    "x must be a torch.Tensor, got list": (TypeError, lambda: images([[1.0]])),
    "x must be a torch.Tensor, got ndarray": (TypeError, lambda: images(np.zeros((2, 3, 4)))),
    "x must be a torch.Tensor, got NoneType None": (TypeError, lambda: images(None)),
    "x must be floating point, got torch.int64; convert it with x.float()": (TypeError, lambda: images(X.long())),
    "x must be floating point, got torch.complex64": (TypeError, lambda: images(X.to(torch.complex64))),
    "x must be floating point, got torch.float8_e5m2": (TypeError, lambda: images(X.to(torch.float8_e5m2))),
    "x must be a dense tensor, got layout torch.sparse_coo": (TypeError, lambda: images(X.to_sparse())),
    "x must have 3 axes (batch, 3, width), got 2 with shape (3, 4)": (ValueError, lambda: images(X[0])),
    "x must have shape (batch, 3, width), got (2, 2, 4)": (ValueError, lambda: images(X[:, :2])),
    "x must hold at least one element along width, got shape (2, 3, 0)": (ValueError, lambda: images(X[..., :0])),
    "x must have at least 1 axis (*batch, width), got 0 with shape ()": (ValueError, lambda: product(ROW[0], X[0])),
    "x and weight must agree on width, got 4 and 3": (ValueError, lambda: product(ROW, weight=X[0].T)),
    "weight and labels must agree on out, got 3 and 2": (
        ValueError, lambda: product(ROW, X[0], torch.zeros(2).long())),
    "labels must have dtype torch.int64, got torch.int32": (TypeError, lambda: product(ROW, X[0], torch.zeros(3).int())),
    "mask must be boolean, got torch.float32": (TypeError, lambda: product(ROW, X[0], mask=ROW)),
    "mask must be a torch.Tensor or None, got list": (TypeError, lambda: product(ROW, X[0], mask=[True])),
    "x and weight must be on one device, got cpu and meta": (ValueError, lambda: product(ROW, X[0].to("meta"))),
    "x and weight must have the same dtype, got x torch.float32, weight torch.float64": (
        TypeError, lambda: product(ROW, X[0].double())),
    "count must be an int, got float 2.0": (TypeError, lambda: knobs(2.0)),
    "count must be an int, got bool True": (TypeError, lambda: knobs(True)),
    "count must be an int, got int64": (TypeError, lambda: knobs(np.int64(3))),
    "count must be at least 1, got 0": (ValueError, lambda: knobs(0)),
    "origin must be at least 0, got -1": (ValueError, lambda: knobs(origin=-1)),
    "scale must be positive and finite, got 0": (ValueError, lambda: knobs(scale=0)),
    "scale must be positive and finite, got inf": (ValueError, lambda: knobs(scale=float("inf"))),
    "scale must be a number, got str '1'": (TypeError, lambda: knobs(scale="1")),
    "offset must be finite, got nan": (ValueError, lambda: knobs(offset=float("nan"))),
    "offset must be a number, got Tensor": (TypeError, lambda: knobs(offset=ROW[0])),
    "least must be at least 0, got -0.5": (ValueError, lambda: knobs(least=-0.5)),
    "share must be from 0 to 1, got 1.5": (ValueError, lambda: knobs(share=1.5)),
    "mode must be 'zeros' or 'circular', got 'reflect'": (ValueError, lambda: knobs(mode="reflect")),
    "mode must be 'zeros' or 'circular', got NoneType None": (TypeError, lambda: knobs(mode=None)),
    "pair must be an int or a pair, got tuple (1, 2, 3)": (TypeError, lambda: knobs(pair=(1, 2, 3))),
    "pair must be at least 1, got 0": (ValueError, lambda: knobs(pair=(1, 0))),
    "names must be a list or tuple, got str 'ab'": (TypeError, lambda: knobs(names="ab")),
    "names[1] must be a str, got int 3": (TypeError, lambda: knobs(names=["a", 3])),
    "model must be a Module or None, got function": (TypeError, lambda: knobs(model=lambda x: x)),
    "score must be callable, got str 'sum'": (TypeError, lambda: knobs(score="sum")),
    "flag must be a bool, got int 1": (TypeError, lambda: knobs(flag=1)),
    "generator must be a Generator or None, got int 0": (TypeError, lambda: knobs(generator=0)),
}  # fmt: skip


@pytest.mark.bad_input
@pytest.mark.parametrize("message", REFUSED)
def test_what_the_annotations_forbid_is_refused(message):
    error, call = REFUSED[message]
    for _ in range(2):  # nor is it accepted the second time
        with pytest.raises(error, match=re.escape(message)):
            call()


def test_what_the_annotations_allow_passes():
    assert images(X) is images(x=X)
    assert images(X[:0]).shape == (0, 3, 4)  # a batch of nothing, as torch's layers take it
    assert product(X, X[0], torch.zeros(3).long(), mask=torch.ones(1, 1).bool()) is X
    assert product(X[:0], X[0]).shape == (0, 3, 4)
    half = X.half()
    assert product(half, half[0]) is half
    assert knobs(3, origin=0, scale=2, offset=-1, share=1, mode="circular", pair=(1, 2), names=["a"]) == 3
    assert knobs(2, model=nn.ReLU(), score=nn.ReLU(), flag=True, generator=torch.Generator()) == 2


@pytest.mark.bad_input
def test_a_call_like_an_earlier_one_is_still_held_to_its_own_values():
    assert knobs(1) == 1
    with pytest.raises(TypeError, match="count must be an int, got bool True"):
        knobs(True)  # equal to 1, and no int
    assert knobs(names=["a"]) == 1
    with pytest.raises(TypeError, match=re.escape("names[0] must be a str, got int 1")):
        knobs(names=[1])
    assert images(X) is X
    with pytest.raises(TypeError, match=re.escape("x must be floating point, got torch.int32")):
        images(X.int())


@pytest.mark.bad_input
def test_autocast_allows_dtypes_to_differ_and_only_while_it_is_on():
    with torch.autocast("cpu", torch.bfloat16):
        assert product(ROW, X[0].bfloat16()) is ROW
    with pytest.raises(TypeError, match="x and weight must have the same dtype"):
        product(ROW, X[0].bfloat16())
