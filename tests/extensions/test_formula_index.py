"""Chapter, function and test: no corner of a labelled equation is missing."""

import pytest
from bs4 import BeautifulSoup
from formula_corners import find_formulas
from tiny_book import COMPLETE, REPOSITORY, notebook

PAGE = "# Chapter\n\n$$\ny = W x + b\n$$ (eq-affine)\n"
FUNCTION = 'def linear(x):\n    """Map.\n\n    Equation: eq-affine\n    More.\n    """\n'
TEST = 'import pytest\n\n\n@pytest.mark.equation("eq-affine")\ndef test_linear():\n    assert 1 + 1 == 2\n'


@pytest.fixture
def three(book):
    """A book with one formula and its three corners, each of which may be replaced."""

    def write(page=PAGE, function=FUNCTION, test=TEST):
        made = book("formula_index", "api_reference", exclude_patterns=["_out", "_trees", "tests", "lib"])
        made.write("chapters/formulas/x.ipynb", notebook(page))
        made.write("lib/dense.py", function)
        made.write("tests/test_dense.py", test)
        return made

    return write


def test_no_corner_is_missing_in_the_book():
    formulas = find_formulas(REPOSITORY)
    assert formulas, "no formula found: the test would pass on an empty book"
    assert {formula.label: formula.missing for formula in formulas if formula.missing} == {}


def test_the_three_corners_are_found(three):
    [formula] = find_formulas(three().root)
    assert (formula.label, formula.chapter.docname, formula.latex) == (
        "eq-affine",
        "chapters/formulas/x",
        "y = W x + b",
    )
    assert [place.full_name for place in formula.functions] == ["lib.dense.linear"]
    assert [(place.path, place.name) for place in formula.tests] == [("tests/test_dense.py", "test_linear")]
    assert formula.missing == []


NO_CHAPTER = (
    "no chapter labels an equation `$$ … $$ (eq-affine)`; "
    "named by lib/dense.py in linear, tests/test_dense.py in test_linear"
)
NO_TEST = 'no test is marked `@pytest.mark.equation("eq-affine")`'


@pytest.mark.parametrize(
    ("replaced", "missing"),
    [
        ({"page": PAGE.replace("(eq-affine)", "(eq-other)")}, NO_CHAPTER),
        ({"page": "# Chapter\n\n```markdown\n$$\ny\n$$ (eq-affine)\n```\n"}, NO_CHAPTER),
        (
            {"function": FUNCTION.replace("Equation:", "See")},
            "no docstring in lib has the line `Equation: eq-affine`",
        ),
        ({"test": TEST.replace("@pytest.mark.equation", "@pytest.mark.other")}, NO_TEST),
        ({"test": '"""Marked eq-affine in words only."""\n'}, NO_TEST),
    ],
)
def test_a_missing_corner_is_named(three, replaced, missing):
    found = {formula.label: formula.missing for formula in find_formulas(three(**replaced).root)}
    assert found["eq-affine"] == [missing]


def test_methods_classes_and_several_labels_are_found(three):
    function = 'class Layer:\n    """A.\n\n    Equations: eq-affine, eq-b and eq-c\n    """\n\n    def forward(self):\n        """Equation: eq-d"""\n'
    test = 'import pytest\n\n\n@pytest.mark.equation("eq-affine")\nclass TestLayer:\n    @pytest.mark.equation("eq-b")\n    @pytest.mark.equation("eq-c")\n    def test_b(self):\n        pass\n'
    found = {formula.label: formula for formula in find_formulas(three(function=function, test=test).root)}
    assert {label: found[label].functions[0].name for label in found} == {
        "eq-affine": "Layer",
        "eq-b": "Layer",
        "eq-c": "Layer",
        "eq-d": "Layer.forward",
    }
    assert found["eq-d"].functions[0].role == "meth"
    assert [place.name for label in ("eq-affine", "eq-b") for place in found[label].tests] == [
        "TestLayer",
        "TestLayer.test_b",
    ]


def test_the_page_shows_equation_function_and_test(three):
    made = three()
    made.write(
        "index.md",
        "# Book\n\n```{toctree}\nchapters/formulas/x\nformulas\n```\n\n```{py:function} lib.dense.linear(x)\n```\n",
    )
    made.write("formulas.md", "# Formulas\n\n```{formula-index} convolution\n```\n")
    built = made.build()
    assert built.warnings == ""
    page = BeautifulSoup(built.html("formulas"), "html.parser")
    assert page.select_one("section section h2").get_text().startswith("Chapter")
    entry = page.select_one(".formula")
    assert "y = W x + b" in entry.select_one(".math").get_text()
    assert [link["href"] for link in entry.select("p a")] == [
        "chapters/formulas/x.html#equation-eq-affine",
        "index.html#lib.dense.linear",
    ]
    function, shown = entry.select(".sd-row > .sd-col > details")  # side by side
    assert function.summary.get_text().strip() == "Computed by linear"
    assert function.select_one(".caption-text").get_text() == "lib/dense.py"
    assert "def linear(x):" in function.select_one("pre").get_text()
    assert shown.summary.get_text().strip() == "Held to the truth by test_linear"
    assert shown.select_one(".caption-text").get_text() == "tests/test_dense.py"
    assert '@pytest.mark.equation("eq-affine")' in shown.select_one("pre").get_text()
    assert "assert 1 + 1 == 2" in shown.select_one("pre").get_text()
    assert "import pytest" not in shown.select_one("pre").get_text()  # the test alone, not its file


