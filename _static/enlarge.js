/* A computed picture opens as large as the window or its file allows: by a tap, a click, Enter or Space. Escape closes it, a second
   tap too, and the focus goes back to where it was. Without this script the picture is a picture. */
document.addEventListener("DOMContentLoaded", () => {
  const pictures = document.querySelectorAll(".bd-article .cell_output img, .bd-article figure img");
  const dialog = document.createElement("dialog");
  dialog.className = "enlarged";
  dialog.innerHTML = '<form method="dialog"><button>Close</button></form>';
  const large = dialog.appendChild(document.createElement("img"));
  large.addEventListener("click", () => dialog.close());

  for (const picture of pictures) {
    if (picture.closest("a, button")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "enlarge";
    picture.replaceWith(button);
    button.append(picture);
    button.setAttribute("aria-label", `Enlarge the picture: ${picture.alt}`);
    button.addEventListener("click", () => {
      if (!dialog.isConnected) document.body.append(dialog);
      const shape = picture.naturalWidth / picture.naturalHeight;
      large.src = picture.src;
      large.alt = picture.alt;
      dialog.setAttribute("aria-label", picture.alt);
      // To the edges of the window, but never smaller than the file: then it scrolls.
      large.style.width = `${Math.max(Math.min(innerWidth, innerHeight * shape), picture.naturalWidth)}px`;
      dialog.showModal();
    });
  }
});
