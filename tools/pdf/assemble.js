/* One document out of many pages: their articles in order, each with names of its own, and links from page to page made links
   inside of the document. Called with the addresses of the pages, without "#"; returns nothing and leaves the document in place. */
async (addresses) => {
  const place = new Map(addresses.map((address, number) => [address, `page-${number + 1}`]));
  const styles = new Set();
  const book = document.createElement("main");

  for (const [address, name] of place) {
    const page = new DOMParser().parseFromString(await (await fetch(address)).text(), "text/html");
    const article = page.querySelector("article.bd-article");
    if (!article) throw new Error(`${address} is no page of the rendered book`);
    for (const style of page.head.querySelectorAll("style")) styles.add(style.textContent);
    article.querySelectorAll("script, noscript, .headerlink, .pst-js-only").forEach((part) => part.remove());
    article.querySelectorAll("details").forEach((fold) => (fold.open = true));

    for (const named of article.querySelectorAll("[id]")) named.id = `${name}-${named.id}`;
    for (const attribute of ["for", "aria-labelledby", "aria-describedby"])
      for (const part of article.querySelectorAll(`[${attribute}]`))
        part.setAttribute(attribute, part.getAttribute(attribute).split(" ").map((id) => `${name}-${id}`).join(" "));
    for (const picture of article.querySelectorAll("[src]")) {
      picture.setAttribute("src", new URL(picture.getAttribute("src"), address).href);
      picture.removeAttribute("loading"); // on paper everything is in view
    }
    for (const link of article.querySelectorAll("a[href]")) {
      const [target, anchor] = new URL(link.getAttribute("href"), address).href.split("#");
      const page = place.get(target);
      if (page) link.setAttribute("href", anchor ? `#${page}-${decodeURIComponent(anchor)}` : `#${page}`);
      else if (target.startsWith("http") && !target.startsWith(new URL("/", address).href)) link.setAttribute("href", link.href);
      else link.removeAttribute("href"); // a file beside the pages, which a PDF does not have
    }
    const section = document.createElement("section");
    section.id = name;
    section.className = "bd-article printed-page";
    section.append(...document.adoptNode(article).childNodes);
    book.append(section);
  }

  const style = document.createElement("style");
  style.textContent = [...styles, ".printed-page { break-before: page; } .printed-page:first-child { break-before: auto; }"].join("\n");
  document.head.append(style);
  document.documentElement.dataset.theme = "light";
  document.body.replaceChildren(book);
  await document.fonts.ready;
  await Promise.all([...document.images].map((picture) => picture.decode().catch(() => {})));
}
