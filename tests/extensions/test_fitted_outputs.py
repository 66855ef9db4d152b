"""A printed output carries the length of its longest line; a picture and code carry none."""

from bs4 import BeautifulSoup
from tiny_book import code, notebook

PICTURE = {"output_type": "display_data", "data": {"text/html": "<p>shown</p>"}, "metadata": {}}


def printed(text: str) -> dict:
    return {"output_type": "stream", "name": "stdout", "text": text}


def value(text: str) -> dict:
    return {"output_type": "execute_result", "execution_count": 1, "data": {"text/plain": text}, "metadata": {}}


def test_the_longest_line_is_counted(book):
    made = book("fitted_outputs")
    outputs = [printed("12\n12345\n"), value("a < b"), printed("图 5\n"), printed("x̂\n"), PICTURE]
    made.write("page.ipynb", notebook("# X", *(code("'a line of code'", outputs=(one,)) for one in outputs)))
    page = BeautifulSoup(made.build().html("page"), "html.parser")
    assert [part.get("style") for part in page.select("div.cell_output > div.output")] == [
        "--letters: 5", "--letters: 5", "--letters: 4", "--letters: 1", None,
    ]  # fmt: skip
    assert page.select_one("div.cell_input [style]") is None


def test_a_line_longer_than_a_phone_shows_is_a_warning(book):
    made = book("fitted_outputs")
    made.write(
        "page.ipynb",
        notebook("# X", code("1", outputs=(printed("a" * 69 + "\n"),)), code("2", outputs=(printed("b" * 70),))),
    )
    warnings = made.build().warnings
    assert f"70 letters are printed in a line, of which a phone shows 69: {'b' * 70}" in warnings
    assert "aaa" not in warnings
