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
    """Leave one word of code in each of its colours, and each formula its form for screen readers.

    The coloured words of the code and the glyphs of the formulas are most of a chapter's elements and all alike: judged
    each by each, they took ten seconds a page.
    """
    page.evaluate(
        """() => {
          const seen = new Set();
          document.querySelectorAll('.highlight pre span').forEach((word) => {
            if (!word.isConnected || word.querySelector('a, button')) return;
            if (seen.has(word.className)) word.replaceWith(...word.childNodes);
            seen.add(word.className);
          });
          document.querySelectorAll('.highlight pre').forEach((code) => code.normalize());
          document.querySelectorAll('mjx-math').forEach((glyphs) => glyphs.replaceChildren());
        }"""
    )


def inaccessible_parts(page, *, only=None) -> list[str]:
    """Serious and critical violations that axe-core finds on the page, of all its rules or of one."""
    options = {"resultTypes": ["violations"], "preload": False} | ({"runOnly": [only]} if only else {})
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{violation['id']} ({violation['impact']}): {node['html'][:160]} {' '.join(node.get('failureSummary', '').split())[:200]}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def height(page) -> int:
    """How tall the page is in its window, in pixels."""
    return page.evaluate("() => document.documentElement.scrollHeight")


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
