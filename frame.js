/* What scrolls sideways is reached by keyboard: code, tables and printed values, each as soon as it has a size. What is folded away or
   far off the screen has none yet, and is not laid out for the sake of the question. (The theme would measure all of them at once.) */
const SCROLLING = "main pre, .cell_output > .output, .pst-scrollable-table-container";
const scrolls = new ResizeObserver((entries) => {
  const measured = entries.map(({target}) => [target, target.scrollWidth > target.clientWidth || target.scrollHeight > target.clientHeight]);
  for (const [target, wide] of measured) wide ? target.tabIndex = 0 : target.removeAttribute("tabindex");
});
const measure = () => document.querySelectorAll(SCROLLING).forEach((part) => {
  scrolls.unobserve(part);
  scrolls.observe(part);
});
document.addEventListener("DOMContentLoaded", measure);
document.fonts.ready.then(measure); // another font, another width of the same box
