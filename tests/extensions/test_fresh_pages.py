"""A change in any source reaches every page that shows something of it, and leaves the others alone."""

import json
import shutil

import pytest
from tiny_book import COMPLETE, Book, notebook

FUNCTION = 'def linear(x):\n    """Map.\n\n    Equation: eq-affine\n    """\n    return x\n'
TEST = 'import pytest\n\n\n@pytest.mark.equation("eq-affine")\ndef test_linear():\n    assert 1 + 1 == 2\n'
CHAPTER = "# Chapter X\n\n(idea)=\n## The idea\n\n$$\nw\n$$ (eq-first)\n\n$$\ny = x\n$$ (eq-affine)\n"
PASSAGES = '"003":\n  - {id: 003-1, section: "1", says: Background., chapters: [chapters/formulas/x]}\n'
PAGES = {
    "chapters/formulas/x.ipynb": notebook(CHAPTER),
    "chapters/formulas/z.md": "# Chapter Z\n\nNothing of note. {cite}`lecun`\n",
    "names.md": "# Names\n\n{doc}`chapters/formulas/x`, {ref}`idea`, {eq}`eq-affine`, {term}`kernel`, {func}`lib.dense.linear`.\n",
    "formulas.md": "# Formulas\n\n```{formula-list}\n```\n\n```{formula-index} convolution\n```\n",
    "map.md": "# Map\n\n```{source-map}\n```\n",
    "glossary.md": "# Glossary\n\n```{glossary}\nkernel\n  A small window.\n```\n",
    "works.md": "# Works\n\n```{bibliography}\n```\n",
    "library.md": "# Library\n\n```{py:function} lib.dense.linear(x)\n```\n",
    "alone.md": "# Alone\n\nNothing.\n",
    "reference/source_passages.yml": PASSAGES,
    "works.bib": "@book{lecun, title={Backprop}, author={LeCun, Yann}, year={1989}, publisher={A}}\n"
    "@book{other, title={Another}, author={Other, One}, year={1990}, publisher={B}}\n",
    "lib/dense.py": FUNCTION,
    "tests/test_dense.py": TEST,
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A book with every kind of page that depends on others, built once, and a copy of all its files."""
    root, copy = tmp_path_factory.mktemp("fresh") / "book", tmp_path_factory.mktemp("fresh") / "copy"
    extensions = ("sphinxcontrib.bibtex", "fresh_pages", "formula_index", "source_map")
    excluded = ["_out", "_trees", "jupyter_execute", "lib", "tests"]
    config = {"bibtex_bibfiles": ["works.bib"], "exclude_patterns": excluded, "numfig": True, "math_numfig": True}
    made = Book(root, extensions, config)
    for name, text in PAGES.items():
        made.write(name, text)
    assert "eq-first: no docstring in lib has the line" in made.build().warnings
    shutil.copytree(root, copy)
    return made, copy


@pytest.fixture
def whole(built):
    """The book as it was first built: a test may change its files and build again."""
    made, copy = built
    shutil.rmtree(made.root)
    shutil.copytree(copy, made.root)  # with the times of the files, by which Sphinx knows them
    return made


def changed(made, name: str, old: str, new: str) -> None:
    text = PAGES[name]
    old, new = (json.dumps(part)[1:-1] if name.endswith("ipynb") else part for part in (old, new))
    assert old in text
    made.write(name, text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("name", "old", "new", "page", "shown"),
    [
        ("chapters/formulas/x.ipynb", "# Chapter X", "# Chapter Renamed", "names", "Chapter Renamed"),
        ("chapters/formulas/x.ipynb", "# Chapter X", "# Chapter Renamed", "formulas", "Chapter Renamed"),
        ("chapters/formulas/x.ipynb", "# Chapter X", "# Chapter Renamed", "index", "Chapter Renamed"),
        ("chapters/formulas/x.ipynb", "The idea", "The thought", "names", "The thought"),
        ("chapters/formulas/x.ipynb", "(idea)=\n## The idea", "## The\n\n(idea)=\n## Thought", "names", "Thought"),
        ("chapters/formulas/x.ipynb", "$$\nw\n$$ (eq-first)\n\n", "", "names", "(1)"),
        ("chapters/formulas/x.ipynb", "y = x", "y = W x", "formulas", "y = W x"),
        ("chapters/formulas/x.ipynb", "eq-first", "eq-second", "formulas", "eq-second"),
        ("chapters/formulas/x.ipynb", '"source_sections": []', '"source_sections": ["003-1"]', "map", "1 of 1 passages"),
        ("chapters/formulas/z.md", "of note", "of xylophones", "searchindex", "xylophon"),
        ("chapters/formulas/z.md", "{cite}`lecun`", "{cite}`other`", "works", "Another"),
        ("lib/dense.py", "def linear", "def affine", "formulas", "lib.dense.affine"),
        ("lib/dense.py", "return x", "return 37 * x", "formulas", "37</span>"),
        ("tests/test_dense.py", "1 + 1 == 2", "40 + 2 == 42", "formulas", "42</span>"),
        ("tests/test_dense.py", "def test_linear", "def test_affine", "formulas", "test_affine"),
        ("reference/source_passages.yml", "Background.", "Foreground.", "map", "Foreground."),
        ("works.bib", "Backprop", "Backpropagation", "works", "Backpropagation"),
    ],
)  # fmt: skip
def test_a_change_reaches_the_page_that_shows_it(whole, name, old, new, page, shown):
    def text() -> str:
        return (whole.root / "_out" / f"{page}.{'js' if page == 'searchindex' else 'html'}").read_text()

    assert shown not in text()
    if name.endswith("ipynb") and old.startswith('"'):
        sections = json.loads(f"{{{new}}}")["source_sections"]
        whole.write(name, notebook(CHAPTER, book=COMPLETE | {"source_sections": sections}))
    else:
        changed(whole, name, old, new)
    whole.build()
    assert shown in text()


@pytest.mark.parametrize(
    ("name", "old", "new", "warning"),
    [
        ("chapters/formulas/x.ipynb", "(idea)=\n", "", "names.md:3: WARNING: undefined label: 'idea'"),
        ("chapters/formulas/x.ipynb", "(eq-affine)", "", "names.md:3: WARNING: equation not found: eq-affine"),
        ("glossary.md", "kernel\n", "window\n", "names.md:3: WARNING: term not in glossary: 'kernel'"),
        (
            "library.md",
            "lib.dense.linear",
            "lib.dense.affine",
            "names.md:3: WARNING: py:func reference target not found",
        ),
        (
            "tests/test_dense.py",
            "pytest.mark.equation",
            "pytest.mark.other",
            'eq-affine: no test is marked `@pytest.mark.equation("eq-affine")`',
        ),
    ],
)
def test_a_reference_that_breaks_is_told_by_the_page_that_holds_it(whole, name, old, new, warning):
    changed(whole, name, old, new)
    assert warning in whole.build().warnings


def test_a_page_that_shows_nothing_of_a_change_is_left_alone(whole):
    alone, names = whole.root / "_out" / "alone.html", whole.root / "_out" / "names.html"
    before = alone.stat().st_mtime_ns, names.stat().st_mtime_ns
    changed(whole, "chapters/formulas/z.md", "of note", "of xylophones")
    whole.build()
    assert (alone.stat().st_mtime_ns, names.stat().st_mtime_ns) == before


def test_a_new_chapter_reaches_the_map_and_a_removed_one_leaves_it(whole):
    new = whole.write("chapters/formulas/y.ipynb", notebook("# Why", book=COMPLETE | {"source_sections": ["003-1"]}))
    assert "Why" in whole.build().html("map")
    new.unlink()
    assert "Why" not in whole.build().html("map")
