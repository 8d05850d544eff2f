/** The two ends of a network as cards: what it was given, and what it answered. */

import * as api from "../../api.js";
import { nameOf, share } from "../../classes.js";
import { element } from "../../dom.js";
import { Maps } from "../../maps.js";

const SHOWN = 3;

/** @returns {{card: HTMLElement, figure: HTMLElement, canvas: HTMLCanvasElement}} */
export function inputCard() {
  const canvas = element("canvas", { "aria-hidden": "true" });
  const figure = element("div", { class: "strip-figure" }, canvas);
  const card = element(
    "div",
    { class: "strip-card end", "aria-hidden": "true" },
    figure,
    element("span", { class: "strip-title" }, "input"),
    element("span", { class: "strip-line" }),
  );
  return { card, figure, canvas };
}

/**
 * What fetches the network's own view of an input: a bitmap, or maps without the axes of size 1.
 */
export async function networkInput(model, input, signal) {
  const view = await api.networkView(model, input, signal);
  if (view instanceof Blob) return createImageBitmap(view);
  const shape = view.shape.filter((size) => size !== 1);
  return new Maps({ shape, data: view.data }, shape.length > 3 ? 0 : null);
}

/** @returns {HTMLElement} */
export function outputCard() {
  return element("div", { class: "strip-card end", "aria-hidden": "true" });
}

/**
 * @param {HTMLElement} card
 * @param {import("../../state.js").Loadable<any>} prediction
 */
export function showAnswer(card, { status, value }) {
  const answers = value?.predictions?.slice(0, SHOWN) ?? [];
  card.classList.toggle("stale", status === "loading");
  card.replaceChildren(
    element("span", { class: "strip-title" }, "output"),
    ...answers.map((found) => {
      const bar = element("span", { class: "strip-bar" });
      bar.style.width = `${Math.max(share(found, answers), 0.01) * 100}%`;
      const name = nameOf(found);
      return element(
        "span",
        { class: "strip-answer", title: name },
        element("span", {}, name),
        bar,
      );
    }),
  );
}
