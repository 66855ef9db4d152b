"""A picture without a description, or with a file's name for one, is a warning."""

import pytest
from alt_text import looks_like_a_file_name
from tiny_book import code, notebook

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
OUTPUT = {"output_type": "display_data", "data": {"image/png": PIXEL, "text/plain": "<Figure>"}, "metadata": {}}


@pytest.mark.parametrize("alt", ["loss.png", "images/loss", "output_12_0", "d41d8cd98f00b204e9800998ecf8427e", "loss"])
def test_file_names_are_known(alt):
    assert looks_like_a_file_name(alt, "images/loss.png")


@pytest.mark.parametrize("alt", ["The loss falls from 2.3 to 0.1.", "a/b testing, two curves", "Cat"])
def test_descriptions_are_let_through(alt):
    assert not looks_like_a_file_name(alt, "images/loss.png")


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({}, "an image has no alt text"),
        ({"mystnb": {"image": {"alt": " "}}}, "an image has no alt text"),
        ({"mystnb": {"image": {"alt": "output_12_0.png"}}}, "the alt text 'output_12_0.png' is a file name"),
        ({"mystnb": {"image": {"alt": "One black pixel"}}}, ""),
    ],
)
def test_a_computed_figure_needs_a_description(book, metadata, complaint):
    made = book("alt_text")
    made.write("chapters/code/x.ipynb", notebook("# X", code("plot()", outputs=(OUTPUT,), **metadata)))
    warnings = made.build().warnings
    assert (complaint in warnings) if complaint else warnings == ""


def test_a_markdown_image_needs_a_description(book):
    made = book("alt_text")
    made.write("pixel.svg", '<svg xmlns="http://www.w3.org/2000/svg"/>')
    made.write(
        "page.md", "# Page\n\n![](pixel.svg)\n\n![One pixel](pixel.svg)\n\n```{figure} pixel.svg\n:alt: pixel\n```\n"
    )
    warnings = made.build().warnings
    assert warnings.count("WARNING") == 2
    assert "page.md:3: WARNING: an image has no alt text" in warnings
    assert "the alt text 'pixel' is a file name" in warnings
