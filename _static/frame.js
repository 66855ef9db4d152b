/* The theme makes code that scrolls sideways reachable by keyboard, but measures it only when the window changes size.
   Code that was folded away had no size then: measure again when a part of the page unfolds. */
document.addEventListener("toggle", () => window.dispatchEvent(new Event("resize")), true);
document.addEventListener("click", (event) => {
  if (event.target.closest(".toggle-button, .admonition.dropdown, .toggle")) window.dispatchEvent(new Event("resize"));
});
