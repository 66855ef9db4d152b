// The quiz works without this script: every option is a native <details>. This only counts first tries.
document.addEventListener("DOMContentLoaded", () => {
  const questions = [...document.querySelectorAll(".quiz")];
  if (questions.length === 0) return;

  const score = document.createElement("p");
  score.className = "quiz-score";
  score.setAttribute("role", "status"); // read out when it changes
  questions.at(-1).after(score);

  const firstTries = new Map(); // question → was it right at first try?
  const show = () => {
    const right = [...firstTries.values()].filter(Boolean).length;
    score.textContent = `${right} of ${questions.length} right at first try`;
    if (firstTries.size < questions.length) score.textContent += ` so far (${firstTries.size} answered)`;
    const detail = { right, answered: firstTries.size, questions: questions.length };
    document.dispatchEvent(new CustomEvent("book:quiz", { detail })); // progress.js remembers it
  };

  for (const question of questions) {
    const options = [...question.querySelectorAll(".quiz-option")];
    const keys = options.filter((option) => option.dataset.verdict === "right").length;
    const chosen = new Set();
    for (const option of options) {
      option.addEventListener("toggle", () => {
        if (!option.open || firstTries.has(question)) return;
        chosen.add(option);
        const missed = option.dataset.verdict !== "right";
        if (!missed && chosen.size < keys) return; // "Choose two": one more to go
        firstTries.set(question, !missed);
        show();
      });
    }
  }
});
