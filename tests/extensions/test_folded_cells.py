"""A fold says what is in it."""

import pytest
from bs4 import BeautifulSoup
from tiny_book import code, notebook

from tools.chapter.kinds import kind

PICTURE = {
    "output_type": "display_data",
    "metadata": {"image/png": {"alt": "A dot."}},
    "data": {
        "image/png": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    },
}
PRINTED = {"output_type": "stream", "name": "stdout", "text": "1\n"}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ((), "teaching"),
        (("nbval-ignore-output",), "teaching"),
        (("hide-input",), "plumbing"),
        (("hide-cell",), "plumbing"),
        (("evidence", "hide-cell"), "evidence"),
        (("check",), "check"),
        (("starter",), "starter"),
        (("solution", "hide-input"), "solution"),
    ],
)
def test_tags_tell_the_kind(tags, expected):
    assert kind(tags) == expected


def test_each_fold_is_labelled_and_closed(book):
    made = book("folded_cells")
    cells = [
        code("import math\nfrom lib.figures import use_book_style\n\nuse_book_style()", tags=("hide-input",)),
        code("1 + 1", outputs=(PRINTED,)),
        code("draw()", tags=("hide-input",), outputs=(PICTURE,)),
        code("print(1)", tags=("hide-input",), outputs=(PRINTED,)),
        code("with evidence():\n    assert True", tags=("evidence", "hide-cell")),
        code("run()", tags=("hide-input",), mystnb={"code_prompt_show": "The loop over <seeds>"}),
    ]
    made.write("chapters/code/x.ipynb", notebook("# X", *cells))
    page = BeautifulSoup(made.build().html("chapters/code/x"), "html.parser")
    folds = page.select("details.hide")
    assert [fold.summary.get_text(strip=True) for fold in folds] == [
        "Imports",
        "Code of this figure",
        "Code of this output",
        "Checked: what this section says",
        "The loop over <seeds>",
    ]
    assert not any(fold.has_attr("open") for fold in folds)
    assert "1 + 1" in page.get_text()
    assert [fold.summary.get("aria-label") for fold in folds] == [None] * 5  # it is called what it shows
