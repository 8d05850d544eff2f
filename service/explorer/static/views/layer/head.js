/**
 * The head of the layer view: which layer, what it does, what it costs, and the ways to its
 * neighbours.
 */

import { element } from "../../dom.js";
import { facts } from "./text.js";

/** @param {(index: number) => void} choose */
export function createHead(choose) {
  const place = element("p", { class: "layer-place soft small" });
  const name = element("h2", { class: "layer-name" });
  const kind = element("span", { class: "layer-kind small" });
  const previous = step("Previous layer", "←");
  const next = step("Next layer", "→");
  const terms = element("dl", { class: "layer-facts" });
  const root = element(
    "div",
    { class: "layer-head" },
    element("div", {}, place, element("div", { class: "layer-title" }, name, kind)),
    element("div", { class: "layer-steps" }, previous, next),
    terms,
  );
  let chosen = null;
  previous.addEventListener("click", () => choose(chosen - 1));
  next.addEventListener("click", () => choose(chosen + 1));

  return {
    element: root,

    /**
     * @param {object[]} layers As the API lists them.
     * @param {number} index
     */
    show(layers, index) {
      chosen = index;
      const layer = layers[index];
      place.textContent = `Layer ${layer.index} of 0–${layers.length - 1}`;
      name.textContent = layer.name;
      name.title = layer.name;
      kind.textContent = `${layer.kind.replaceAll("_", " ")} · ${layer.operator}`;
      point(previous, layers[index - 1], "Previous layer");
      point(next, layers[index + 1], "Next layer");
      terms.replaceChildren(...facts(layer).map(fact));
    },
  };
}

const step = (label, sign) =>
  element(
    "button",
    { type: "button", "aria-label": label },
    element("span", { "aria-hidden": "true" }, sign),
  );

function point(button, layer, label) {
  button.disabled = layer === undefined;
  button.title = layer ? `${label}: ${layer.name}` : "";
}

const fact = ({ term, text, title = "" }) =>
  element("div", { title }, element("dt", { class: "soft small" }, term), element("dd", {}, text));
