"""No letter changes its shape while a page is read: what swaps a font in late moves all lines below."""

import re

from tiny_book import REPOSITORY

FACES = re.findall(r"@font-face \{([^}]*)\}", (REPOSITORY / "_static" / "custom.css").read_text(encoding="utf-8"))
FRAME = (REPOSITORY / "_templates" / "layout.html").read_text(encoding="utf-8")


def test_every_latin_font_is_asked_for_with_the_page_and_not_swapped_in():
    latin = [face for face in FACES if "unicode-range" not in face]
    assert len(latin) == 4
    for face in latin:
        name = re.search(r"fonts/([\w-]+)\.woff2", face)[1]
        assert "font-display: optional" in face, face
        assert f'"{name}"' in FRAME, f"{name} is not preloaded"


def test_chinese_letters_come_late_rather_than_never():
    (chinese,) = [face for face in FACES if "unicode-range" in face]
    assert "font-display: swap" in chinese
