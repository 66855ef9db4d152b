"""The index knows a compound in its parts and as one word."""

import pytest
from book_search import ForgivingEnglish


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Grad-CAM of", ["Grad", "CAM", "of", "GradCAM"]),
        ("an all_reduce", ["an", "all_reduce", "allreduce"]),
        ("input-by-gradient", ["input", "by", "gradient", "inputbygradient"]),
        ("eq-conv2d 2026-11-26", ["eq", "conv2d", "2026", "11", "26"]),
        ("a-b-c-d", ["a", "b", "c", "d"]),
    ],
)
def test_compounds_of_two_or_three_words_are_joined_too(text, words):
    assert ForgivingEnglish({}).split(text) == words
