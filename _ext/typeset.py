"""Formulas are typeset while the book is built: a page carries finished glyphs, MathML for screen readers, and no MathJax (1.2 MB).

MathJax, from the package sphinx-mathjax-offline, runs in V8 (the package mini-racer), so that nothing but Python is needed.
"""

from __future__ import annotations

import atexit
import html
import importlib.util
import json
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from py_mini_racer import MiniRacer
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.fileutil import copy_asset

logger = logging.getLogger(__name__)

# Copied next to the pages, never under the book's own `_static`: Jupyter Book would load each script there on every page.
FONTS = "output/chtml/fonts/woff-v2"
WIDEST = 28.0  # em: 328 pixels, the column of a phone 360 wide, at the smallest size that custom.css allows, 0.7 of 16.5 pixels
PACKAGES = ("ams", "boldsymbol", "newcommand")
COMPONENTS = (
    "core",
    "adaptors/liteDOM",
    "input/tex-base",
    *(f"input/tex/extensions/{package}" for package in PACKAGES),
    "output/chtml",
    "output/chtml/fonts/tex",
    "a11y/assistive-mml",
)
CONFIGURATION = r"""
var global = globalThis;
var MathJax = {
  loader: {
    load: ["adaptors/liteDOM", "input/tex-base", ...PACKAGES.map((name) => `[tex]/${name}`), "output/chtml", "a11y/assistive-mml"],
    paths: {mathjax: "."},
    require: (name) => (0, eval)(SOURCES[name.replace(/^\.\/|\.js$/g, "")]),
  },
  startup: {typeset: false},
  // MathJax would draw the message of an error on the page.
  tex: {packages: ["base", ...PACKAGES], formatError: (input, error) => { throw new Error(error.message); }},
  chtml: {fontURL: "FONTS"},
};
"""
# The output processor measures each formula in order to lay it out, and keeps no record of it.
MEASURE = """
var width = null;
(output => {
  const write = output.processMath;
  output.processMath = function (math, node) {
    width = this.factory.wrap(math).getOuterBBox().w;
    return write.call(this, math, node);
  };
})(MathJax.startup.output);
"""
PAGE = r"""
(formulas) => {
  const adaptor = MathJax.startup.adaptor;
  MathJax.startup.output.clearCache();
  MathJax.texReset();
  const results = formulas.map(([tex, display]) => {
    try {
      const shown = MathJax.tex2chtml(tex, {display});
      return [adaptor.outerHTML(shown), width, null];
    }
    catch (error) { return [null, null, error.message]; }
  });
  return JSON.stringify([results, adaptor.textContent(MathJax.chtmlStylesheet())]);
}
"""
# What Sphinx writes for a formula: an equation's number, then \(…\), \[…\] or a bare environment.
FORMULA = re.compile(
    r'(?P<open><(?P<tag>span|div) class="(?:\w+ )?math[ "][^>]*>)\s*(?P<number>(?:<span class="eqno">.*?</span>)?)'
    r"(?P<tex>[^<]*)</(?P=tag)>(?P<stop>[.,;:?!)\]’”]*)",
    re.DOTALL,
)

PRODUCT = re.compile(r"(?<=[\w)]) × (?=[\w(−])")
KEPT = (nodes.literal, nodes.FixedTextElement, nodes.math, nodes.raw)


@cache
def mathjax_folder() -> Path:
    """Where the package sphinx-mathjax-offline keeps MathJax."""
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise ExtensionError("MathJax is missing: install the package sphinx-mathjax-offline")
    return Path(spec.origin).parent / "static" / "mathjax"


@cache
def _engine() -> MiniRacer:
    engine = MiniRacer()
    atexit.register(engine.close)  # its thread cannot be joined once the interpreter is going down
    read = {name: (mathjax_folder() / f"{name}.js").read_text(encoding="utf-8") for name in (*COMPONENTS, "startup")}
    engine.eval(f"var SOURCES = {json.dumps(read)}, PACKAGES = {json.dumps(PACKAGES)};")
    engine.eval(CONFIGURATION)
    engine.eval(read["startup"])
    engine.eval(MEASURE)
    return engine


class Typeset(NamedTuple):
    """A formula that is set, or the fault in its TeX."""

    html: str | None
    width: float | None  # in units of its own font size
    fault: str | None


def typeset(formulas: list[tuple[str, bool]]) -> tuple[list[Typeset], str]:
    """The formulas of one page, given as (TeX, displayed?), and the style sheet of just these."""
    results, style = json.loads(_engine().eval(f"({PAGE})({json.dumps(formulas)})"))
    return [Typeset(*result) for result in results], re.sub(r"\s+", " ", style)


def _bare(tex: str) -> str:
    """The formula without its fence."""
    tex = html.unescape(tex).strip()
    fenced = re.fullmatch(r"\\\((.*)\\\)|\\\[(.*)\\\]", tex, re.DOTALL)
    return next(inside for inside in fenced.groups() if inside is not None) if fenced else tex


def bind_products(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Let no line end inside "3 × 3"."""
    for text in list(doctree.findall(nodes.Text)):
        bound = PRODUCT.sub("\u00a0×\u00a0", text)
        if bound != text and not isinstance(text.parent, KEPT):
            text.parent.replace(text, nodes.Text(bound))


def typeset_page(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Put finished formulas in the place of their TeX, and their style in front of them."""
    context["script_files"] = [file for file in context.get("script_files", ()) if not _is_mathjax(file)]
    found = list(FORMULA.finditer(context.get("body", "")))
    if not found:
        return
    results, style = typeset([(_bare(one["tex"]), one["tag"] == "div") for one in found])
    for one, result in zip(found, results, strict=True):
        fault = result.fault
        if fault is None and one["tag"] == "div" and result.width > WIDEST:
            fault = f"a line of {result.width:.1f} em, of which a phone shows {WIDEST:.0f},"
        if fault is not None:
            logger.warning(
                "%s in the formula %s", fault, _bare(one["tex"]), location=pagename, type="book", subtype="formula"
            )
    shown = iter(results)
    fonts = context["pathto"](f"_static/mathjax/{FONTS}", 1)
    body = FORMULA.sub(lambda one: _written(one, next(shown)), context["body"])
    context["body"] = f"<style>{style.replace('FONTS', fonts)}</style>\n{body}"


def _written(one: re.Match, result: Typeset) -> str:
    """The formula's element with what it shows. A line does not break between a formula and the mark that follows it.

    A displayed formula carries its width, by which the style sheet sets it smaller where the column is narrower than that.
    """
    opened = one["open"]
    if one["tag"] == "div" and result.width is not None:
        opened = f'{opened[:-1]} style="--width: {result.width:.2f}">'
    element = f"{opened}{one['number']}{result.html or one['tex']}</{one['tag']}>"
    binds = one["tag"] == "span" and one["stop"]
    return f'<span class="unbroken">{element}{one["stop"]}</span>' if binds else element + one["stop"]


def _is_mathjax(script) -> bool:
    return "mathjax" in f"{script.filename} {script.attributes.get('body', '')}".lower()


def copy_fonts(app: Sphinx, exception: Exception | None) -> None:
    """Copy the fonts that a page may ask for."""
    if exception is None and app.builder.format == "html":
        copy_asset(str(mathjax_folder() / FONTS), str(Path(app.outdir, "_static", "mathjax", FONTS)))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect(
        "html-page-context", typeset_page, priority=900
    )  # after Sphinx's own MathJax has put itself on the page
    app.connect("doctree-resolved", bind_products)
    app.connect("build-finished", copy_fonts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