def test_a_missing_corner_is_a_warning(three):
    made = three(test="")
    made.write("formulas.md", "# Formulas\n\n```{formula-list}\n```\n")
    assert f"eq-affine: {NO_TEST}" in made.build().warnings


def two_tracks(three, *pages, second="chapters/formulas/y", tracks=("dense networks", "attention")):
    """A book with a formula in each of two chapters, a list, and pages of the index with these arguments."""
    made = three(
        function='def linear(x):\n    """Equations: eq-affine, eq-b"""\n',
        test=TEST.replace('("eq-affine")', '("eq-affine")\n@pytest.mark.equation("eq-b")'),
    )
    made.write("chapters/formulas/x.ipynb", notebook(PAGE, book=COMPLETE | {"track": tracks[0]}))
    other = PAGE.replace("# Chapter", "# Other").replace("eq-affine", "eq-b").replace("W x", "V x")
    made.write(f"{second}.ipynb", notebook(other, book=COMPLETE | {"track": tracks[1]}))
    names = [f"page{number}" for number in range(len(pages))]
    toctree = "\n".join(["chapters/formulas/x", second, "list", *names])
    made.write("index.md", f"# Book\n\n```{{toctree}}\n{toctree}\n```\n\n```{{py:function}} lib.dense.linear(x)\n```\n")
    made.write("list.md", "# List\n\n```{formula-list}\n```\n")
    for name, argument in zip(names, pages, strict=True):
        made.write(f"{name}.md", f"# {name}\n\n```{{formula-index}} {argument}\n```\n")
    return made


def test_a_page_shows_one_track_and_the_list_leads_to_all(three):
    built = two_tracks(three, "dense networks", "attention").build()
    assert built.warnings == ""
    for name, shown, other in (("page0", "W x", "V x"), ("page1", "V x", "W x")):
        [entry] = BeautifulSoup(built.html(name), "html.parser").select(".formula .math")
        assert shown in entry.get_text()
        assert other not in entry.get_text()
    listed = BeautifulSoup(built.html("list"), "html.parser").select_one(".formula-list")
    assert [heading.get_text() for heading in listed.select("strong")] == ["Dense networks", "Attention"]
    assert [link["href"] for link in listed.select("a")] == [
        "page0.html#formulas-chapters-formulas-x",
        "chapters/formulas/x.html#equation-eq-affine",
        "page1.html#formulas-chapters-formulas-y",
        "chapters/formulas/y.html#equation-eq-b",
    ]


ONE_TRACK = {"second": "chapters/code/y", "tracks": ("dense networks", "dense networks")}


def test_a_page_may_show_some_parts_of_a_track(three):
    pages = ("dense networks\n:parts: code", "dense networks\n:parts: formulas, concepts")
    built = two_tracks(three, *pages, **ONE_TRACK).build()
    assert built.warnings == ""
    for name, shown in (("page0", "V x"), ("page1", "W x")):
        [entry] = BeautifulSoup(built.html(name), "html.parser").select(".formula .math")
        assert shown in entry.get_text()
    listed = BeautifulSoup(built.html("list"), "html.parser").select(".formula-list li > p > a:first-child")
    assert {link["href"] for link in listed} == {
        "page0.html#formulas-chapters-code-y",
        "page1.html#formulas-chapters-formulas-x",
    }


def test_a_chapter_without_a_page_and_a_page_without_a_track_are_named(three):
    warnings = two_tracks(three, "dense networks", "vision").build().warnings
    assert (
        "no page of the formula index shows the formulas of chapters/formulas/y: write one with {formula-index} attention"
        in warnings
    )
    assert "formula-index must name a track that has labelled equations, got 'vision'" in warnings


def test_a_part_of_a_track_without_a_page_and_a_part_without_formulas_are_named(three):
    pages = ("dense networks\n:parts: formulas", "dense networks\n:parts: faq")
    warnings = two_tracks(three, *pages, **ONE_TRACK).build().warnings
    assert (
        "shows the formulas of chapters/code/y: write one with {formula-index} dense networks, or add code" in warnings
    )
    assert "got 'dense networks' in faq" in warnings
