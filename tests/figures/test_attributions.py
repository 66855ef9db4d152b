"""The drawn areas, the colours and the words all say where the attribution is."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from lib.figures import describe_attributions, show_attributions
from tools.notebooks import chapter_paths, read


def _patch(top, left, side=14, value=1.0, shape=(84, 126)):
    values = torch.zeros(shape)
    values[top : top + side, left : left + side] = value
    return values


def _panels(figure):
    return {axis.get_title(): axis for axis in figure.axes if axis.images}


def test_words_name_the_ninth_of_the_picture_that_holds_the_patch():
    expected = {}
    for top, row in ((7, "upper"), (35, "middle"), (63, "lower")):
        for left, column in ((14, "left"), (56, "centre"), (98, "right")):
            name = f"{row} {column}".replace("middle centre", "centre")
            expected[name] = _patch(top, left)
    spoken = describe_attributions(expected, share=0.01)
    assert spoken == "; ".join(f"{name}: highest {name}" for name in expected) + "."


def test_words_name_the_parts_that_hold_a_fifth_and_say_how_much():
    both = _patch(10, 10) + _patch(10, 100)
    boxes = {"left ear": (0, 0, 40, 40), "right ear": (0, 86, 40, 126), "tail": (50, 0, 84, 126)}
    assert describe_attributions({"m": both}, share=0.03, regions=boxes) == (
        "m: highest upper left and upper right, 50 % on the left ear, 50 % on the right ear."
    )
    assert describe_attributions({"m": _patch(60, 60)}, share=0.01, regions=boxes) == (
        "m: highest lower centre, 100 % on the tail."
    )


def test_a_part_is_rounded_to_tens_and_needs_a_fifth():
    ramp = torch.arange(126.0).repeat(84, 1)  # its highest quarter is a band over all 84 rows
    boxes = {"top": (0, 0, 23, 126), "strip": (60, 0, 73, 126)}  # 27 % and 15 % of the rows
    spoken = describe_attributions({"m": ramp}, share=0.25, regions=boxes)
    assert "30 % on the top" in spoken
    assert "strip" not in spoken


def test_words_tell_for_from_against_and_nothing_from_everything():
    maps = {
        "both": _patch(0, 0) - _patch(70, 112),
        "only against": -_patch(35, 56),
        "zero": torch.zeros(84, 126),
        "flat": torch.ones(84, 126),
    }
    assert describe_attributions(maps, share=0.01) == (
        "both: highest upper left, lowest lower right; only against: nothing above zero, lowest centre; "
        "zero: zero everywhere; flat: the same everywhere."
    )


def test_a_single_loud_pixel_does_not_drown_a_wide_area():
    values = _patch(0, 0, side=28)
    values[70, 110] = 50.0  # the three means give the middle pixel a weight of (37 / 343)², so 0.6 is left of it
    assert describe_attributions({"m": values}, share=0.05) == "m: highest upper left."
    values[70, 110] = 500.0  # and of this, 5.8
    assert describe_attributions({"m": values}, share=0.01) == "m: highest lower right."


def test_the_line_surrounds_what_the_words_name():
    figure = show_attributions(torch.rand(3, 84, 126), {"m": _patch(7, 98) - _patch(63, 0)}, share=0.02)
    # Photograph, map and line stand in the photograph's own rows and columns, however coarse the squares.
    assert [axis.images[0].get_extent() for axis in _panels(figure).values()] == [[0, 126, 84, 0]] * 2
    solid, dotted = _panels(figure)["m"].collections
    box = solid.get_paths()[0].get_extents()
    # The patch spans columns 98 to 112 and rows 7 to 21; 2 % of the picture is a square of about its size.
    assert abs(box.x0 - 98) < 3
    assert abs(box.x1 - 112) < 3
    assert abs(box.y0 - 7) < 3
    assert abs(box.y1 - 21) < 3
    box = dotted.get_paths()[0].get_extents()
    assert box.x1 < 20
    assert box.y0 > 55
    assert solid.get_linestyle() != dotted.get_linestyle()


def test_colours_are_purple_for_orange_against_and_the_photograph_where_nothing_is():
    photograph = torch.full((1, 84, 126), 0.5)
    figure = show_attributions(photograph, {"m": _patch(0, 0, 42) - _patch(42, 84, 42)}, cells=42)
    picture = np.asarray(_panels(figure)["m"].images[0].get_array())
    rows, columns = picture.shape[:2]
    for_it, against, nothing = picture[2, 2], picture[rows - 3, columns - 3], picture[2, columns - 3]
    assert for_it[2] > 2 * for_it[1]  # purple: blue over green
    assert against[0] > 2 * against[2]  # orange-brown: red over blue
    np.testing.assert_allclose(nothing, nothing[0])  # grey
    # Viénot, Brettel & Mollon 1999: apart for readers without the middle or the long-wave cones too.
    for matrix in ([[0.2928, 0.7072, 0], [0.2928, 0.7072, 0], [-0.0223, 0.0223, 1]],
                   [[0.1124, 0.8876, 0], [0.1124, 0.8876, 0], [0.0040, -0.0040, 1]]):  # fmt: skip
        seen = [np.clip(np.array(matrix) @ colour**2.2, 0, 1) ** (1 / 2.2) for colour in (for_it, against, nothing)]
        assert min(np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i]) > 0.2


def test_each_map_has_its_own_scale_which_ends_at_the_percentile():
    quiet = 0.001 * torch.arange(84.0).repeat(126, 1).T[:84]
    loud = quiet.clone()
    loud[0, 0] = 1e6
    panels = _panels(show_attributions(torch.rand(3, 84, 126), {"quiet": quiet, "loud": loud}, percentile=90.0))
    quiet_drawn, loud_drawn = (np.asarray(panels[name].images[0].get_array()) for name in ("quiet", "loud"))
    # One outlier among the squares moves the 90th percentile by less than a level of colour.
    np.testing.assert_allclose(quiet_drawn[3:], loud_drawn[3:], atol=0.25)
    assert quiet_drawn[-1].max() < 0.6  # the largest values are dark purple although they are small


def test_the_key_is_in_words_and_unsigned_maps_have_one_end_only():
    def key(maps):
        figure = show_attributions(torch.rand(3, 84, 126), maps)
        (bar,) = (axis for axis in figure.axes if not axis.images or axis.get_xlabel())
        return [label.get_text() for label in bar.get_xticklabels()], bar.get_xlabel()

    labels, line = key({"m": _patch(0, 0) - _patch(60, 60)})
    assert labels == ["against the class", "nothing", "for the class"]
    assert "dotted: the lowest" in line
    labels, line = key({"m": _patch(0, 0)})
    assert labels == ["nothing", "much"]
    assert "dotted" not in line
    assert "99th percentile" in line


def test_one_square_on_the_shorter_side_is_the_coarsest_map():
    values = torch.arange(24.0)[:, None].repeat(1, 36)
    figure = show_attributions(torch.full((1, 24, 36), 0.5), {"m": values}, cells=1)
    picture = np.asarray(_panels(figure)["m"].images[0].get_array())
    np.testing.assert_allclose(picture, picture[:1].repeat(len(picture), 0))


def test_photograph_maps_and_random_numbers_stay_as_they_were():
    photograph, values = torch.rand(3, 84, 126), torch.randn(84, 126)
    before = photograph.clone(), values.clone(), torch.get_rng_state()
    figure = show_attributions(photograph, {"a": values, "b": values.abs()}, columns=2)
    assert torch.equal(photograph, before[0])
    assert torch.equal(values, before[1])
    assert torch.equal(torch.get_rng_state(), before[2])
    assert list(_panels(figure)) == ["photograph", "a", "b"]


def test_a_chapter_whose_figure_is_described_by_data_carries_that_description():
    """The printed words are stored output, which CI compares; so the alt text cannot drift from the data."""
    described = [
        cell
        for path in chapter_paths()
        for cell in read(path).cells
        if cell.cell_type == "code" and "print(describe_attributions(" in cell.source
    ]
    assert described
    for cell in described:
        (words,) = (output.text.strip() for output in cell.outputs if output.output_type == "stream")
        assert words in cell.metadata["mystnb"]["image"]["alt"]


def test_the_area_is_that_of_a_mean_over_about_a_fourteenth_of_the_side():
    # Alone, the brighter of two spots wins; a mean over 84/14 | 1 = 7 pixels, three times, prefers the broader one.
    broad, narrow = _patch(4, 4, side=9, value=1.0), _patch(60, 100, side=2, value=6.0)
    assert describe_attributions({"m": broad + narrow}, share=0.005) == "m: highest upper left."
    assert describe_attributions({"m": broad + 6 * narrow}, share=0.005) == "m: highest lower right."


def test_the_scale_of_a_map_ends_at_its_own_99th_percentile_unless_told_otherwise():
    values = torch.arange(42.0 * 63).reshape(42, 63)
    drawn = [
        np.asarray(
            _panels(show_attributions(torch.full((3, 42, 63), 0.5), {"m": values}, cells=42, **knob))["m"]
            .images[0]
            .get_array()
        )
        for knob in ({}, {"percentile": 99.0}, {"percentile": 60.0})
    ]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    dark = [(picture[..., 1] < 0.05).mean() for picture in drawn]  # the darkest purple, 1 % and 40 % of the squares
    assert dark[0] < 0.15 < 0.35 < dark[2]


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: show_attributions(torch.full((3, 8, 8), torch.nan), {"a": torch.rand(8, 8)}),
            "photograph must be finite, got nan",
        ),
        (
            lambda: show_attributions(255 * torch.ones(3, 8, 8), {"a": torch.rand(8, 8)}),
            r"photograph must have values in \[0, 1\], got 255 to 255",
        ),
        (lambda: describe_attributions({}), "attributions must hold at least one map, got none"),
        (
            lambda: describe_attributions({"a": torch.rand(3, 8, 8)}),
            r"map 'a' must be \[height, width\], got \[3, 8, 8\]; reduce colours",
        ),
        (lambda: describe_attributions({"a": torch.full((8, 8), torch.nan)}), "map 'a' must be finite, got 64 values"),
        (
            lambda: describe_attributions({"a": torch.rand(8, 8)}, share=0.0),
            "share must be above 0 and at most 1, got 0",
        ),
        (
            lambda: describe_attributions({"a": torch.rand(8, 8)}, regions={"ear": (0, 0, 9, 4)}),
            r"region 'ear' must be a box .* inside 8 × 8, got \(0, 0, 9, 4\)",
        ),
        (
            lambda: describe_attributions({"a": torch.zeros(8, 8)}, regions={"ear": (3, 0, 3, 4)}),
            r"region 'ear' must be a box .* got \(3, 0, 3, 4\)",
        ),
        (lambda: show_attributions(torch.rand(8, 8), {"a": torch.rand(8, 8)}), r"photograph must be .* got \[8, 8\]"),
        (
            lambda: show_attributions(torch.rand(3, 8, 9), {"a": torch.rand(8, 8)}),
            r"map 'a' must be \[8, 9\] like the photograph, got \[8, 8\]",
        ),
        (
            lambda: show_attributions(torch.rand(3, 8, 8), {"a": torch.rand(8, 8)}, cells=9),
            "cells must be between 1 and the shorter side, 8, got 9",
        ),
        (
            lambda: show_attributions(torch.rand(3, 8, 8), {"a": torch.rand(8, 8)}, cells=4, percentile=101),
            "percentile must be above 0 and at most 100, got 101",
        ),
        (
            lambda: show_attributions(torch.rand(3, 8, 8), {"a": torch.rand(8, 8)}, cells=4, percentile=0),
            "percentile must be above 0 and at most 100, got 0",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
    assert not plt.get_fignums()  # no half-drawn figure is left


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: describe_attributions({"a": torch.ones(8, 8).long()}), "map 'a' must be a floating-point tensor, got torch.int64"),
        (lambda: describe_attributions({"a": [[1.0]]}), "map 'a' must be a floating-point tensor, got list"),
        (lambda: describe_attributions(torch.rand(8, 8)), "attributions must be maps by name, got Tensor"),
        (lambda: show_attributions(torch.ones(3, 8, 8).long(), {"a": torch.rand(8, 8)}), "photograph must be a floating-point tensor, got torch.int64"),
    ],
)  # fmt: skip
def test_what_holds_no_numbers_is_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call()
