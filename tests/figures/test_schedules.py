"""Pictures of placements and schedules show the numbers they were given."""

import re

import pytest
from matplotlib.patches import FancyArrowPatch, Rectangle

from lib.core import Message, Piece, Span
from lib.figures import show_placement, show_schedule


def boxes(axis):
    return [p for p in axis.patches if isinstance(p, Rectangle)]


def filled(axis):
    return [(*p.get_xy(), p.get_width(), p.get_height()) for p in boxes(axis) if p.get_facecolor()[3] > 0]


def test_what_is_filled_is_what_is_held():
    upper = Piece("W", (4, 8), (0, 1), (0, 8))
    right = Piece("V", (4, 8), (0, 4), (6, 8), group="examples")
    figure = show_placement({"one": [[upper, right], [upper]]})
    axis = figure.axes[0]
    # The first row from above stands at the top of its outline, a quarter high; V begins 1.25 further right.
    assert filled(axis) == [(0, 0.75, 1, 0.25), (1.25 + 0.75, 0, 0.25, 1)]
    outlines = [(*p.get_xy(), p.get_width(), p.get_height()) for p in boxes(axis) if not p.get_facecolor()[3]]
    assert outlines == [(0, 0, 1, 1), (1.25, 0, 1, 1)]
    assert [text.get_text() for text in axis.texts] == ["W", "V"]
    assert [axis.get_title() for axis in figure.axes] == ["rank 0", "rank 1"]
    assert [text.get_text() for text in figure.legends[0].texts] == ["weights", "examples"]
    assert upper.share == 0.25
    assert right.share == 0.25


def test_a_piece_that_is_not_held_leaves_its_outline_empty():
    nothing = Piece("W", (4, 8), (0, 0), (0, 8))
    axis = show_placement({"one": [[nothing]]}).axes[0]
    assert filled(axis) == []
    assert len(boxes(axis)) == 1


def test_kinds_differ_in_hatching_as_well_as_colour():
    spans = [Span(0, 5.0, 5.1, "F1"), Span(1, 5.1, 5.3, "B1", "backward")]
    axis = show_schedule(spans).axes[0]
    looks = [(p.get_facecolor(), p.get_hatch()) for p in boxes(axis)]
    assert looks[0][0] != looks[1][0]
    assert looks[0][1] != looks[1][1]


def test_time_starts_at_the_earliest_span_wherever_it_stands_in_the_list():
    axis = show_schedule([Span(1, 7.0, 7.5, "F2"), Span(0, 6.0, 6.5, "F1")]).axes[0]
    assert [round(p.get_x(), 6) for p in boxes(axis)] == [1000, 0]


def test_spans_and_messages_stand_at_their_times_in_milliseconds():
    spans = [Span(0, 5.0, 5.1, "F1"), Span(1, 5.15, 5.3, "B1", "backward")]
    figure = show_schedule(spans, [Message(0, 1, 5.1, 5.12), Message(1, 0, 5.3, 5.31)])
    axis = figure.axes[0]
    starts = [(round(p.get_x(), 6), round(p.get_width(), 6)) for p in boxes(axis)]
    assert starts == [(0, 100), (150, 150)]
    assert [round(p.get_y() + p.get_height() / 2, 6) for p in boxes(axis)] == [0, 1]
    assert [(text.get_text(), round(text.get_position()[0], 6)) for text in axis.texts] == [("F1", 50), ("B1", 225)]
    assert {(text.get_ha(), text.get_va()) for text in axis.texts} == {("center", "center")}
    assert axis.yaxis_inverted()  # rank 0 on top
    arrows = [p._posA_posB for p in axis.patches if isinstance(p, FancyArrowPatch)]
    ends = [[round(value, 6) for point in arrow for value in point] for arrow in arrows]
    assert ends == [[100, 0.36, 120, 0.64], [300, 0.64, 310, 0.36]]  # from edge to edge of the lanes, down and up
    assert axis.get_xlabel() == "time (ms)"
    assert [text.get_text() for text in figure.legends[0].texts] == ["forward", "backward"]


PIECE = Piece("W", (4, 8), (0, 4), (0, 8))
LANES = [Span(0, 0.0, 1.0, "F"), Span(1, 0.0, 1.0, "F")]
BAD = [
    (lambda: show_placement({}), "placements must give the same number of ranks for every strategy, got {}"),
    (lambda: show_placement({"a": []}), "got {'a': 0}"),
    (lambda: show_placement({"a": [[PIECE]], "b": [[PIECE], [PIECE]]}), "got {'a': 1, 'b': 2}"),
    (lambda: show_placement({"a": [[Piece("W", (4, 8), (0, 5), (0, 8))]]}), "a piece must lie inside its whole, got Piece(name='W'"),
    (lambda: show_placement({"a": [[Piece("W", (4, 8), (3, 2), (0, 8))]]}), "a piece must lie inside its whole"),
    (lambda: show_placement({"a": [[Piece("W", (4, 8), (0, 4), (-1, 8))]]}), "a piece must lie inside its whole"),
    (lambda: show_schedule([]), "spans must hold at least one span, got none"),
    (lambda: show_placement({"a": [[Piece("W", (4, 8), (0, 4), (0, 8), str(group)) for group in range(7)]]}), "groups must be at most 6 to be told apart, got 7: 0, 1, 2"),
    (lambda: show_schedule([Span(0, 0.0, 1.0, "F", str(kind)) for kind in range(7)]), "kinds must be at most 6 to be told apart, got 7: 0, 1, 2"),
    (lambda: show_schedule([Span(-1, 0.0, 1.0, "F")]), "a span must have finite times and a rank from 0 to 63, got Span(rank=-1"),
    (lambda: show_schedule([Span(10**6, 0.0, 1.0, "F")]), "a span must have finite times and a rank from 0 to 63, got Span(rank=1000000"),
    (lambda: show_schedule([Span(0, 0.0, float("nan"), "F")]), "a span must have finite times and a rank from 0 to 63, got Span(rank=0"),
    (lambda: show_schedule([Span(0, 0.0, float("inf"), "F")]), "a span must have finite times and a rank from 0 to 63, got Span(rank=0"),
    (lambda: show_schedule(LANES, [Message(0, 1, 0.5, 0.4)]), "a message must not arrive before it is sent, got Message(source=0"),
    (lambda: show_schedule(LANES, [Message(0, 1, 0.5, float("nan"))]), "a message must not arrive before it is sent, got Message(source=0"),
    (lambda: show_schedule(LANES, [Message(0, 2, 0.5, 0.6)]), "a message must go between two of the 2 ranks of the spans, got Message(source=0, destination=2"),
    (lambda: show_schedule(LANES, [Message(1, 1, 0.5, 0.6)]), "a message must go between two of the 2 ranks of the spans, got Message(source=1"),
    (lambda: show_schedule([Span(0, 2.0, 1.0, "F")]), "a span must not end before it starts, got Span(rank=0, start=2.0"),
]  # fmt: skip


@pytest.mark.bad_input
@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
