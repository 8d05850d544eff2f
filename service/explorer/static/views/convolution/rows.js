/** What each input channel gives: a row each, the strongest first. */

import { element } from "../../dom.js";
import { cssColour } from "../../palette.js";
import { around, cellFor, drawCells } from "./cells.js";
import { exact, rounded } from "./text.js";

const FIRST = 6;
const SMALL = 76;
const LARGEST_CELL = 12;

/** @param {{chooseChannel: (channel: number) => void}} on */
export function createRows(on) {
  const list = element("ol", { class: "convolution-rows" });
  const more = element("button", { type: "button", class: "quiet convolution-more" });
  const head = element("h3");
  const root = element("div", { class: "convolution-contributions" }, head, list, more);
  let all = false;
  let shown = null;
  const lines = [];

  more.addEventListener("click", () => {
    all = !all;
    draw(shown);
  });

  function draw(view) {
    shown = view;
    const { found } = view;
    root.hidden = found.rows.length < 2 || view.layer.kind === "merge";
    if (root.hidden) return;
    const sorted = found.rows.toSorted((one, other) => Math.abs(other.sum) - Math.abs(one.sum));
    const visible = all ? sorted : sorted.slice(0, FIRST);
    while (lines.length < visible.length) lines.push(line(on));
    const scales = {
      patch: view.inputs[0]?.scale,
      kernel: around(view.weights ?? [1], view.diverging),
      products: around(sorted[0].products, view.diverging),
      bar: around([sorted[0].sum], view.diverging),
    };
    visible.forEach((row, place) => lines[place].show(row, view, scales));
    if (list.children.length !== visible.length) {
      list.replaceChildren(...lines.slice(0, visible.length).map((each) => each.root));
    }
    head.textContent = headline(view);
    more.hidden = found.rows.length <= FIRST;
    more.textContent = all ? `Show the first ${FIRST}` : `Show all ${found.rows.length}`;
    more.setAttribute("aria-expanded", String(all));
  }

  return {
    root,
    draw,
    /** Back to the first few: a moving kernel repaints them at every step. */
    fold() {
      all = false;
    },
  };
}

function headline({ layer, found }) {
  const what = layer.kind === "dense" ? "inputs" : "input channels";
  return `What each of the ${found.rows.length} ${what} gives, the strongest first`;
}

function line(on) {
  const name = element("span", { class: "convolution-name small" });
  const small = ["patch", "kernel", "products"].map(() =>
    element("canvas", { "aria-hidden": "true" }),
  );
  const text = element("span", { class: "convolution-product number small" });
  const figures = element(
    "span",
    { class: "convolution-figures" },
    small[0],
    "×",
    small[1],
    "=",
    small[2],
  );
  const fill = element("span", { class: "convolution-fill" });
  const bar = element("span", { class: "convolution-bar", "aria-hidden": "true" }, fill);
  const sum = element("span", { class: "convolution-sum number small" });
  const button = element("button", { type: "button" }, name, figures, text, bar, sum);
  const root = element("li", {}, button);
  let channel = null;
  button.addEventListener("click", () => on.chooseChannel(channel));

  function show(row, view, scales) {
    channel = row.channel;
    const dense = view.layer.kind === "dense";
    name.textContent = `${dense ? "input" : "channel"} ${row.channel}`;
    const patch = view.found.taps.length > 0 && row.values.length > 1;
    figures.hidden = !patch;
    text.hidden = patch;
    if (patch) drawSmall(small, row, view.found.shape, scales);
    else
      text.textContent = row.weights
        ? `${rounded(row.values[0])} × ${rounded(row.weights[0])}`
        : "";
    const share = Math.abs(row.sum) / (scales.bar.high || 1);
    fill.style.width = `${share * 50}%`;
    fill.style.left = row.sum < 0 ? `${50 - share * 50}%` : "50%";
    fill.style.background = cssColour(
      row.sum < 0 ? scales.bar.low * 0.55 : scales.bar.high * 0.55,
      scales.bar,
    );
    sum.textContent = rounded(row.sum);
    sum.title = exact(row.sum);
    button.disabled = dense;
    button.setAttribute(
      "aria-pressed",
      String(!button.disabled && row.channel === view.row.channel),
    );
  }

  return { root, show };
}

function drawSmall(small, row, shape, scales) {
  const cell = Math.max(cellFor(shape, SMALL, LARGEST_CELL), 3);
  drawCells(small[0], { shape, values: row.values, inside: row.inside, scale: scales.patch, cell });
  drawCells(small[1], { shape, values: row.weights, inside: null, scale: scales.kernel, cell });
  drawCells(small[2], {
    shape,
    values: row.products,
    inside: row.inside,
    scale: scales.products,
    cell,
  });
}
