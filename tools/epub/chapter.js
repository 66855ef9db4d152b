/* What `assemble.js` has left in the document, as XHTML for a reading device, which has no scripts: formulas are MathML, folds are
   closed again and open where the device can, pictures lie in a folder beside the pages. Returns the text, its headings and the addresses of its pictures. */
() => {
  const section = document.querySelector("main > section");
  for (const button of section.querySelectorAll("button:has(img)")) button.replaceWith(...button.childNodes); // a picture that opens large
  section.querySelectorAll("style, button, input, label, iframe").forEach((part) => part.remove());
  for (const fold of section.querySelectorAll("details")) fold.open = false;
  for (const line of section.querySelectorAll("summary p")) line.replaceWith(...line.childNodes);
  for (const formula of section.querySelectorAll("mjx-container")) formula.replaceWith(formula.querySelector("math"));
  // Attributes that mean something to a browser with scripts, or to MathJax, and nothing to a reading device.
  for (const part of section.querySelectorAll("*"))
    for (const { name } of [...part.attributes]) if (/^(data-|tabindex$|decoding$|minsize$|maxsize$)/.test(name)) part.removeAttribute(name);
  const pictures = [...section.querySelectorAll("img")].map((picture) => {
    const address = picture.src;
    picture.setAttribute("src", `pictures/${address.split("/").pop()}`);
    return address;
  });
  const text = (heading) => heading.textContent.trim().replace(/\s+/g, " ");
  return {
    title: text(section.querySelector("h1")),
    sections: [...section.querySelectorAll("section[id]:has(> h2)")].map((part) => [part.id, text(part.querySelector("h2"))]),
    parts: ["math", "svg"].filter((name) => section.querySelector(name)),
    body: new XMLSerializer().serializeToString(section),
    pictures,
  };
}
