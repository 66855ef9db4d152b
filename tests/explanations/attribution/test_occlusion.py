"""Windows covered one after another: by a plain loop, by Captum, and on a model whose answer is known."""

import captum.attr
import pytest
import torch
from explained_models import build
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from lib.explanations import occlusion


@pytest.mark.equation("eq-occlusion")
@pytest.mark.parametrize(
    ("window", "stride"), [((3, 2, 3), (1, 2, 2)), ((2, 4, 3), (2, 3, 1)), ((3, 6, 8), None), ((1, 4, 5), None)]
)
def test_a_plain_loop_over_the_windows_agrees(window, stride):
    model, x, target = build("images")
    model, x = model.double(), x.double()
    baseline = torch.linspace(-1, 1, 8).double()
    score = lambda points: model(points).gather(1, target[:, None]).squeeze(1).detach()  # noqa: E731
    total, times = torch.zeros_like(x), torch.zeros(x.shape[1:])
    steps = stride or window
    corners = [range(0, max(1, size - w + s), s) for size, w, s in zip(x.shape[1:], window, steps, strict=True)]
    for c in corners[0]:
        for i in corners[1]:
            for j in corners[2]:
                place = (..., slice(c, c + window[0]), slice(i, i + window[1]), slice(j, j + window[2]))
                covered = x.clone()
                covered[place] = baseline.expand_as(x)[place]
                total[place] += (score(x.clone()) - score(covered)).reshape(-1, 1, 1, 1)
                times[place] += 1
    assert times.min() >= 1
    ours = occlusion(model, x, target, window=window, stride=stride, baseline=baseline)
    assert_close(ours, total / times)


@pytest.mark.parametrize(
    ("kind", "window", "stride"),
    [("images", (3, 2, 3), (3, 1, 2)), ("images", (1, 4, 5), (1, 3, 4)), ("rows", (2,), (1,)), ("tokens", (1, 8), (1, 8))],
)  # fmt: skip
def test_captum_agrees_also_where_the_last_window_is_cut_off(kind, window, stride):
    model, x, target = build(kind)
    reference = captum.attr.Occlusion(lambda z: model(z.clone()))
    theirs = reference.attribute(x, window, strides=stride, baselines=0.5, target=target)
    # Differences of two scores of about 1 in float32.
    assert_close(
        occlusion(model, x, target, window=window, stride=stride, baseline=0.5), theirs.float(), rtol=1e-4, atol=1e-5
    )


@given(
    length=st.integers(1, 9),
    data=st.data(),
)
def test_each_entry_of_an_additive_model_gets_the_mean_drop_of_its_windows(length, data):
    width = data.draw(st.integers(1, length))
    stride = data.draw(st.integers(1, width))
    x = torch.arange(1.0, length + 1).double()[None]
    ours = occlusion(lambda z: z.sum(1, keepdim=True), x, 0, window=(width,), stride=(stride,))
    starts = range(0, length - width + stride, stride)
    windows = [set(range(start, min(start + width, length))) for start in starts]
    assert set().union(*windows) == set(range(length))
    for i in range(length):
        drops = [sum(x[0, j].item() for j in window) for window in windows if i in window]
        assert ours[0, i].item() == pytest.approx(sum(drops) / len(drops))


@pytest.mark.parametrize("chunk_size", [1, 4, 5, 10_000, None])
def test_the_model_is_called_once_a_window_and_example_in_chunks(chunk_size):
    model, x, target = build("rows")
    model, x, sizes = model.double(), x.double(), []

    def counted(points):
        sizes.append(len(points))
        return model(points)

    chunked = occlusion(counted, x, target, window=(2,), stride=(1,), chunk_size=chunk_size)
    assert_close(chunked, occlusion(model, x, target, window=(2,), stride=(1,), chunk_size=3))
    # Four examples as they are and under five windows each.
    assert sum(sizes) == 4 + 5 * 4
    if chunk_size is not None:
        assert max(sizes[1:]) <= chunk_size


def test_a_model_without_gradient_can_be_explained():
    def model(x):
        return (x > 0.5).double().sum(1, keepdim=True)

    x = torch.tensor([[0.2, 0.9, 0.7]]).double()
    assert occlusion(model, x, 0, window=(1,)).tolist() == [[0, 1, 1]]
