/* The live figure of the first page: slide a 3×3 kernel over a real handwritten digit, no kernel or network needed.
   The markup stands in intro.md; the digit is embedded there as JSON (0 to 255, row by row). */
(() => {
  "use strict";

  const SIDE = 28, WINDOW = 3, OUT = SIDE - WINDOW + 1, CELL = 10;

  // Rows from top to bottom, as they are multiplied with the window's pixels.
  const PRESETS = {
    "Vertical edges": [-1, 0, 1, -2, 0, 2, -1, 0, 1],
    "Horizontal edges": [-1, -2, -1, 0, 0, 0, 1, 2, 1],
    "Outline": [-1, -1, -1, -1, 8, -1, -1, -1, -1],
    "Blur": [0.11, 0.11, 0.11, 0.11, 0.11, 0.11, 0.11, 0.11, 0.11],
    "Sharpen": [0, -1, 0, -1, 5, -1, 0, -1, 0],
    "Copy": [0, 0, 0, 0, 1, 0, 0, 0, 0],
  };

  /** What a convolution layer computes: y(i, j) = Σ x(i + p, j + q) · w(p, q), without padding, stride 1. */
  function crossCorrelate(image, kernel) {
    const output = new Float64Array(OUT * OUT);
    for (let i = 0; i < OUT; i++) {
      for (let j = 0; j < OUT; j++) {
        let sum = 0;
        for (let p = 0; p < WINDOW; p++) {
          for (let q = 0; q < WINDOW; q++) sum += image[(i + p) * SIDE + j + q] * kernel[p * WINDOW + q];
        }
        output[i * OUT + j] = sum;
      }
    }
    return output;
  }

  const ENDS = { light: { plus: [84, 39, 136], minus: [179, 88, 6] }, dark: { plus: [190, 168, 240], minus: [253, 174, 80] } };
  const INK = { light: [35, 38, 43], dark: [220, 223, 227] }, PAPER = { light: [255, 255, 255], dark: [28, 32, 38] };

  const minus = (text) => text.replace("-", "−");
  // Pixels are whole numbers and weights short decimals: six places hold every product and their sum without rounding.
  const exact = (value) => minus(value.toFixed(6).replace(/\.?0+$/, "").replace(/^-0$/, "0"));

  function start(host) {
    const find = (name) => host.querySelector(`[data-part="${name}"]`);
    const image = JSON.parse(find("digit").textContent);
    const weights = [...host.querySelectorAll("[data-part='weight']")];
    const preset = find("preset"), flip = find("flip"), row = find("row"), column = find("column");
    const canvases = { input: find("input"), output: find("output") };

    for (const name of Object.keys(PRESETS)) preset.add(new Option(name));
    preset.add(new Option("Your own"));

    const mode = () => (document.documentElement.dataset.theme === "dark" ? "dark" : "light");
    const usedKernel = () => {
      const kernel = weights.map((field) => Number(field.value) || 0);
      return flip.checked ? kernel.reverse() : kernel;
    };

    function paint(canvas, side, values, largest, at, size, ends) {
      const context = canvas.getContext("2d"), zero = PAPER[mode()];
      canvas.width = canvas.height = side * CELL;
      values.forEach((value, index) => {
        const share = Math.min(1, Math.abs(value) / largest), end = value < 0 ? ends.minus : ends.plus;
        context.fillStyle = `rgb(${zero.map((from, channel) => Math.round(from + share * (end[channel] - from)))})`;
        context.fillRect((index % side) * CELL, Math.floor(index / side) * CELL, CELL, CELL);
      });
      context.lineWidth = 3;
      context.strokeStyle = mode() === "dark" ? "#7cc5d3" : "#0d7d92";
      context.strokeRect(at.column * CELL + 1.5, at.row * CELL + 1.5, size * CELL - 3, size * CELL - 3);
    }

    function draw() {
      const kernel = usedKernel(), output = crossCorrelate(image, kernel);
      const at = { row: Number(row.value), column: Number(column.value) };
      const largest = Math.max(1e-9, ...output.map(Math.abs));
      paint(canvases.input, SIDE, image, 255, at, WINDOW, { plus: INK[mode()] });
      paint(canvases.output, OUT, output, largest, at, 1, ENDS[mode()]);

      const products = kernel.map((weight, index) => {
        const pixel = image[(at.row + Math.floor(index / WINDOW)) * SIDE + at.column + (index % WINDOW)];
        return `${exact(pixel)} × ${weight < 0 ? `(${exact(weight)})` : exact(weight)}`;
      });
      const result = document.createElement("strong"), sum = output[at.row * OUT + at.column];
      result.textContent = exact(sum);
      result.className = sum < 0 ? "minus" : "plus";
      find("sum").replaceChildren(`Row ${at.row}, column ${at.column}: ${products.join(" + ")} = `, result);
      host.explorer = { kernel, output: [...output] };
    }

    function choosePreset() {
      const kernel = PRESETS[preset.value];
      if (kernel) weights.forEach((field, index) => { field.value = kernel[index]; });
      draw();
    }

    function follow(event, side, reach) {
      const box = event.currentTarget.getBoundingClientRect();
      const cell = (offset, length) => Math.max(0, Math.min(OUT - 1, Math.floor((offset / length) * side) - reach));
      row.value = cell(event.clientY - box.top, box.height);
      column.value = cell(event.clientX - box.left, box.width);
      draw();
    }

    for (const kind of ["pointermove", "pointerdown"]) {
      canvases.input.addEventListener(kind, (event) => follow(event, SIDE, 1));
      canvases.output.addEventListener(kind, (event) => follow(event, OUT, 0));
    }
    preset.addEventListener("change", choosePreset);
    flip.addEventListener("change", draw);
    for (const field of [row, column]) field.addEventListener("input", draw);
    for (const field of weights) field.addEventListener("input", () => { preset.value = "Your own"; draw(); });
    new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });

    choosePreset();
  }

  document.querySelectorAll(".book-explorer").forEach(start);
})();
