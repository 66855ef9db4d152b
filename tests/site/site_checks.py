"""What a page must satisfy. Each check returns the faults that it found, as sentences; none means that all is well."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from alt_text import looks_like_a_file_name
from axe_playwright_python.sync_playwright import Axe

from tools.notebooks import debts

# At most 1.2 MB must come before a page is there, uncompressed (a host that compresses sends a third), and nothing of a search.
MOST_BYTES = 1_200_000
OF_A_SEARCH = ("searchindex.js", "searchtools.js", "language_data.js", "fontawesome.js", "tex-chtml.js")
# Largest shift of the layout that web.dev still calls good.
STEADY = 0.1
WATCH_SHIFTS = """
window.shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({type: "layout-shift", buffered: true});
"""

# Fonts that were not waited for, waited for.
USE_FONTS = """async () => {
  const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]).filter((rule) =>
    rule instanceof CSSFontFaceRule && rule.style.getPropertyValue("font-display") === "optional");
  if (!rules.length) return;
  const sheet = document.createElement("style");
  for (const rule of rules) {
    const folder = new URL(".", rule.parentStyleSheet.href || location.href).href;
    sheet.textContent += rule.cssText.replace("font-display: optional", "font-display: block").replace('url("', `url("${folder}`);
  }
  document.head.append(sheet);
  const names = new Set(rules.map((rule) => rule.style.getPropertyValue("font-family").replaceAll('"', "")));
  await Promise.all([...document.fonts].filter((face) => names.has(face.family.replaceAll('"', ""))).map((face) => face.load()));
}"""


class _Anatomy(HTMLParser):
    """Anchors and links of one page."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.images: list[str] = []

    def handle_starttag(self, tag, attributes) -> None:
        given = dict(attributes)
        if given.get("id"):
            self.anchors.add(given["id"])
        if tag == "a":
            self.anchors.update(filter(None, [given.get("name")]))
            self.links.extend(filter(None, [given.get("href")]))
        if tag == "img":
            self.images.extend(filter(None, [given.get("src")]))


@cache
def _anatomy(path: Path) -> _Anatomy:
    reader = _Anatomy()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


def broken_links(site: Path, name: str) -> list[str]:
    """Links within the site that lead to no file, or to no anchor of their page."""
    faults = []
    for link in _anatomy(site / name).links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (site / name).parent / unquote(parts.path) if parts.path else site / name
        target = target.resolve()
        if target.is_dir():
            target /= "index.html"
        if not target.is_file():
            faults.append(f"{link} leads to no file")
        elif parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in _anatomy(target).anchors:
            faults.append(f"{link} leads to no anchor")
    return faults


def undescribed_images(page) -> list[str]:
    """Images whose text is missing, empty without being decoration, or the name of a file."""
    images = page.evaluate(
        """() => [...document.images].map((image) => ({
          alt: image.getAttribute('alt'), src: image.getAttribute('src'), loaded: image.naturalWidth > 0,
          decoration: Boolean(image.closest('.navbar-brand')), lazy: image.loading === 'lazy' }))"""
    )
    faults = []
    for image in images:
        alt = (image["alt"] or "").strip()
        if image["alt"] is None or (not alt and not image["decoration"]):
            faults.append(f"{image['src']} has no alt text")
        elif alt and looks_like_a_file_name(alt, image["src"]):
            faults.append(f"{image['src']} has a file name as alt text: {alt!r}")
        if not image["loaded"] and not image["lazy"]:
            faults.append(f"{image['src']} did not load")
    return faults


def untypeset_equations(page) -> list[str]:
    """Formulas that stayed source text, or whose fault stands on the page."""
    return page.evaluate(
        r"""() => [...document.querySelectorAll('.math')]
          .filter((formula) => !formula.querySelector('mjx-container') || formula.querySelector('mjx-merror, [data-mjx-error]'))
          .map((formula) => `not typeset: ${formula.textContent.trim().slice(0, 80)}`)"""
    )


def missing_figures(site: Path, name: str, notebook: Path) -> list[str]:
    """Stored pictures of the notebook that the page does not show, byte for byte."""
    shown = {
        hashlib.sha256(path.read_bytes()).hexdigest()
        for source in _anatomy(site / name).images
        if not urlsplit(source).scheme and (path := ((site / name).parent / unquote(source)).resolve()).is_file()
    }
    faults = []
    for number, cell in enumerate(json.loads(notebook.read_text(encoding="utf-8"))["cells"], start=1):
        if {"remove-output", "remove-cell"} & set(cell["metadata"].get("tags", [])):
            continue
        for output in cell.get("outputs", []):
            if (picture := output.get("data", {}).get("image/png")) is None:
                continue
            stored = base64.b64decode("".join(picture))
            if hashlib.sha256(stored).hexdigest() not in shown:
                faults.append(f"the figure of cell {number} is not on the page")
    return faults


