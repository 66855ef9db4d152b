"""Formulas are finished when the page is written: no MathJax is left to do, and a formula that cannot be read is a warning."""

import re

PAGE = r"""# Page

Inline $a < b$ and

$$ \frac{x}{y} $$ (eq-half)

$$
\begin{aligned} a &= b \\ c &= d \end{aligned}
$$
"""


def test_each_formula_is_glyphs_and_mathml(book):
    tiny = book("typeset", "sphinx.ext.mathjax")
    tiny.write("page.md", PAGE)
    built = tiny.build()
    page = built.html("page")
    assert built.warnings == ""
    assert page.count("<mjx-container") == page.count("<math ") == 3
    assert "<mfrac><mi>x</mi><mi>y</mi></mfrac>" in page
    assert not re.search(r"\\\(|\\\[|begin\{", page)
    assert "mathjax" not in " ".join(re.findall(r"<script[^>]*>", page)).lower()


def test_the_number_of_an_equation_stays(book):
    tiny = book("typeset", "sphinx.ext.mathjax")
    tiny.write("page.md", PAGE)
    assert re.search(r'<span class="eqno">\(1\).*?</span><mjx-container', tiny.build().html("page"), re.DOTALL)


def test_a_line_does_not_break_between_a_formula_and_its_full_stop(book):
    tiny = book("typeset", "sphinx.ext.mathjax")
    tiny.write("page.md", "# Page\n\nFirst $a$, then ($b$).\n\n$$ c $$\n\n$d$ is last.\n")
    page = tiny.build().html("page")
    bound = re.findall(r'<span class="unbroken"><span class="math[^>]*>.*?</mjx-container></span>([^<]*)</span>', page)
    assert bound == [",", ")."]


def test_a_line_does_not_break_inside_a_product(book):
    tiny = book("typeset", "sphinx.ext.mathjax")
    tiny.write("page.md", "# Page\n\nA 3 × 3 kernel, *2 × 2*, `4 × 4`, × alone.\n")
    page = tiny.build().html("page")
    assert "A 3\u00a0×\u00a03 kernel, <em>2\u00a0×\u00a02</em>" in page.replace("&#160;", "\u00a0")
    assert "4\u00a0×" not in page.replace("&#160;", "\u00a0")
    assert ", × alone" in page


def test_a_formula_that_cannot_be_read_is_a_warning(book):
    tiny = book("typeset", "sphinx.ext.mathjax")
    tiny.write("page.md", "# Page\n\nWrong: $\\nosuch{x}$, right: $y$.\n")
    built = tiny.build()
    assert r"Undefined control sequence \nosuch in the formula \nosuch{x}" in built.warnings
    assert built.html("page").count("<mjx-container") == 1


def test_a_displayed_formula_carries_its_width(book):
    """In the font of TeX a digit is half an em wide; the bar of a fraction and its margins add 0.22 em on each side."""
    tiny = book("typeset", "sphinx.ext.mathjax")
    tiny.write("page.md", "# Page\n\n$x$ and\n\n$$ 0123456789 $$\n\n$$ \\frac{10}{10} $$\n")
    assert re.findall(r'<(\w+) class="math [^>]*style="--width: ([\d.]+)">', tiny.build().html("page")) == [
        ("div", "5.00"),
        ("div", "1.44"),
    ]


def test_a_formula_too_wide_for_a_phone_is_a_warning(book):
    tiny = book("typeset", "sphinx.ext.mathjax")
    row = "+".join("x" * 11)
    tiny.write("page.md", f"# Page\n\n$$ {row} $$\n\n$$ {row}+{row} $$\n\nInside a line: ${row}+{row}$.\n")
    faults = re.findall(r"a line of ([\d.]+) em, of which a phone shows 28, in the formula", tiny.build().warnings)
    assert len(faults) == 1
    assert float(faults[0]) > 28


def test_the_style_is_that_of_the_page_alone(book):
    tiny = book("typeset", "sphinx.ext.mathjax")
    tiny.write("first.md", "# First\n\n$\\alpha$\n")
    tiny.write("second.md", "# Second\n\n$x$\n")
    built = tiny.build()
    assert "mjx-c1D6FC" in built.html("first")
    assert "mjx-c1D6FC" not in built.html("second")
    assert built.html("first").index("<style>") < built.html("first").index("<mjx-container")
    fonts = re.search(r"url\(.?([^)]*?/woff-v2)/", built.html("first"))[1]
    assert (built.folder / fonts).is_dir()
