"""Each checker, seen to fail on a tiny page that is broken in just that way, and to pass on a sound one."""

import base64
import json
import shutil
import time

import pytest
from site_browser import PHONE, ROOT, View, page_names, visitor
from site_checks import (
    MOST_BYTES,
    WATCH_SHIFTS,
    broken_links,
    cut_without_an_edge,
    equations_that_scroll,
    flatten_code_and_formulas,
    height,
    inaccessible_parts,
    jumps,
    keep_three_of_a_kind,
    keep_two_texts_of_a_kind,
    missing_figures,
    overflow,
    too_heavy,
    too_high,
    undescribed_images,
    untypeset_equations,
)

from tools.local_server import served

DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SOUND = """<h1 id="top">A page</h1><p>Text with a <a href="#top">link to the top</a> and <a href="other.html#there">one away</a>.</p>
<img src="dot.png" alt="A single dot"><span class="math"><mjx-container>x</mjx-container></span>"""


@pytest.fixture
def tiny(tmp_path, browser):
    """Write a page, open it at 390 pixels, and hand out the tab and the folder."""
    with served(tmp_path) as url:
        tab = visitor(browser, url, PHONE)

        def opened(body):
            frame = "<!doctype html><html lang='en'><head><title>Tiny</title><link rel='icon' href='data:,'></head><body><main>{}</main></body></html>"
            (tmp_path / "page.html").write_text(frame.format(body), encoding="utf-8")
            (tmp_path / "other.html").write_text(frame.format("<h1 id='there'>Other</h1>"), encoding="utf-8")
            (tmp_path / "dot.png").write_bytes(DOT)
            return tab.open("page.html")

        tab.page.add_init_script(WATCH_SHIFTS)
        yield opened
        tab.page.context.close()


def test_a_sound_page_has_no_fault(tiny, tmp_path):
    tab = tiny(SOUND)
    assert tab.console_errors + tab.external_requests + tab.failed_requests == []
    assert undescribed_images(tab.page) + untypeset_equations(tab.page) + overflow(tab.page) == []
    assert inaccessible_parts(tab.page) == []
    assert broken_links(tmp_path, "page.html") == []


def test_a_console_error_is_seen(tiny):
    assert tiny("<script>console.error('lost')</script>").console_errors == ["lost"]
    assert "missing is not defined" in tiny("<script>missing()</script>").console_errors[0]


@pytest.mark.parametrize(
    "body",
    [
        "<img alt='A counter' src='http://counter.example/dot.png'>",
        "<script src='https://cdn.example/a.js'></script>",
        "<style>@import url('https://fonts.example/a.css');</style>",
        "<script>fetch('http://127.0.0.1:9/other-port')</script>",
    ],
)
def test_a_request_that_leaves_the_site_is_seen(tiny, body):
    assert len(tiny(body).external_requests) == 1


def test_a_missing_file_is_seen(tiny):
    assert tiny("<img alt='Gone' src='gone.png'>").failed_requests == ["404 /gone.png"]


@pytest.mark.parametrize("link", ["gone.html", "other.html#nowhere", "#nowhere", "folder/"])
def test_a_broken_link_is_seen(tiny, tmp_path, link):
    tiny(f"<a href='{link}'>somewhere</a>")
    assert [fault.split()[0] for fault in broken_links(tmp_path, "page.html")] == [link]


@pytest.mark.parametrize(
    ("image", "fault"),
    [
        ("<img src='dot.png'>", "no alt text"),
        ("<img src='dot.png' alt=''>", "no alt text"),
        ("<img src='dot.png' alt='_images/3fa9c1d2e4b5.png'>", "file name"),
        ("<img src='gone.png' alt='A dot that is gone'>", "did not load"),
    ],
)
def test_an_image_that_says_nothing_is_seen(tiny, image, fault):
    assert fault in " ".join(undescribed_images(tiny(image).page))


def test_a_formula_that_is_not_typeset_is_seen(tiny):
    assert len(untypeset_equations(tiny(r"<div class='math'>\[x^2\]</div>").page)) == 1
    broken = "<div class='math'><mjx-container><mjx-merror>x</mjx-merror></mjx-container></div>"
    assert len(untypeset_equations(tiny(broken).page)) == 1


def test_an_equation_wider_than_its_box_is_seen(tiny):
    """Whichever of the two scrolls: the theme's container or the box around it."""
    equation = "<div class='math' id='{}' style='overflow-x: auto'><mjx-container style='display: block; overflow: {}'><mjx-math style='display: block; width: {}px'>x</mjx-math></mjx-container></div>"
    cases = [("fits", "auto", 80), ("inner", "auto", 900), ("outer", "visible", 900)]
    assert equations_that_scroll(tiny("".join(equation.format(*case) for case in cases)).page) == ["inner", "outer"]


