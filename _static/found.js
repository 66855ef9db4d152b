/* Marks what was searched for, as Sphinx does, and goes to the first place. The index forgives a hyphen ("gradcam"), so a word
   that the text does not have as it was typed is looked for with a hyphen somewhere. Runs after sphinx_highlight.js. */

/** The word as the text, in lower case, writes it: "gradcam" → "grad-cam"; the word itself where the text has neither. */
const asWritten = (word, text) => {
  if (text.includes(word)) return word;
  const letters = [...word].map((letter) => letter.replace(/\W/, "\\$&"));
  return text.match(new RegExp(letters.join("[-‐‑_]?"), "u"))?.[0] ?? word;
};

(() => {
  const key = "sphinx_highlight_terms", asked = localStorage.getItem(key);
  if (!asked || location.pathname.endsWith("/search.html")) return;
  localStorage.removeItem(key); // else Sphinx would mark the words as they were typed

  document.addEventListener("DOMContentLoaded", () => {
    const article = document.querySelector(".bd-article");
    if (!article) return;
    const text = article.textContent.toLowerCase();
    for (const word of asked.toLowerCase().split(/\s+/).filter(Boolean)) _highlightText(article, asWritten(word, text), "highlighted");
    const visible = [...article.querySelectorAll("span.highlighted")].filter((hit) => hit.checkVisibility());
    const anchor = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const first = visible.find((hit) => !anchor || anchor.contains(hit)) ?? visible[0];
    if (first) window.addEventListener("load", () => requestAnimationFrame(() => first.scrollIntoView({ block: "center" })));
  });
})();
