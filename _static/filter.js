/* A field above a page of many entries shows those that hold all words. It stands where the page has a `div` of the class
   `filter-entries`; without this script the page is whole. An entry is a section with a heading of the third level. */
document.addEventListener("DOMContentLoaded", () => {
  const place = document.querySelector(".filter-entries");
  if (!place) return;

  const entries = [...document.querySelectorAll(".bd-article section:has(> h3)")];
  const groups = [...document.querySelectorAll(".bd-article section:has(> h2):has(section > h3)")];
  const label = document.createElement("label");
  const field = document.createElement("input");
  const told = document.createElement("span");
  label.textContent = "Show entries with ";
  field.type = "search";
  field.placeholder = "003 softmax";
  told.setAttribute("role", "status"); // read out when it changes
  label.append(field);
  place.append(label, " ", told);

  const texts = new Map(entries.map((entry) => [entry, entry.textContent.toLowerCase()]));
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const [entry, text] of texts) entry.hidden = !words.every((word) => text.includes(word));
    for (const group of groups) group.hidden = [...group.querySelectorAll("section:has(> h3)")].every((entry) => entry.hidden);
    const shown = entries.filter((entry) => !entry.hidden).length;
    told.textContent = words.length ? `${shown} of ${entries.length}` : "";
  });
});
