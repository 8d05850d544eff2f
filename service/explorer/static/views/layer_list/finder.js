/** A field that finds layers by their index, name, kind or operator. */

import { matches } from "./card.js";
import { element } from "../../dom.js";

/**
 * @param {object[]} layers As the API lists them.
 * @param {(index: number) => void} go Called with the layer to go to.
 * @param {(found: Set<number> | null) => void} mark Called with what is found; null while nothing
 *   is looked for.
 */
export function createFinder(layers, go, mark) {
  const field = element("input", {
    type: "search",
    placeholder: "index, name, kind or operator",
    spellcheck: false,
    autocomplete: "off",
  });
  const count = element("output", { class: "soft small", "aria-live": "polite" });
  let found = [];
  let place = -1;

  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    found = layers.map(({ index }) => index).filter((index) => matches(layers[index], words));
    place = -1;
    mark(words.length === 0 ? null : new Set(found));
    count.textContent =
      words.length === 0 ? "" : `${found.length} of ${layers.length}; Enter goes to the next`;
    if (words.length > 0 && found.length === 0) count.textContent = `none of ${layers.length}`;
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || found.length === 0) return;
    event.preventDefault();
    place = (place + (event.shiftKey ? found.length - 1 + (place < 0 ? 1 : 0) : 1)) % found.length;
    go(found[place]);
    field.focus({ preventScroll: true });
  });
  return { node: element("label", { class: "field strip-find" }, "Find a layer ", field, count) };
}