def flatten_code_and_formulas(page) -> None:
    """Leave one word of code and of signatures in each of its colours, and each formula its form for screen readers.

    The coloured words of the code and the glyphs of the formulas are most of a page's elements and all alike: judged
    each by each, they took ten seconds a page.
    """
    page.evaluate(
        """() => {
          const seen = new Set();
          const kind = (word, box) => word === box ? '' : kind(word.parentElement, box) + '>' + word.className;
          document.querySelectorAll('.highlight pre, dt.sig, code').forEach((box) => {
            box.querySelectorAll('em, span').forEach((word) => {
              if (!word.isConnected || word.querySelector('a, button') || word.closest('a, button')) return;
              const name = box.localName + kind(word, box);
              if (seen.has(name)) word.replaceWith(word.textContent);
              seen.add(name);
            });
            box.normalize();
          });
          document.querySelectorAll('mjx-math').forEach((glyphs) => glyphs.replaceChildren());
        }"""
    )


def keep_three_of_a_kind(page) -> None:
    """Leave three parts of each kind: the same place in the same styled boxes, with the same kinds of parts inside.

    Colours and roles are given by kinds, so that a hundred paragraphs or two thousand entries of an index, judged a second
    time in other colours, find what three of them find. Cells of tables, terms of lists of definitions, and the words that
    give a link, a button, a fold or a heading its name stay, since their owners need them.
    """
    page.evaluate(
        """() => {
          const named = new Set();
          for (const name of ['aria-labelledby', 'aria-describedby', 'aria-controls', 'aria-owns', 'for', 'list'])
            document.querySelectorAll(`[${name}]`).forEach((part) => part.getAttribute(name).split(/ +/).forEach((id) => named.add(id)));
          const kind = (part) => [part.localName, part.className, part.getAttribute('style'), part.getAttribute('role'),
            part.localName === 'a' && !part.textContent.trim()].join('|');
          const path = new Map([[document.body, '']]), seen = new Map();
          const stay = new Set(['td', 'th', 'dt', 'dd', 'thead', 'tbody', 'caption', 'summary', 'option', 'legend']);
          for (const part of document.querySelectorAll('body *')) {
            if (!part.isConnected || part.parentElement.closest('svg, mjx-container, a, button, summary, label, h1, h2, h3, h4, h5, h6')) continue;
            path.set(part, path.get(part.parentElement) + '>' + kind(part));
            if (stay.has(part.localName)) continue;
            const inside = [...part.querySelectorAll('*')];
            const key = path.get(part) + '=' + [...new Set(inside.map(kind))].sort().join();
            seen.set(key, (seen.get(key) ?? 0) + 1);
            if (seen.get(key) > 3 && ![part, ...inside].some((one) => named.has(one.id))) part.remove();
          }
        }"""
    )


def keep_two_texts_of_a_kind(page, judged: set[str] = frozenset()) -> set[str]:
    """Leave two texts at the same place in the same styled boxes, none of the kinds that were judged on other pages.

    For colours alone: what they are follows from the boxes, whatever else these hold. Boxes without a text go, and names of
    links and buttons. What the present view does not show stays as it is.

    Returns:
        the kinds that are left and shown: judged on this page, they need not be on the next.
    """
    left = page.evaluate(
        """(judged) => {
          const seen = new Map(judged.map((kind) => [kind, 2]));
          const kind = (part) => (part === document.body ? '' : kind(part.parentElement) + '>')
            + [part.localName, part.className, part.getAttribute('style')].join('|');
          for (const part of document.querySelectorAll('body *:not(svg *)')) {
            const texts = [...part.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
            if (!texts.length || !part.checkVisibility()) continue;
            seen.set(kind(part), (seen.get(kind(part)) ?? 0) + 1);
            if (seen.get(kind(part)) > 2) texts.forEach((text) => text.remove());
          }
          [...document.querySelectorAll('body *')].filter((part) => !part.textContent.trim()).forEach((part) => part.remove());
          return [...seen.keys()];
        }""",
        sorted(judged),
    )
    return set(left) - judged