def test_a_page_wider_than_the_phone_is_seen(tiny):
    wide = "<table><tr><td style='min-width: 900px'>wide</td></tr></table>"
    assert "wide" in overflow(tiny(wide).page)[0]
    assert overflow(tiny(f"<div style='overflow-x: auto' tabindex='0'>{wide}</div>").page) == []


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ("<p style='color: #bbb; background: #fff'>Faint text</p>", "color-contrast"),
        ("<button></button>", "button-name"),
        ("<a href='other.html'></a>", "link-name"),
        ("<label>Row</label><input>", "label"),
    ],
)
def test_an_inaccessible_part_is_seen(tiny, body, rule):
    assert any(fault.startswith(f"{rule} (") for fault in inaccessible_parts(tiny(body).page))


def test_faint_code_is_seen_once_for_each_of_its_colours(tiny):
    word = "<span class='{}' style='color: #bbb; background: #fff'>faint()</span>"
    page = tiny(f"<div class='highlight'><pre tabindex='0'>{word.format('n') * 3}{word.format('k')}</pre></div>").page
    assert [fault.split()[0] for fault in inaccessible_parts(page)] == ["color-contrast"] * 4
    flatten_code_and_formulas(page)
    assert [fault.split()[0] for fault in inaccessible_parts(page)] == ["color-contrast"] * 2
    assert page.locator("pre").inner_text() == "faint()" * 4


def test_three_of_a_kind_are_judged_and_no_kind_is_lost(tiny):
    faint = "color: #bbb; background: #fff"
    entries = "<li><a href='other.html'>away</a></li>" * 40
    many = f"<ul>{entries}</ul>" + f"<p style='{faint}'>faint</p>" * 9
    rare = f"<p>A sentence with a <em style='{faint}'>faint word</em></p><div class='note'><p style='{faint}'>faint</p></div>"
    named = "<p>plain</p>" * 9 + "<p id='name'>plain</p><button aria-labelledby='name'></button>"
    page = tiny(f"<h1>A page</h1>{many}{rare}{named}").page
    assert len(inaccessible_parts(page, only="color-contrast")) == 9 + 2
    keep_three_of_a_kind(page)
    assert page.locator("li").count() == 3
    assert len(inaccessible_parts(page, only="color-contrast")) == 3 + 2
    assert [fault for fault in inaccessible_parts(page) if not fault.startswith("color-contrast")] == []


def test_texts_of_a_kind_are_judged_twice_and_no_kind_is_lost(tiny):
    faint = "color: #bbb; background: #fff"
    many = f"<div class='a'><p style='{faint}'>faint <b>and bold</b></p></div>" * 9
    rare = f"<div class='b'><p style='{faint}'>faint</p></div><div class='a'><p style='{faint}'>faint <i>again</i></p></div>"
    page = tiny(many + rare).page
    assert len(inaccessible_parts(page, only="color-contrast")) == 9 * 2 + 3
    kinds = keep_two_texts_of_a_kind(page)
    assert len(inaccessible_parts(page, only="color-contrast")) == 2 * 2 + 1 + 1
    assert len(kinds) == 4


def test_a_kind_that_another_page_has_shown_is_not_judged_again_but_what_was_hidden_there_is(tiny):
    faint = "<p style='color: #bbb; background: #fff'>faint</p>"
    kinds = keep_two_texts_of_a_kind(tiny(f"<div class='a'>{faint}</div><div class='b' hidden>{faint}</div>").page)
    page = tiny("".join(f"<div class='{name}'>{faint}</div>" for name in "abc")).page
    new = keep_two_texts_of_a_kind(page, kinds)
    assert len(inaccessible_parts(page, only="color-contrast")) == len(new) == 2


def test_a_rule_can_be_left_out(tiny):
    page = tiny("<p style='color: #bbb; background: #fff'>Faint text</p><button></button>").page
    assert [fault.split()[0] for fault in inaccessible_parts(page, but="color-contrast")] == ["button-name"]


def test_words_of_signatures_are_seen_once_for_each_of_their_colours(tiny):
    word = "<em class='{}'><span class='n'><span class='pre' style='color: #bbb; background: #fff'>faint</span></span></em>"
    signature = word.format("one") * 3 + word.format("two") + "<a href='other.html'><span class='pre'>linked</span></a>"
    page = tiny(f"<dl><dt class='sig'>{signature}</dt><dd>Text</dd></dl>").page
    flatten_code_and_formulas(page)
    assert len(inaccessible_parts(page, only="color-contrast")) == 2
    assert page.locator("dt").inner_text() == "faint" * 4 + "linked"
    assert page.locator("a span").count() == 1


def test_an_empty_link_among_many_sound_ones_stays(tiny):
    page = tiny("<p><a href='other.html'>away</a></p>" * 9 + "<p><a href='other.html'></a></p>").page
    keep_three_of_a_kind(page)
    assert [fault.split()[0] for fault in inaccessible_parts(page)] == ["link-name"]


