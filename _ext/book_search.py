"""Search that forgives a hyphen, and that puts the chapters first, among them the one that is about the word.

The index knows a compound both in its parts and as one word, so that "gradcam" finds Grad-CAM; the query is joined likewise.
It does not know how often a page uses a word. So each word gets a home, the chapter that uses it most, told by its capitals
where it has some inside (ALE, ZeRO); search_scorer.js puts the home first among chapters without the word in their titles.

Terms of the general index lead to their places. Sphinx forgets those of pages that a build did not write, and lists the library's
names twice, as terms and as objects (100 kB); here the terms are those of all pages but the library's.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.search.en import SearchEnglish
from sphinx.util.index_entries import split_index_msg

# Grad-CAM, all-reduce, all_reduce; two or three parts of letters.
COMPOUND = re.compile(r"(?<![\w-])[^\W\d_]+(?:[-‐‑_][^\W\d_]+){1,2}(?![\w-])")
WORD = re.compile(r"[^\W\d_]{2,}")
LIBRARY = "reference/api/"
AT_LEAST = 5  # a word used more seldom has no home
# Runs on the search page, after searchtools.js and _static/found.js. `Search`, `Stemmer` and `stopwords` are Sphinx's.
SEARCH_PAGE = r"""
var splitQuery = (query) => {
  const parts = query.split(/[^\p{Letter}\p{Number}_]+/u).filter(Boolean);
  const stem = new Stemmer();
  const known = (word) => Object.hasOwn(Search._index.terms, stem.stemWord(word.toLowerCase()));
  const words = [];
  for (let at = 0; at < parts.length; at++) {
    const length = [3, 2].find((length) => at + length <= parts.length && known(parts.slice(at, at + length).join("")));
    words.push(parts.slice(at, at + (length ?? 1)).join(""));
    at += (length ?? 1) - 1;
  }
  return words.map((word) => (word.includes("_") && known(word.replaceAll("_", "")) ? word.replaceAll("_", "") : word));
};

// The text around the first hit, of the article alone; Sphinx's own took in the buttons above it.
Search.makeSearchSummary = (page, keywords, anchor) => {
  const document_ = new DOMParser().parseFromString(page, "text/html");
  document_.querySelectorAll("script, style, .headerlink, button, .chapter-header, mjx-container").forEach((part) => part.remove());
  const place = (anchor && document_.querySelector(`.bd-article ${anchor}`)) || document_.querySelector(".bd-article");
  if (!place) return null;
  const text = place.textContent.replace(/\s+/g, " ").trim(), lower = text.toLowerCase();
  const found = [...keywords].flatMap((word) => [...asWritten(word, lower)].map((form) => lower.indexOf(form)));
  const start = found.length ? Math.max(Math.min(...found) - 100, 0) : 0;
  const summary = document.createElement("p");
  summary.className = "context";
  summary.textContent = `${start ? "…" : ""}${text.slice(start, start + 240)}…`;
  return summary;
};
"""

# Takes the words that were searched for before Sphinx's script does, which would mark them as they were typed.
TAKE = """
if (!location.pathname.endsWith("/search.html")) {
  const asked = localStorage.getItem("sphinx_highlight_terms");
  localStorage.removeItem("sphinx_highlight_terms");
  if (asked) document.documentElement.dataset.asked = asked;
}
"""


class ForgivingEnglish(SearchEnglish):
    """English words, and each hyphenated compound once more as one word."""

    homes: ClassVar[dict[str, str]] = {}

    @property
    def js_splitter_code(self) -> str:
        """What the search page runs, and the words' homes, which it ranks by."""
        return (
            f"{SEARCH_PAGE}\nconst WORD_HOMES = {json.dumps(self.homes, ensure_ascii=False, separators=(',', ':'))};\n"
        )

    def split(self, input: str) -> list[str]:
        """The words of a text."""
        return super().split(input) + [re.sub(r"[\W_]", "", compound) for compound in COMPOUND.findall(input)]


def count_words(app: Sphinx, document: nodes.document) -> None:
    """Remember how often the prose of a chapter uses each word."""
    if re.match(r"chapters/(?!faq/).+/(?!index$)", app.env.docname):
        text = " ".join(_prose(document))
        words = WORD.findall(text) + [re.sub(r"[\W_]", "", compound) for compound in COMPOUND.findall(text)]
        _counts(app.env)[app.env.docname] = Counter(as_asked(word) for word in words)


def as_asked(word: str) -> str:
    """A word in small letters, unless it has capitals inside: WORD_HOMES is asked for both forms of a query."""
    return word if word[1:] != word[1:].lower() else word.lower()


def _prose(node: nodes.Node) -> Iterator[str]:
    if isinstance(node, nodes.Text):
        yield node.astext()
    elif not isinstance(node, (nodes.literal_block, nodes.comment, nodes.raw, nodes.math_block, nodes.math)):
        for child in node.children:
            yield from _prose(child)


def _counts(env: BuildEnvironment) -> dict[str, Counter]:
    return env.__dict__.setdefault("book_word_counts", {})


def purge(app: Sphinx, env: BuildEnvironment, page: str) -> None:
    """Forget a page that is read anew."""
    _counts(env).pop(page, None)


def merge(app: Sphinx, env: BuildEnvironment, pages: set[str], other: BuildEnvironment) -> None:
    """Take over what another process has read."""
    _counts(env).update({page: words for page, words in _counts(other).items() if page in pages})


def find_homes(app: Sphinx, env: BuildEnvironment) -> None:
    """The chapter that uses a word most, for every word that one chapter uses often."""
    ForgivingEnglish.homes = homes(_counts(env))


def homes(counts: dict[str, Counter]) -> dict[str, str]:
    """For each word that a page uses AT_LEAST times the page with the most uses, the first by name where two have as many."""
    best: dict[str, tuple[int, str]] = {}
    for page in sorted(counts):
        for word, uses in counts[page].items():
            if uses >= max(AT_LEAST, best.get(word, (0,))[0] + 1):
                best[word] = (uses, page)
    return {word: page for word, (_, page) in sorted(best.items())}


def list_terms(app: Sphinx) -> tuple:
    """Give the search index the terms of the general index, before it is written; no further pages."""
    if getattr(app.builder, "indexer", None):
        entries = app.env.domains["index"].entries
        listed = {page: terms(found) for page, found in sorted(entries.items()) if not page.startswith(LIBRARY)}
        kept = app.builder.indexer._index_entries
        kept.clear()
        kept.update(listed)
    return ()


def terms(entries: Iterable[tuple]) -> list[tuple[str, str, str]]:
    """Term, anchor and whether it is the main place ("main" or ""), as the search index wants them."""
    return sorted(
        {(part, anchor or "", main) for kind, term, anchor, main, _ in entries for part in split_index_msg(kind, term)}
    )


def use_scorer(app: Sphinx, config) -> None:
    """Rank results by the kind of page first."""
    config.html_search_scorer = str(Path(__file__).with_name("search_scorer.js"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_search_language(ForgivingEnglish)
    app.connect("config-inited", use_scorer)
    app.connect("doctree-read", count_words)
    app.connect("env-purge-doc", purge)
    app.connect("env-merge-info", merge)
    app.connect("env-updated", find_homes)
    app.connect("html-collect-pages", list_terms)
    app.add_js_file(None, body=TAKE, priority=150)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
