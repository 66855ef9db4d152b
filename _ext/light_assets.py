"""Styles and icons of the themes, cut down to what the pages use: of 510 KB of rules and a font of 156 KB, 150 KB are left.

A rule stays when each class and each id of one of its selectors stands, as a word, in a page or in a script of the site.
The font of icons keeps the code points that the rules left mention. The theme's script no longer measures what scrolls: on a
phone that laid out the whole chapter before its first screen answered (_static/frame.js measures each part when it is shown).
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from kept_facts import kept
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

JOINED = "_static/book.css"
# What the theme's frame asks for before the styles that Sphinx knows of; its theme.css only imports basic.css.
THEME = ["_static/basic.css", "_static/styles/pydata-sphinx-theme.css"]
OWN = {"book.css", "custom.css", "chapter.css"}
ICONS = "vendor/fontawesome/webfonts/fa-solid-900"
SCRIPT = "scripts/pydata-sphinx-theme.js"
# What the theme measures at once, and again 300 ms after every change of a page.
MEASURED = '["pre",".nboutput > .output_area",".cell_output > .output",".jp-RenderedHTMLCommon",".pst-scrollable-table-container"]'
# Never loaded: 1.5 MB of icons as a script (see _templates/static/webpack-macros.html), and maps to sources not shipped.
UNUSED = (
    "scripts/fontawesome.js*",
    "**/*.map",
    "vendor/fontawesome/webfonts/*.woff2",
    "vendor/fontawesome/webfonts/fa-[br]*",
)

_TOKEN = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|url\([^)"\']*\)|[{};]|[^{};"\'/u]+|.', re.DOTALL)
_NAME = re.compile(r"[.#]((?:[\w-]|\\.)+)")
_GROUPS = ("@media", "@supports", "@container", "@layer")


def _blocks(style: str) -> Iterator[tuple[str, str | None]]:
    """A style sheet as (prelude, body of its block); a statement without a block has the body None."""
    prelude, body, depth = [], [], 0
    for token in _TOKEN.findall(style):
        if token.startswith("/*"):
            continue
        if token == "}":
            depth -= 1
        if depth > 0:
            body.append(token)
        elif token in ("}", ";"):
            yield "".join(prelude).strip(), "".join(body) if token == "}" else None
            prelude, body = [], []
        elif token != "{":
            prelude.append(token)
        if token == "{":
            depth += 1


def _selectors(prelude: str) -> list[str]:
    """The members of a list of selectors; commas within brackets do not part them."""
    members, depth = [""], 0
    for letter in prelude:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            members.append("")
        else:
            members[-1] += letter
    return members


def _is_used(selector: str, words: set[str]) -> bool:
    outside = re.sub(r"\[[^\]]*\]", "", selector)
    while (without := re.sub(r"\([^()]*\)", "", outside)) != outside:  # what :not() and :is() name decides nothing
        outside = without
    return all(re.sub(r"\\(.)", r"\1", name) in words for name in _NAME.findall(outside))


def trimmed(style: str, words: set[str]) -> str:
    """The style sheet without the rules whose selectors name a class or an id that is none of the words."""
    kept = []
    for prelude, body in _blocks(style):
        if body is None:
            kept.append(f"{prelude};")
        elif prelude.startswith(_GROUPS):
            if inside := trimmed(body, words):
                kept.append(f"{prelude}{{{inside}}}")
        elif prelude.startswith("@"):
            kept.append(f"{prelude}{{{body}}}")
        elif used := [selector for selector in _selectors(prelude) if _is_used(selector, words)]:
            kept.append(f"{','.join(used)}{{{body}}}")
    return "".join(kept)


@kept
def _names_in(style: str) -> list[str]:
    return sorted({re.sub(r"\\(.)", r"\1", name) for name in _NAME.findall(style)})


@kept
def _trimmed(style: str, words: list[str]) -> str:
    return trimmed(style, set(words))


def words_of(site: Path, notes: Path | None = None) -> set[str]:
    """Every word of the pages and of the scripts: what a class or an id may be called.

    The file `notes` keeps them for the next build, in which a page with the same text is not taken apart again.
    """
    known: dict[str, str] = json.loads(notes.read_text(encoding="utf-8")) if notes and notes.is_file() else {}
    seen: dict[str, str] = {}
    scripts = [path for path in (site / "_static").rglob("*.js") if "locales" not in path.parts]
    pages = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    for path in (*pages, *scripts, *site.glob("*.js")):
        if path.name != "searchindex.js":
            text = path.read_bytes()
            digest = hashlib.sha256(text).hexdigest()
            seen[digest] = known.get(digest) or " ".join(sorted({*re.findall(r"[\w-]+", text.decode())}))
    if notes and seen != known:
        notes.write_text(json.dumps(seen), encoding="utf-8")
    return {word for words in seen.values() for word in words.split(" ")}


def keep_glyphs(font_file: Path, points: set[int], notes: Path | None = None) -> None:
    """Cut a font down to some code points, in place. The folder `notes` keeps the last one for the next build."""
    asked = hashlib.sha256(font_file.read_bytes() + repr(sorted(points)).encode()).hexdigest()
    if notes and (kept := notes / f"{asked}.font").is_file():
        shutil.copyfile(kept, font_file)
        return
    _cut_down(font_file, points)
    if notes:
        for old in notes.glob("*.font"):
            old.unlink()
        shutil.copyfile(font_file, kept)


def _cut_down(font_file: Path, points: set[int]) -> None:
    from fontTools.subset import Subsetter  # here, for to load them takes longer than most of what stands above
    from fontTools.ttLib import TTFont

    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of each table
    font = TTFont(font_file)
    subsetter = Subsetter()
    subsetter.populate(unicodes=points)
    subsetter.subset(font)
    font.save(font_file)


def join_styles(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """One style sheet in place of eleven (_templates/static/webpack-macros.html asks for it), scripts that hold nothing up.

    The search page runs its own scripts while it is read, so its others must be there before.
    """
    names = [str(style.filename) for style in context.get("css_files", ()) if style.filename is not None]
    app.env.book_styles = THEME + [name for name in names if name.startswith("_static/")]
    context["css_files"] = [
        style for style in context.get("css_files", ()) if str(style.filename) not in app.env.book_styles
    ]
    if pagename != "search":
        context["script_files"] = [_deferred(script) for script in context.get("script_files", ())]


def _deferred(script):
    """The script, run after the page is read; other scripts use the options that documentation_options.js sets at once."""
    if script.filename is None or "documentation_options" in str(script.filename):
        return script
    return type(script)(script.filename, priority=script.priority, **(dict(script.attributes) | {"defer": "defer"}))


def joined_styles(static: Path, names: list[str]) -> str:
    """The style sheets in their order, with what they point at named from the folder of the joined one."""
    parts = []
    for name in names:
        path = static.parent / name
        below = path.parent.relative_to(static).as_posix()
        style = path.read_text(encoding="utf-8")
        if below != ".":
            style = re.sub(r"url\((?!['\"]?(?:data:|/|#|\w+:))(['\"]?)", rf"url(\g<1>{below}/", style)
        parts.append(style.removeprefix('@charset "UTF-8";'))
    return "\n".join(parts)


def measuring_nothing(script: str) -> str:
    """The theme's script, whose search for parts that scroll finds none.

    Raises:
        ExtensionError: The script has no such search, so a phone would wait for it again unseen.
    """
    if script.count(MEASURED) != 1:
        raise ExtensionError(f"{SCRIPT} has {script.count(MEASURED)} times what it measures, not once: {MEASURED}")
    return script.replace(MEASURED, '[":not(*)"]')


def lighten(app: Sphinx, exception: Exception | None) -> None:
    """Cut down what Sphinx has just copied; it copies everything anew whenever a page changes."""
    if exception is not None or app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    for pattern in UNUSED:
        for path in static.glob(pattern):
            path.unlink()
    words, points = words_of(Path(app.outdir), Path(app.doctreedir, "words.json")), set()
    for path in static.rglob("*.css"):
        style = path.read_text(encoding="utf-8")
        if path.name not in OWN:
            style = _trimmed(style, [name for name in _names_in(style) if name in words])
            # One source for the font, and the one that fontTools reads without a compressor.
            style = re.sub(r'url\([^)]*\.woff2\) format\("woff2"\),(?=url\([^)]*\.ttf\))', "", style)
            path.write_text(style, encoding="utf-8")
        points.update(int(point, 16) for point in re.findall(r"\\(f[0-9a-f]{3})\b", style))
    names = [name for name in getattr(app.env, "book_styles", ()) if (static.parent / name).is_file()]
    if names:
        Path(app.outdir, JOINED).write_text(joined_styles(static, names), encoding="utf-8")
    theme = static / SCRIPT
    if theme.is_file() and '[":not(*)"]' not in (script := theme.read_text(encoding="utf-8")):
        theme.write_text(measuring_nothing(script), encoding="utf-8")
    icons = static / f"{ICONS}.ttf"
    if icons.is_file():
        keep_glyphs(icons, points, Path(app.doctreedir))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.setup_extension("kept_facts")
    app.connect("html-page-context", join_styles, priority=950)  # after every other extension has named its files
    app.connect("build-finished", lighten, priority=900)  # after every other extension has copied its files
    return {"parallel_read_safe": True, "parallel_write_safe": True}
