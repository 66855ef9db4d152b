"""What is cut out of the themes' styles is what no page can wear, and nothing else."""

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont
from light_assets import MEASURED, joined_styles, keep_glyphs, measuring_nothing, trimmed, words_of
from sphinx.errors import ExtensionError

WORDS = {"seen", "here", "dark"}


@pytest.mark.parametrize(
    ("style", "left"),
    [
        (".seen{a:b}.gone{a:b}", ".seen{a:b}"),
        (".seen,.gone{a:b}", ".seen{a:b}"),
        (".seen .gone{a:b}", ""),
        ("#here>p{a:b}#away{a:b}", "#here>p{a:b}"),
        ("p:not(.gone){a:b}", "p:not(.gone){a:b}"),
        (":is(.gone,.other) p{a:b}", ":is(.gone,.other) p{a:b}"),
        ('[href=".gone"]{a:b}', '[href=".gone"]{a:b}'),
        ("@media print{.gone{a:b}}@media print{.seen{a:b}.gone{c:d}}", "@media print{.seen{a:b}}"),
        ("@font-face{font-family:x}", "@font-face{font-family:x}"),
        ("@keyframes turn{from{a:b}to{c:d}}.gone{}", "@keyframes turn{from{a:b}to{c:d}}"),
        ('@charset "utf-8";p{a:b}', '@charset "utf-8";p{a:b}'),
        ('.seen{content:"};.gone{"}', '.seen{content:"};.gone{"}'),
        ("/* .seen { */.gone{a:b}p{a:b}", "p{a:b}"),
        (".seen{background:url(data:image/png;base64,AA==)}", ".seen{background:url(data:image/png;base64,AA==)}"),
        (r".md\:gone{a:b}.\31 {a:b}", ""),
    ],
)
def test_a_rule_stays_when_one_of_its_selectors_can_match(style, left):
    assert trimmed(style, WORDS) == left


def test_classes_that_only_a_script_sets_are_words(tmp_path):
    (tmp_path / "_static").mkdir()
    (tmp_path / "page.html").write_text('<p class="on-page">', encoding="utf-8")
    (tmp_path / "_static" / "menu.js").write_text('element.classList.add("by-script")', encoding="utf-8")
    assert {"on-page", "by-script"} <= words_of(tmp_path)


def test_a_font_keeps_the_glyphs_that_are_named(tmp_path):
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", "arrow", "moon"])
    builder.setupCharacterMap({0xF061: "arrow", 0xF186: "moon"})
    builder.setupGlyf({name: TTGlyphPen(None).glyph() for name in (".notdef", "arrow", "moon")})
    builder.setupHorizontalMetrics({name: (500, 0) for name in (".notdef", "arrow", "moon")})
    builder.setupHorizontalHeader()
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "icons.ttf")
    keep_glyphs(tmp_path / "icons.ttf", {0xF186})
    assert set(TTFont(tmp_path / "icons.ttf").getBestCmap()) == {0xF186}


def test_joined_styles_keep_their_order_and_find_their_files(tmp_path):
    static = tmp_path / "_static"
    (static / "styles").mkdir(parents=True)
    (static / "styles" / "theme.css").write_text(
        '@charset "UTF-8";a{b:url(../icons.ttf)}c{d:url("data:x")}', encoding="utf-8"
    )
    (static / "own.css").write_text("e{f:url('fonts/g.woff2')}", encoding="utf-8")
    joined = joined_styles(static, ["_static/styles/theme.css", "_static/own.css"])
    assert joined == "a{b:url(styles/../icons.ttf)}c{d:url(\"data:x\")}\ne{f:url('fonts/g.woff2')}"


def test_scripts_wait_for_the_page_but_on_the_search_page(book):
    tiny = book("light_assets")
    tiny.write("page.md", "# Page\n")
    built = tiny.build()
    assert 'defer="defer" src="_static/doctools.js' in built.html("page")
    assert 'defer="defer" src="_static/documentation_options.js' not in built.html("page")
    assert 'defer="defer" src="_static/doctools.js' not in built.html("search")
    assert "documentwrapper" in (built.folder / "_static/book.css").read_text(encoding="utf-8")


def test_the_theme_measures_nothing():
    theme = f'const all=document.querySelectorAll({MEASURED}.join(", "));'
    assert measuring_nothing(theme) == 'const all=document.querySelectorAll([":not(*)"].join(", "));'


@pytest.mark.parametrize("script", ["", f"{MEASURED}{MEASURED}"])
def test_a_theme_that_measures_in_another_way_stops_the_build(script):
    with pytest.raises(ExtensionError, match="not once"):
        measuring_nothing(script)
