"""The page says how far another processor's numbers may lie from the ones that it shows."""

from bs4 import BeautifulSoup
from tiny_book import code, notebook

PRINTED = {"output_type": "stream", "name": "stdout", "text": "0.93\n"}


def declared(**amount: float) -> dict:
    return {"tolerance": amount | {"concludes": 1, "reason": "a trained network"}}


def test_a_cell_with_a_tolerance_is_marked_and_no_other(book):
    made = book("tolerance_mark")
    cells = [
        code("1", outputs=(PRINTED,)),
        code("2", outputs=(PRINTED,), book=declared(absolute=0.02)),
        code("3", outputs=(PRINTED,), book=declared(relative=0.05), tags=("hide-input",)),
        code("4", book=declared(absolute=0.02)),
        code("5", outputs=(PRINTED,), book={"picture": {"share": 0.1, "reason": "drawn"}}),
    ]
    made.write("chapters/code/x.ipynb", notebook("# X", *cells))
    page = BeautifulSoup(made.build().html("chapters/code/x"), "html.parser")
    outputs = page.select("div.cell_output")
    assert [output.select_one("p.tolerance") and output.select_one("p.tolerance").get_text() for output in outputs] == [
        None, "± 0.02 on another processor", "± 5 % on another processor", None,
    ]  # fmt: skip
