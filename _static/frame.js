/* What scrolls sideways is reached by keyboard: code, tables and printed values, each as soon as it has a size. What is folded away
   or far from the screen of a phone has none, and is not laid out for the sake of the question; the theme, which would measure all
   of them at once and again with every change of the page, is kept from it (see _ext/light_assets.py). */
const scrolls = new ResizeObserver((entries) => {
  const found = entries.map(({target}) => [target, target.scrollWidth > target.clientWidth || target.scrollHeight > target.clientHeight]);
  for (const [target, hides] of found) hides ? (target.tabIndex = 0) : target.removeAttribute("tabindex");
});
function measure() {
  document.querySelectorAll("main pre, .cell_output > .output, .pst-scrollable-table-container").forEach((part) => {
    scrolls.unobserve(part);
    scrolls.observe(part);
  });
}
document.addEventListener("DOMContentLoaded", measure);
document.fonts.ready.then(measure); // another font, another width within the same box
