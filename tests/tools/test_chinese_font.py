"""Every Chinese character of the book can be read on a machine without Chinese letters."""

from fontTools.fontBuilder import FontBuilder
from fontTools.ttLib.tables._g_l_y_f import Glyph

from tools.chinese_font import held, make, used


def test_the_font_has_every_character_that_a_page_shows():
    missing = used() - held()
    assert not missing, f"make the font anew with tools/chinese_font.py; it lacks {''.join(sorted(missing))}"


def test_characters_are_found_where_pages_show_them(tmp_path):
    (tmp_path / "chapters" / "faq").mkdir(parents=True)
    (tmp_path / "chapters" / "faq" / "index.md").write_text("# FAQ\n\nlogits (未归), x\n", encoding="utf-8")
    (tmp_path / "elsewhere.txt").write_text("字", encoding="utf-8")
    assert used(tmp_path) == {"未", "归"}


def test_a_font_is_cut_down_to_them(tmp_path):
    builder = FontBuilder(1000)
    names = {ord("学"): "first", 0x9FA5: "unused", ord("a"): "a"}
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names)
    builder.setupGlyf({name: Glyph() for name in [".notdef", *names.values()]})
    builder.setupHorizontalMetrics({name: (500, 0) for name in [".notdef", *names.values()]})
    builder.setupHorizontalHeader()
    builder.setupNameTable({})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "large.ttf")
    make(tmp_path / "large.ttf", tmp_path / "small.woff")
    assert held(tmp_path / "small.woff") == {"学"}
