// Chapters first, then the glossary, then other pages, then the library's reference; within a kind, Sphinx's own score, to which
// a page adds less than a title for being the home of the words that are asked for (WORD_HOMES of book_search.py).
var Scorer = {
  score: ([docname, , , , score]) => {
    const kinds = [/^reference\/api\//, /^(?!chapters\/|reference\/api\/|_modules\/)|^chapters\/faq\//, /^reference\/glossary$/, /^chapters\/(?!faq\/)/];
    const words = (new URLSearchParams(location.search).get("q") ?? "").split(/[^\p{Letter}]+/u).filter(Boolean);
    const home = (word) => (WORD_HOMES[word] ?? WORD_HOMES[word.toLowerCase()]) === docname;
    return 1000 * kinds.findLastIndex((kind) => kind.test(docname)) + score + (8 * words.filter(home).length) / Math.max(words.length, 1);
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: {0: 15, 1: 5, 2: -5},
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
