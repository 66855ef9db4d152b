"""A number in a sentence is held by code near it; one digit changed, and it is found."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pictures import figure_cell

from tools.chapter.prose import prose
from tools.notebooks import deviations
from tools.notebooks.canonical import canonicalise, serialise
from tools.notebooks.numbers import loose_numbers
from tools.notebooks.quantities import numbers


def shows(text, **metadata):
    return new_code_cell("show()", metadata=metadata, outputs=[new_output("stream", name="stdout", text=text)])


def loose(*cells):
    """What is found in a chapter of these cells, sources taken as Markdown."""
    return loose_numbers(
        new_notebook(cells=[new_markdown_cell(cell) if isinstance(cell, str) else cell for cell in cells])
    )


@pytest.mark.parametrize(
    ("sentence", "code"),
    [
        ("97.2 % are right", "assert accuracy > 0.972"),
        ("97.2 % are right", "assert points > 97.2"),
        ("97.2 percent", "assert abs(accuracy - 0.97214) < 1e-5"),
        ("it loses 1.4 points", "assert loss == 0.014"),
        ("28.9 million products", "assert products == 28_901_376"),
        ("93,322 parameters", "assert parameters == 93_322"),
        ("93k parameters", "assert parameters == 93_322"),
        ("1.4 times as fast", "assert round(ratio, 2) == 1.38"),
        ("28 × 28 pixels", "images.view(-1, 28, 28)"),
        ("784 pixels", "size = 28 * 28"),
        ("65,536 levels", "levels = 2**16"),
        ("below −110", "assert score < -110"),
        ("a step of 10⁻³", "rate = 1e-3"),
        ("a step of 2 · 10⁻³", "rate = 2e-3"),
        ("2¹⁶ levels", "assert levels == 65_536"),
        ("5 to 10 % are lost", "assert 0.05 < lost < 0.1"),
        ("4, 8 and 24 million", "sizes = [4e6, 8e6, 24e6]"),
        ("12 MB", "assert size == 12_000_000"),
        ("25.6 milliseconds", "assert window == 0.0256"),
        ("the 3rd row", "rows[3]"),
        ("500 digits", "digits[:500]"),
        (r"$23\,\%$", "assert share == 0.23"),
        ("1/3 of 6", "assert share == 1 / 3 and total == 6"),
    ],
)
def test_a_number_that_code_has_is_held(sentence, code):
    assert loose(sentence, new_code_cell(code)) == []


@pytest.mark.parametrize(
    ("sentence", "code"),
    [
        ("97.3 % are right", "assert accuracy > 0.972"),
        ("97.2 % are right", "assert accuracy > 0.97"),
        ("97 % are right", "assert accuracy > 0.96"),
        ("5 % are lost", "assert lost == 0.046"),  # a single digit is not rounded
        ("38.90 million products", "assert products == 28_901_376"),
        ("28.90 million products", "assert products == 28_910_000"),
        ("93,323 parameters", "assert parameters == 93_322"),
        ("93 parameters", "assert parameters == 93_322"),
        ("1.3 times as fast", "assert ratio == 1.38"),
        ("12 rows", "assert height == 12.3"),  # a count fits only itself
        ("27 pixels", "images.view(-1, 28, 28)"),
        ("7 rows", "# 7 rows\nrows"),
        ("7 rows", "text = 'the 7 rows'"),
        ("7 rows", "text = f'the {rows:.7f}'"),
        ("7 rows", "row7 = float32"),
        ("1 row", "shown = True"),
        ("a step of 10⁻⁴", "rate = 1e-3"),
        ("12 MB", "assert size == 120_000_000"),
        ("the 00⁻⁸⁷th", "x = 0"),
    ],
)
def test_a_number_that_code_has_not_is_loose(sentence, code):
    found = loose(sentence, new_code_cell(code))
    assert len(found) == 1
    assert found[0].startswith("text after code cell 0: no code cell near holds ")


@pytest.mark.parametrize("text", ["97.21 %\n", "share 0.972\n", "97.2%\n", "(1, 97.2)\n", "9.72e-01\n"])
def test_a_stored_output_holds_a_number(text):
    assert loose("97.2 % are right", shows(text)) == []


def test_a_stored_table_holds_a_number():
    table = new_output(
        "display_data", data={"text/html": "<td style='width: 7px'>93,322</td>", "text/plain": "<Table>"}
    )
    assert loose("93,322 parameters", new_code_cell("table", outputs=[table])) == []
    assert len(loose("7 parameters", new_code_cell("table", outputs=[table]))) == 1


def test_an_output_that_no_test_reproduces_holds_nothing():
    assert len(loose("97.2 % are right", shows("97.2 %", tags=["nbval-ignore-output"]))) == 1


def test_code_is_near_up_to_two_cells_on_either_side():
    first, second, code = new_code_cell("first()"), new_code_cell("second()"), new_code_cell("x = 7")
    assert loose("7 rows", first, code) == []
    assert len(loose("7 rows", first, second, code)) == 1
    assert loose(code, first, "7 rows") == []
    assert len(loose(code, first, second, "7 rows")) == 1
    starter = new_code_cell("def rows():\n    ...", metadata={"tags": ["starter"]})
    assert loose("7 rows", first, starter, code) == []  # an exercise, its solution and its check


def test_the_evidence_of_a_section_is_near_to_all_of_it():
    between = [new_code_cell("pass") for _ in range(3)]
    evidence = new_code_cell("with evidence(): assert share == 0.123", metadata={"tags": ["evidence", "hide-cell"]})
    plain = new_code_cell("assert share == 0.123")
    assert loose("## One\n\n12.3 % are lost", *between, evidence) == []
    assert len(loose("## One\n\n12.3 % are lost", *between, plain)) == 1
    assert len(loose("## One\n\n12.3 % are lost", *between, "## Two", evidence)) == 1


def test_a_number_may_be_repeated_far_from_its_code_but_no_single_digit():
    code = new_code_cell("assert accuracy > 0.97 and rows == 7")
    between = [new_code_cell("first()"), new_code_cell("second()")]
    assert loose("97 % of 7", code, *between, "The summary: 97 percent.") == []
    assert len(loose("97 % of 7", code, *between, "The summary: 98 %.")) == 1
    assert len(loose("97 % of 7", code, *between, "The summary: 7 rows.")) == 1
    assert len(loose("Nothing.", code, *between, "The summary: 97 %.")) == 1  # held nowhere


def test_a_product_is_repeated_as_a_whole():
    code = new_code_cell("assert window == (3, 3) and image == (28, 32)")
    between = [new_code_cell("first()"), new_code_cell("second()")]
    assert loose("A 3 × 3 window on 28 × 32 pixels", code, *between, "Again 3 × 3 and 28×32.") == []
    assert len(loose("A 3 × 3 window on 28 × 32 pixels", code, *between, "Again 28 × 28.")) == 2
    assert len(loose("A 3 × 3 window on 28 × 32 pixels", code, *between, "Again 3.")) == 1
    assert len(loose("28 × 31 pixels", code)) == 1


def test_captions_and_descriptions_are_sentences():
    cell = figure_cell()
    cell.metadata.mystnb = {"figure": {"caption": "All 24 coins."}, "image": {"alt": "A line from 2.3 to 0.1."}}
    found = loose(cell)
    assert [line.split(" in “")[0] for line in found] == [
        f"caption of code cell 1: no code cell near holds {number}" for number in ("24", "2.3", "0.1")
    ]


def test_a_finding_tells_the_place_the_number_and_the_sentence():
    text = "It is a long sentence that says at the end that 38.90 million products are computed."
    (found,) = loose(new_code_cell("x"), text)
    assert found == (
        "text after code cell 1: no code cell near holds 38.90 in “…long sentence that says at the end that "
        "38.90 million products are computed.”"
    )


@pytest.mark.parametrize(
    "source",
    [
        "since 1998, in the 1990s, {cite:t}`lecun1998gradient`",
        "LeNet-5, ResNet-18, float32, conv2d, SmolLM2, 2D, a 3-D array",
        "see section 6.2, §3.1.1, pages 3–5, equation 4, Table 2 and questions 3 and 5",
        "Python 3.11.2",
        "an open \"4\" or '4', and “9”",
        "document 003, [Erratum 003-17](erratum-003-17), 000-C06",
        "`x = 3`, $x_{12}^{17} + \\tfrac12 e^{-110}$, {eq}`eq-3`, [here](page_12.html), https://example.org/12, <b title='12'>bold</b>",
        "$$\nx = 2 y^2 + 1\n$$ (eq-12)",
        "(section-12)=\n# Title",
        "1. first\n2. second",
        "% 12 in a comment",
        "```python\nx = 12\n```",
        "```{figure} picture12.png\n:width: 12px\n:alt: none\n```",
        "```{exercise} Sizes ●○○\n:label: ex-12\n\n*5 min · objective 2.* Write it.\n```",
        "```{exercise} Sizes ●○○\n---\nlabel: ex-12\n---\n*15 min · objectives 1, 3 and 4.* Write it.\n```",
        "````{admonition} Question 12\n:class: quiz\n\n*Objectives 2 and 3.* How many?\n````",
        "````{dropdown} B. 12 × 12\n**No.** That is too many.\n````",
    ],
)
def test_what_is_no_quantity(source):
    assert loose(source) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("## All 12 rows", ["12"]),
        ("- an item of 12\n- a **bold 13**", ["12", "13"]),
        ("| a | b |\n|---|---|\n| 12 | 13 |", ["12", "13"]),
        ("[all 12](page)", ["12"]),
        (":::{margin}\nAll 12.\n:::", ["12"]),
        (
            "````{admonition} The 12\n:class: quiz\n\n```{dropdown} A. 13 × 14\n**Right.** 15.\n```\n````",
            ["12", "13", "14", "15"],
        ),
        ("````{dropdown} A. 13 × 14\n**No.** It would be 15.\n````", ["15"]),
        ("```{exercise} Of 12 rows\n:label: ex-a\n\n*5 min · objective 2.* Take 13.\n```", ["12", "13"]),
        ("![A row of 12](x.png)", ["12"]),
        ("top-5 of 1,000 and (1,024)", ["5", "1,000", "1,024"]),
        ("2,000 images in 2000", ["2,000"]),
        ("Of 5,000 images and 10,000.", ["5,000", "10,000"]),
        ("0.5, 3.14. And 12.", ["0.5", "3.14", "12"]),
        ("3×3, 5–7, ±4, ~12, 180°, (9)", ["3", "3", "5", "7", "4", "12", "180", "9"]),
        ("0–255 and −17", ["0", "255", "17"]),
        (r"$784\to109\to10$, $93{,}322$, $1\,024$", ["784", "109", "10", "93,322", "1024"]),
        (r"$\beta = 0.999$, $10^{-8}$, $e/(e+9) = 23\,\%$, {math}`12`", ["0.999", "10⁻⁸", "23", "12"]),
        ("$$\n\\frac{64 \\cdot 9}{9 + 64} = 7.9\n$$ (eq-12)", ["64", "64", "7.9"]),
        ("```{math}\n:label: eq-12\nx = 13\n```", ["13"]),
    ],
)
def test_numbers_of_a_text(source, expected):
    assert [number.text for text in prose(source) for number in numbers(text)] == expected


def test_a_changed_number_keeps_a_chapter_from_being_published(tmp_path, chapter):
    path = tmp_path / "chapter.ipynb"
    chapter.cells[0].source = "# A chapter\n\nThe answer is 42."
    chapter.cells[2].source = "answer = 42"
    path.write_text(serialise(canonicalise(chapter)), encoding="utf-8")
    assert deviations(path) == []
    chapter.cells[0].source = "# A chapter\n\nThe answer is 43."
    path.write_text(serialise(canonicalise(chapter)), encoding="utf-8")
    (found,) = deviations(path)
    assert "no code cell near holds 43 in “The answer is 43.”" in found
