/* Marks what was searched for, as Sphinx does, and goes to the first place. The index forgives a hyphen ("gradcam"), so a word
   is looked for with a hyphen at any place, and without. */

/** The word in all forms in which the text, in lower case, writes it: "gradcam" → "grad-cam", "grad_cam". */
const asWritten = (word, text) => {
  const letters = [...word].filter((letter) => !"-‐‑_".includes(letter)).map((letter) => letter.replace(/\W/, "\\$&"));
  return new Set(text.match(new RegExp(letters.join("[-‐‑_]?"), "gu")));
};

(() => {
  const { asked } = document.documentElement.dataset; // left by a line in the page's head
  if (!asked) return;

  document.addEventListener("DOMContentLoaded", () => {
    const article = document.querySelector(".bd-article");
    if (!article) return;
    const text = article.textContent.toLowerCase();
    for (const word of asked.toLowerCase().split(/\s+/).filter((word) => /\w/.test(word)))
      for (const form of asWritten(word, text)) _highlightText(article, form, "highlighted");
    const visible = [...article.querySelectorAll("span.highlighted")].filter((hit) => hit.checkVisibility());
    const anchor = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const first = visible.find((hit) => !anchor || anchor.contains(hit)) ?? visible[0];
    if (first) window.addEventListener("load", () => requestAnimationFrame(() => first.scrollIntoView({ block: "center" })));
  });
})();