def test_a_page_is_weighed(tiny, tmp_path):
    (tmp_path / "heavy.js").write_text("//" + "x" * MOST_BYTES)
    (tmp_path / "searchindex.js").write_text("//")
    assert too_heavy(tiny("<script src='heavy.js'></script>"), search=False)[0].startswith("1200")
    assert too_heavy(tiny("<script src='searchindex.js'></script>"), search=False) == ["searchindex.js is for searches"]
    assert too_heavy(tiny("<script src='searchindex.js'></script>"), search=True) == []


def test_a_layout_that_jumps_is_seen(tiny):
    late = "<div id='late'></div><p>Pushed down</p><script>setTimeout(() => late.style.height = '600px', 100)</script>"
    assert jumps(tiny(late).page)[0].startswith("the layout shifts by")
    assert jumps(tiny("<p>Still</p>").page) == []


def test_a_height_is_that_of_a_page_that_stands_still(tiny):
    growing = "<div id='grown' style='height: 2000px'></div><script>setTimeout(() => grown.style.height = '30000px', 150)</script>"
    page = tiny(growing).page
    assert height(page) > 30_000
    assert "20,000" in too_high(page, "chapters/code/none.ipynb")[0]


def test_a_height_is_that_of_a_page_in_its_own_fonts_also_when_they_come_late(tiny, tmp_path):
    shutil.copy(ROOT / "_static" / "fonts" / "source-code-pro-latin-wght-normal.woff2", tmp_path / "late.woff2")
    font = "<style>@font-face { font-family: Late; src: url(late.woff2); font-display: optional }</style>"
    tab = tiny("<p>Opened once, so that a route can be set</p>")
    tab.page.route("**/late.woff2", lambda route: (time.sleep(1), route.continue_()))
    page = tiny(f"{font}<span id='thin' style='font: 40px Late, serif'>iiiiiiii</span>").page
    width = "() => document.getElementById('thin').offsetWidth"
    of_the_machine = page.evaluate(width)
    height(page)
    assert page.evaluate(width) > 1.5 * of_the_machine


def test_a_wide_box_without_an_edge_and_a_cut_formula_are_seen(tiny):
    code = "<pre style='overflow-x: auto; {}'>" + "wide " * 200 + "</pre>"
    local = "background: linear-gradient(white, white) local"
    formula = "<mjx-container style='display: inline-block; width: 20px; overflow: hidden'><mjx-math style='display: inline-block; width: 90px'>x</mjx-math></mjx-container>"
    assert [fault.split(":")[0] for fault in cut_without_an_edge(tiny(code.format("") + formula).page)] == [
        "no edge",
        "cut",
    ]
    assert cut_without_an_edge(tiny(code.format(local)).page) == []


def test_a_page_follows_the_width_and_the_mode_that_it_is_shown_in(tiny):
    style = "<style>@media (prefers-color-scheme: dark) { p { color: #444; background: #333 } }</style>"
    tab = tiny(f"{style}<p>Faint at night</p><table><tr><td style='min-width: 900px'>wide</td></tr></table>")
    assert inaccessible_parts(tab.page, only="color-contrast") == []
    assert len(inaccessible_parts(tab.show(View(1280, "dark")).page, only="color-contrast")) == 1
    assert overflow(tab.page) == []
    assert len(overflow(tab.show(PHONE).page)) == 1


def test_a_figure_that_did_not_reach_the_page_is_seen(tiny, tmp_path):
    tiny("<img src='dot.png' alt='A dot'>")

    def notebook(picture, tags=()):
        output = {"output_type": "display_data", "data": {"image/png": base64.b64encode(picture).decode()}}
        path = tmp_path / "page.ipynb"
        path.write_text(json.dumps({"cells": [{"metadata": {"tags": list(tags)}, "outputs": [output]}]}))
        return path

    assert missing_figures(tmp_path, "page.html", notebook(DOT)) == []
    assert missing_figures(tmp_path, "page.html", notebook(DOT + b"other")) == [
        "the figure of cell 1 is not on the page"
    ]
    assert missing_figures(tmp_path, "page.html", notebook(DOT + b"other", tags=["remove-output"])) == []


def test_folded_parts_are_opened_before_they_are_judged(tiny):
    tab = tiny("<details><summary>Answer</summary><p style='color: #bbb; background: #fff'>Faint</p></details>")
    assert inaccessible_parts(tab.page) == []
    assert len(inaccessible_parts(tab.unfold().page)) == 1


def test_pages_are_all_pages_but_those_of_the_theme(tmp_path):
    for name in ("intro.html", "chapters/a/index.html", "_static/macros.html", "_sources/b.html"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "index.html").write_text('<meta http-equiv="Refresh" content="0; url=intro.html">')
    assert page_names(tmp_path) == ["chapters/a/index.html", "intro.html"]
