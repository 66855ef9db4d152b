"""Figures show the numbers that they were given."""

import matplotlib as mpl
import numpy as np
import pytest
import torch

from lib.figures import PALETTE, confusion_matrix, learning_curves, show_images, use_book_style


def test_images_are_drawn_with_their_own_values_and_titles():
    images = torch.rand(5, 1, 4, 6)
    figure = show_images(images, titles=list("abcde"), columns=3)
    drawn = [axis for axis in figure.axes if axis.images]
    assert len(figure.axes) == 6
    assert [axis.get_title() for axis in drawn] == list("abcde")
    for axis, image in zip(drawn, images, strict=True):
        np.testing.assert_array_equal(axis.images[0].get_array(), image[0])


def test_a_colour_image_keeps_its_channels_last():
    image = torch.rand(3, 4, 6)
    np.testing.assert_array_equal(show_images([image]).axes[0].images[0].get_array(), image.permute(1, 2, 0))


def test_signed_images_have_zero_in_the_middle_and_same_scale_is_shared():
    figure = show_images([torch.tensor([[-1.0, 3.0]]), torch.tensor([[0.0, 0.5]])], signed=True)
    assert [axis.images[0].get_clim() for axis in figure.axes] == [(-3.0, 3.0), (-0.5, 0.5)]
    red, green, blue, _ = figure.axes[0].images[0].cmap([0.0, 0.5, 1.0]).T
    assert red[0] > 2 * blue[0]  # negative is orange-brown,
    assert min(red[1], green[1], blue[1]) > 0.9  # zero white,
    assert blue[2] > 2 * green[2]  # positive purple
    figure = show_images([torch.tensor([[-1.0, 3.0]]), torch.tensor([[0.0, 0.5]])], same_scale=True)
    assert [axis.images[0].get_clim() for axis in figure.axes] == [(-1.0, 3.0), (-1.0, 3.0)]


def test_learning_curves_count_epochs_from_one():
    axis = learning_curves({"training": [2.0, 1.0], "validation": [2.5, 1.5]}, ylabel="loss (nats)").axes[0]
    assert [list(line.get_xdata()) for line in axis.lines] == [[1, 2], [1, 2]]
    assert [list(line.get_ydata()) for line in axis.lines] == [[2.0, 1.0], [2.5, 1.5]]
    assert len({(line.get_linestyle(), line.get_color()) for line in axis.lines}) == 2
    assert axis.get_ylabel() == "loss (nats)"


def test_the_confusion_matrix_writes_every_count_and_shades_errors_only():
    counts = torch.tensor([[50, 3], [0, 47]])
    axis = confusion_matrix(counts, ["cat", "dog"]).axes[0]
    written = {text.get_position(): text.get_text() for text in axis.texts}
    assert written == {(0, 0): "50", (1, 0): "3", (1, 1): "47"}
    np.testing.assert_array_equal(axis.images[0].get_array(), [[0, 3], [0, 0]])
    assert torch.equal(counts, torch.tensor([[50, 3], [0, 47]]))


def test_palette_colours_stay_apart_for_colour_blind_readers():
    use_book_style()
    cycle = [mpl.colors.to_rgb(colour) for colour in mpl.rcParams["axes.prop_cycle"].by_key()["color"]]
    assert len(cycle) == len(PALETTE)
    linear = np.array(cycle) ** 2.2
    # Viénot, Brettel & Mollon 1999: what a reader without the middle or the long-wave cones sees.
    deutan = np.array([[0.2928, 0.7072, 0.0], [0.2928, 0.7072, 0.0], [-0.0223, 0.0223, 1.0]])
    protan = np.array([[0.1124, 0.8876, 0.0], [0.1124, 0.8876, 0.0], [0.0040, -0.0040, 1.0]])
    for matrix in (deutan, protan):
        seen = np.clip(linear @ matrix.T, 0, 1) ** (1 / 2.2)
        apart = [np.linalg.norm(a - b) for index, a in enumerate(seen) for b in seen[:index]]
        # Measured 0.148 for the closest pair; a red beside a green of equal brightness falls below 0.05.
        assert min(apart) > 0.14


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: show_images([]), "images must hold at least one image, got none"),
        (lambda: show_images(torch.rand(2, 4, 4, 4)), r"an image must be .* got \[4, 4, 4\]"),
        (lambda: show_images(torch.rand(2, 4, 4), titles=["a"]), "titles must be as many as the 2 images, got 1"),
        (lambda: learning_curves({}, ylabel="loss"), "curves must each hold at least one epoch"),
        (lambda: confusion_matrix(torch.eye(2).long(), ["a"]), "names must be as many as the 2 classes, got 1"),
    ],
)
def test_bad_input_is_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
