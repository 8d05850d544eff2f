/**
 * A volume as one of its slices, and beside it as seen from above and from the side, the brightest
 * in front.
 */

import { element } from "../../dom.js";
import { Plane } from "./plane.js";
import { section } from "./shown.js";

const WIDE = 0.58;

/**
 * The same methods as a plane: `show`, `mark`, `pixelAt`, `describe`; pixels are [slice, row,
 * column].
 */
export class VolumeViews {
  #front;
  #above = new Plane({ label: "The volume from above: slices down, columns across" });
  #side = new Plane({ label: "The volume from the side: rows down, slices across" });
  #slider = element("input", {
    type: "range",
    min: 0,
    step: 1,
    "aria-label": "Slice",
    oninput: () => this.#turn(),
  });
  #sliceLabel = element("output", { class: "number small" });
  #follow;
  root;
  /** @type {import("../../maps.js").Maps} */
  #maps;
  /** @type {import("./plane.js").Mark | null} */
  #mark = null;
  #slice = 0;
  #held = false;
  #width = 0;
  target;

  constructor({ label }) {
    this.#front = new Plane({ label, focusable: true });
    const pressed = {
      type: "button",
      class: "quiet small",
      "aria-pressed": "true",
      onclick: () => this.#release(),
    };
    this.#follow = element("button", pressed, "Follow the unit");
    this.root = element(
      "div",
      { class: "picture-volume" },
      figure(
        this.#front,
        "One slice, from the front",
        element("div", { class: "picture-slices" }, this.#slider, this.#sliceLabel, this.#follow),
      ),
      element(
        "div",
        { class: "picture-projections" },
        figure(this.#above, "From above"),
        figure(this.#side, "From the side"),
      ),
    );
    this.#front.target.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.#hold(this.#slice + Math.sign(event.deltaY));
      },
      { passive: false },
    );
    this.#front.target.addEventListener("keydown", (event) => {
      const step = { PageUp: 1, PageDown: -1 }[event.key];
      if (step) {
        event.preventDefault();
        this.#hold(this.#slice + step);
      }
    });
    this.target = this.#front.target;
  }

  /** @param {string} text */
  describe(text) {
    this.#front.describe(text);
  }

  #turn() {
    return this.#hold(this.#slider.valueAsNumber);
  }

  #hold(wanted) {
    this.#held = true;
    this.#follow.setAttribute("aria-pressed", "false");
    this.#turnTo(wanted);
  }

  #release() {
    this.#held = false;
    this.#follow.setAttribute("aria-pressed", "true");
    this.#paint();
  }

  #turnTo(wanted) {
    const next = Math.min(Math.max(wanted, 0), this.#maps.size[0] - 1);
    if (next !== this.#slice) {
      this.#slice = next;
      this.#showSlice();
    }
    this.#paint();
  }

  #showSlice() {
    this.#slider.value = String(this.#slice);
    this.#sliceLabel.textContent = `slice ${this.#slice} of 0–${this.#maps.size[0] - 1}`;
    const image = section(this.#maps, 0, 0, this.#slice, this.#maps.range(0));
    this.#front.show(
      { image, size: this.#maps.size.slice(1), frame: null },
      Math.round(this.#width * WIDE),
    );
  }

  #paint() {
    if (!this.#held && this.#mark?.solid) {
      const [start, stop] = this.#mark.solid[0];
      const middle = Math.floor((start + stop - 1) / 2);
      if (middle !== this.#slice) {
        this.#slice = middle;
        this.#showSlice();
      }
    }
    const pixel = this.#mark?.pixel ?? null;
    const pick = (intervals, axes) => intervals && axes.map((axis) => intervals[axis]);
    const along = (axes, more) =>
      this.#mark && {
        solid: pick(this.#mark.solid, axes),
        whole: pick(this.#mark.whole, axes),
        pixel: pick(pixel, axes),
        ...more,
      };
    const within =
      this.#mark?.solid &&
      this.#mark.solid[0][0] <= this.#slice &&
      this.#slice < this.#mark.solid[0][1];
    this.#front.mark(along([1, 2], { ghost: Boolean(this.#mark?.whole) && !within }));
    this.#above.mark(along([0, 2], { line: [0, this.#slice + 0.5] }));
    this.#side.mark(along([1, 0], { line: [1, this.#slice + 0.5] }));
  }

  /** @param {import("../../maps.js").Maps} shown */
  show(shown, across) {
    const other = this.#maps?.size.join() !== shown.size.join();
    this.#maps = shown;
    this.#width = across;
    this.#slider.max = String(this.#maps.size[0] - 1);
    this.#slice = other ? Math.floor(this.#maps.size[0] / 2) : this.#slice;
    this.#showSlice();
    const rest = Math.floor(this.#width * (1 - WIDE)) - 8;
    for (const [plane, axis, turned] of /** @type {[Plane, number, boolean][]} */ ([
      [this.#above, 1, false],
      [this.#side, 2, true],
    ])) {
      const image = section(this.#maps, 0, axis, null, this.#maps.range(0), turned);
      plane.show({ image, size: [image.height, image.width], frame: null }, rest);
    }
    this.#paint();
  }

  mark(marked) {
    this.#mark = marked;
    if (this.#maps) this.#paint();
  }

  pixelAt(event) {
    const pixel = this.#front.pixelAt(event);
    return pixel && [this.#slice, ...pixel];
  }
}

const figure = (plane, caption, ...more) =>
  element(
    "figure",
    {},
    plane.root,
    element("figcaption", { class: "soft small" }, caption),
    ...more,
  );
