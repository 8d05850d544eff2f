/** Which slice of a volume's maps is shown. */

import { element } from "../../dom.js";

export class SliceSlider {
  #input = element("input", { type: "range", min: 0, step: 1, id: "layer-slice" });
  #label = element("span", { class: "number small" });
  element = element(
    "div",
    { class: "layer-slices" },
    element("label", { for: "layer-slice", class: "small soft" }, "Slice"),
    this.#input,
    this.#label,
  );

  /** @param {(slice: number) => void} onChange */
  constructor(onChange) {
    this.#input.addEventListener("input", () => onChange(Number(this.#input.value)));
  }

  /**
   * @param {number[]} size Of the maps; hidden unless they have several slices.
   * @param {number} slice
   */
  show(size, slice) {
    this.element.hidden = size.length < 3 || size[0] < 2;
    if (this.element.hidden) return;
    this.#input.max = String(size[0] - 1);
    this.#input.value = String(slice);
    this.#label.textContent = `${slice} of 0–${size[0] - 1}`;
  }
}