def inaccessible_parts(page, *, only=None, but=None) -> list[str]:
    """Serious and critical violations that axe-core finds on the page, of all its rules, of one, or of all but one."""
    options = {"resultTypes": ["violations"], "preload": False} | ({"runOnly": [only]} if only else {})
    if but:
        options["rules"] = {but: {"enabled": False}}
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{violation['id']} ({violation['impact']}): {node['html'][:160]} {' '.join(node.get('failureSummary', '').split())[:200]}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def height(page) -> int:
    """How tall the page is in its window and in its own fonts, in pixels, once it has stood still for a fifth of a second.

    On a slow day the fonts come too late for a first visit, which then keeps those of the machine.
    """
    page.evaluate(USE_FONTS)
    return page.evaluate(
        """async () => {
          let last;
          do {
            last = document.documentElement.scrollHeight;
            await new Promise((done) => setTimeout(done, 200));
          } while (last !== document.documentElement.scrollHeight);
          return last;
        }"""
    )


def too_high(page, notebook: str) -> list[str]:
    """20,000 pixels with everything folded, or what the list of debts allows; a debt that has shrunk must be lowered."""
    measured = {"height": height(page)}
    known = debts.read_debts()
    faults = debts.findings(notebook, measured, known)
    if known.get(notebook, {}).get("height", 0) >= measured["height"] + 2_000:
        faults.append(f"it has shrunk to {measured['height']}: lower its height in {debts.DEBTS.name}")
    return faults


def too_heavy(tab, *, search: bool) -> list[str]:
    """More bytes than a page may have, or files that only a search needs."""
    sizes = dict(sorted(tab.sizes.items(), key=lambda item: -item[1]))
    faults = []
    if sum(sizes.values()) > MOST_BYTES:
        faults.append(f"{sum(sizes.values())} bytes, {list(sizes.items())[:5]} among them")
    if not search:
        faults += [f"{url} is for searches" for url in sizes if any(name in url for name in OF_A_SEARCH)]
    return faults


def jumps(page) -> list[str]:
    """Shifts of the layout until a moment after loading; the page was opened with ``WATCH_SHIFTS``."""
    shift = page.evaluate("() => new Promise((done) => setTimeout(() => done(window.shift), 300))")
    return [f"the layout shifts by {shift:.3f}"] if shift > STEADY else []


def cut_without_an_edge(page) -> list[str]:
    """Boxes wider than the window that show no shadow at their edge, and formulas in a line that end outside of their box."""
    # The shadow is two of four backgrounds that stay while the content scrolls under them.
    # A formula in a line cannot scroll: what its box hides is lost.
    return page.evaluate(
        """() => [
          ...[...document.querySelectorAll('main pre, main div.math, main .pst-scrollable-table-container')]
            .filter((box) => box.scrollWidth > box.clientWidth + 1 && box.checkVisibility())
            .filter((box) => !getComputedStyle(box).backgroundAttachment.includes('local'))
            .map((box) => 'no edge: ' + box.outerHTML.slice(0, 120)),
          ...[...document.querySelectorAll('main mjx-container:not([display="true"])')]
            .filter((formula) => formula.querySelector('mjx-math').getBoundingClientRect().right
              > formula.getBoundingClientRect().right + 1)
            .map((formula) => 'cut: ' + formula.textContent.slice(0, 120))]"""
    )


def equations_that_scroll(page) -> list[str]:
    """Displayed equations of which the window shows a part only."""
    return page.evaluate(
        """() => [...document.querySelectorAll('main div.math')]
          .filter((box) => [box, ...box.querySelectorAll(':scope > mjx-container')]
            .some((part) => part.scrollWidth > part.clientWidth + 1))
          .map((box) => box.id || box.textContent.slice(0, 120))"""
    )


def overflow(page) -> list[str]:
    """The page itself must not scroll sideways; what is wide scrolls inside."""
    width, window, culprits = page.evaluate(
        """() => {
          const room = document.documentElement.clientWidth;
          const wide = [...document.querySelectorAll('main *')]
            .filter((part) => part.getBoundingClientRect().right > room + 1
              && ![...ancestors(part)].some((box) => ['auto', 'scroll', 'hidden'].includes(getComputedStyle(box).overflowX)))
            .slice(0, 3).map((part) => part.outerHTML.slice(0, 120));
          return [document.documentElement.scrollWidth, room, wide];
          function* ancestors(part) { while ((part = part.parentElement) && part !== document.body) yield part; }
        }"""
    )
    return [f"{width} pixels of page in a window of {window}: {culprits}"] if width > window else []
