/* The theme makes code that scrolls sideways reachable by keyboard, but measures it only when the window changes size.
   Code that was folded away had no size then: measure again when a part of the page unfolds. */
document.addEventListener("toggle", () => window.dispatchEvent(new Event("resize")), true);
document.addEventListener("click", (event) => {
  if (event.target.closest(".toggle-button, .admonition.dropdown, .toggle")) window.dispatchEvent(new Event("resize"));
});
/* A table that scrolls sideways is reached by keyboard as soon as its width is known, not after the theme's next measuring. */
const reachable = new ResizeObserver((entries) => entries.forEach(({target}) => {
  if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
}));
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".pst-scrollable-table-container").forEach((table) => reachable.observe(table));
});
