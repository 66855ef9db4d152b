"""Search that forgives a hyphen, and that puts the chapters first.

The index knows a compound both in its parts and as one word, so that "gradcam" finds Grad-CAM; the query is joined likewise.
"""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

# Grad-CAM, all-reduce, all_reduce; two or three parts of letters.
COMPOUND = re.compile(r"(?<![\w-])[^\W\d_]+(?:[-‐‑_][^\W\d_]+){1,2}(?![\w-])")
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

    js_splitter_code = SEARCH_PAGE

    def split(self, input: str) -> list[str]:
        """The words of a text."""
        return super().split(input) + [re.sub(r"[\W_]", "", compound) for compound in COMPOUND.findall(input)]


def use_scorer(app: Sphinx, config) -> None:
    """Rank results by the kind of page first."""
    config.html_search_scorer = str(Path(__file__).with_name("search_scorer.js"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_search_language(ForgivingEnglish)
    app.connect("config-inited", use_scorer)
    app.add_js_file(None, body=TAKE, priority=150)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
