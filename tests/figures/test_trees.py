"""The drawn tree asks what the tree asks, and its leaves say what they hold."""

from dataclasses import dataclass

import pytest

from lib.figures import show_tree


@dataclass
class Node:
    value: float
    rows: int
    feature: int | None = None
    threshold: float | None = None
    below: "Node | None" = None
    above: "Node | None" = None


DEEPER = Node(0.75, 40, 0, 12.5, Node(1.0, 10), Node(0.25, 30))
TREE = Node(0.4, 100, 2, 1.5, Node(0.125, 60), DEEPER)
NAMES = ["age", "class", "fare"]


def drawn(figure):
    return {text.get_text(): text.get_position() for text in figure.axes[0].texts}


def test_every_question_and_every_leaf_is_there_where_it_belongs():
    words = drawn(show_tree(TREE, NAMES, limits=(0, 1)))
    root, left = words["fare\n≤ 1.5?"], words["0.12\n60 %"]
    inner, first, last = words["age\n≤ 12.5?"], words["1.00\n10 %"], words["0.25\n30 %"]
    assert left[0] < root[0] < inner[0]
    assert first[0] < inner[0] < last[0]
    assert (root[1], left[1], inner[1], first[1], last[1]) == (0, -1, -1, -2, -2)
    assert {"yes", "no"} < words.keys()
    assert len(words) == 7


def test_yes_leads_to_the_left_of_its_question():
    words = show_tree(TREE, NAMES, limits=(0, 1)).axes[0].texts
    answers = [(t.get_position(), t.get_text()) for t in words if t.get_text() in ("yes", "no")]
    for level in (-0.5, -1.5):
        on_level = sorted((x, word) for (x, y), word in answers if y == level)
        assert [word for _, word in on_level] == ["yes", "no"]


def test_higher_is_darker_and_beyond_the_limits_is_as_dark_as_they_are():
    def darkness(limits):
        figure = show_tree(TREE, NAMES, limits=limits)
        return [
            sum(text.get_bbox_patch().get_facecolor()[:3]) for text in figure.axes[0].texts if "%" in text.get_text()
        ]

    low, high, middle = darkness((0, 1))
    assert low > middle > high
    assert darkness((0.3, 0.5)) == [darkness((0.125, 1))[0], high, darkness((0.125, 1))[0]]


def test_questions_and_digits_as_asked_for():
    words = drawn(show_tree(TREE, NAMES, limits=(0, 1), question=lambda name, cut: f"is {name} {cut}", digits=1))
    assert {"is fare 1.5", "is age 12.5", "0.1\n60 %"} < words.keys()


def test_one_question_is_a_tree():
    assert drawn(show_tree(DEEPER, NAMES, limits=(0, 1))).keys() >= {"age\n≤ 12.5?", "1.00\n25 %", "0.25\n75 %"}


@pytest.mark.parametrize(
    ("tree", "names", "limits", "message"),
    [
        (Node(1.0, 5), NAMES, (0, 1), "tree must have 2 to 8 leaves to be drawn, got 1"),
        (TREE, NAMES[:2], (0, 1), r"names must name feature 2 too, got 2 of them: \['age', 'class'\]"),
        (TREE, NAMES, (1, 1), r"limits must increase, got \(1, 1\)"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tree, names, limits, message):
    with pytest.raises(ValueError, match=message):
        show_tree(tree, names, limits=limits)


def test_too_many_leaves_are_refused():
    chain = Node(0.0, 1)
    for _ in range(8):
        chain = Node(0.0, 1, 0, 0.0, Node(0.0, 1), chain)
    with pytest.raises(ValueError, match="tree must have 2 to 8 leaves to be drawn, got 9"):
        show_tree(chain, NAMES, limits=(0, 1))
