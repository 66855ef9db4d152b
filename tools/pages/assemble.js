/* One page of the book as a document of its own that can be bound with the others: names that are unique in the whole book,
   and links that say where they lead in it. Called in the page, with the addresses of all pages, without "#",
   and an origin that no link of the book has; leaves the document in place. */
async ([addresses, origin]) => {
  const place = new Map(addresses.map((address, number) => [address, `page-${number + 1}`]));
  const here = location.href.split("#")[0];
  const name = place.get(here);
  const article = document.querySelector("article.bd-article");
  if (!article || !name) throw new Error(`${here} is no page of the rendered book`);

  article.querySelectorAll("script, noscript, .headerlink, .pst-js-only").forEach((part) => part.remove());
  article.querySelectorAll("details").forEach((fold) => (fold.open = true));
  for (const named of article.querySelectorAll("[id]")) named.id = `${name}-${named.id}`;
  for (const attribute of ["for", "aria-labelledby", "aria-describedby"])
    for (const part of article.querySelectorAll(`[${attribute}]`))
      part.setAttribute(attribute, part.getAttribute(attribute).split(" ").map((id) => `${name}-${id}`).join(" "));
  for (const picture of article.querySelectorAll("[loading]")) picture.removeAttribute("loading"); // on paper everything is in view
  for (const link of article.querySelectorAll("a[href]")) {
    const [target, anchor] = link.href.split("#");
    const page = place.get(target);
    if (page) link.href = `${origin}${page}${anchor ? `-${decodeURIComponent(anchor)}` : ""}`;
    else if (!target.startsWith("http") || target.startsWith(location.origin)) link.removeAttribute("href"); // a file beside the pages, which a PDF does not have
  }

  const section = document.createElement("section");
  section.id = name;
  section.className = "bd-article";
  section.append(...article.childNodes);
  // Chromium gives a name in the PDF only to what the same page links to.
  const names = document.createElement("nav");
  for (const named of [section, ...section.querySelectorAll("[id]")]) {
    const link = document.createElement("a");
    link.href = `#${named.id}`;
    names.append(link);
  }
  const book = document.createElement("main");
  book.append(section, names);
  document.documentElement.dataset.theme = "light";
  document.body.replaceChildren(book);
  await document.fonts.ready;
  await Promise.all([...document.images].map((picture) => picture.decode().catch(() => {})));
}
