/* What a reader has read and answered, kept in this browser alone: nothing is sent anywhere. A chapter's section counts as read
   when its end has been on the screen. The page of the course shows the marks, saves them to a file and deletes them. */
(() => {
  const KEY = "inside-large-models";

  const load = () => {
    try {
      return JSON.parse(localStorage.getItem(KEY)) ?? {};
    } catch {
      return {}; // no storage here, or something else in it
    }
  };
  const store = (progress) => {
    try {
      localStorage.setItem(KEY, JSON.stringify(progress));
    } catch {} // full, or refused: the page works without
  };
  const root = new URL(document.documentElement.dataset.content_root ?? "./", location.href);
  const pageOf = (address) => address.href.split("#")[0].slice(root.href.length).replace(/\.html$/, "");

  /** Change what is known of this page; a second tab may have written meanwhile. */
  const note = (change) => {
    const progress = load();
    const page = (progress[pageOf(new URL(location.href))] ??= {});
    change(page);
    store(progress);
  };

  const watchSections = () => {
    const sections = [...document.querySelectorAll(".bd-article section:has(> h2)")];
    const seen = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        seen.unobserve(target);
        const name = target.dataset.section;
        note((page) => {
          page.sections = sections.length;
          page.read = [...new Set([...(page.read ?? []), name])];
        });
      }
    });
    for (const section of sections) {
      const end = section.appendChild(document.createElement("span"));
      end.dataset.section = section.id;
      end.className = "section-end";
      seen.observe(end);
    }
  };

  const inWords = ({ read = [], sections = 0, right, answered, questions }) => {
    const words = read.length >= sections && sections ? ["read"] : [`${read.length} of ${sections} sections`];
    if (answered) words.push(`quiz ${right} of ${questions}`);
    return words.join(", ");
  };

  const show = (place) => {
    const progress = load();
    document.querySelectorAll(".progress-mark").forEach((mark) => mark.remove());
    for (const link of document.querySelectorAll(".learning-path a")) {
      const known = progress[pageOf(new URL(link.href))];
      if (!known) continue;
      const mark = document.createElement("span");
      mark.className = "progress-mark";
      mark.textContent = ` (${inWords(known)})`;
      link.after(mark);
    }
    place.replaceChildren();
    const begun = Object.keys(progress).length;
    const told = document.createElement("p");
    told.textContent = begun
      ? `You have begun ${begun} ${begun === 1 ? "chapter" : "chapters"}; the marks below are kept in this browser and sent nowhere.`
      : "What you read and answer is marked below. The marks are kept in this browser and sent nowhere.";
    place.append(told);
    if (!begun) return;
    const save = document.createElement("a");
    save.textContent = "Save the marks to a file";
    save.download = "inside-large-models-progress.json";
    save.href = `data:application/json,${encodeURIComponent(JSON.stringify(progress, null, 1))}`;
    const forget = document.createElement("button");
    forget.textContent = "Delete them";
    forget.addEventListener("click", () => {
      localStorage.removeItem(KEY);
      show(place);
    });
    place.append(save, " ", forget);
  };

  document.addEventListener("DOMContentLoaded", () => {
    const place = document.querySelector(".course-progress");
    if (place) show(place);
    if (document.querySelector(".quiz")) watchSections(); // a chapter
  });
  document.addEventListener("book:quiz", ({ detail }) => note((page) => Object.assign(page, detail)));
})();
