// Chapters first, then the glossary, then other pages, then the library's reference; within a kind, Sphinx's own score.
var Scorer = {
  score: ([docname, , , , score]) => {
    const kinds = [/^reference\/api\//, /^(?!chapters\/|reference\/api\/|_modules\/)|^chapters\/faq\//, /^reference\/glossary$/, /^chapters\/(?!faq\/)/];
    return 1000 * kinds.findLastIndex((kind) => kind.test(docname)) + score;
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
