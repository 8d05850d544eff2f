/** A picture on a canvas with a margin for padding, and on a second canvas what is marked in it. */

import { colour, element, sharpen } from "../../dom.js";
import { crosshair, dim, edge, grown, hatch, outline } from "../../overlay.js";

/** @typedef {import("../../fields.js").Interval} Interval */
/**
 * @typedef {object} Content
 * @property {import("./shown.js").Picture} image
 * @property {number[]} size Height and width in the pixels that marks count in.
 * @property {Interval[] | null} frame Where the network's input lies, if that is not the whole
 *   picture.
 */
/**
 * @typedef {object} Mark In the content's pixels.
 * @property {Interval[] | null} solid
 * @property {Interval[] | null} whole
 * @property {boolean} [ghost] Outlined thinly only, for what is seen lies in front of it or behind
 *   it.
 * @property {number[] | null} [pixel]
 * @property {[number, number] | null} [line] An axis, and where a line crosses it.
 */

/** @type {Mark} */
const UNMARKED = { solid: null, whole: null };
const MARGIN = 0.1;
const TALLEST = 1.05;
const STEPS = 4;

export class Plane {
  #base;
  target;
  root;
  /** @type {Content} */
  #content;
  /** @type {Mark | null} */
  #mark = null;
  #width = 0;
  /** @type {{scale: number, left: number, top: number, height: number}} */
  #place;

  /**
   * @param {{label: string, focusable?: boolean}} options
   */
  constructor({ label, focusable = false }) {
    this.#base = element("canvas", { role: "img", "aria-label": label });
    const pointable = { role: "application", tabIndex: 0, "aria-label": label };
    this.target = element("canvas", focusable ? pointable : { "aria-hidden": "true" });
    this.root = element(
      "div",
      { class: "layers-of-canvas picture-plane" },
      this.#base,
      this.target,
    );
  }

  #layOut() {
    const [rows, columns] = this.#content.size.map((length, axis) =>
      bounds(length, this.#content.frame?.[axis]),
    );
    const margin = Math.round(this.#width * MARGIN);
    const [tall, wide] = [rows[1] - rows[0], columns[1] - columns[0]];
    const scale = Math.min(
      (this.#width - 2 * margin) / wide,
      (this.#width * TALLEST - 2 * margin) / tall,
    );
    const left = (this.#width - wide * scale) / 2 - columns[0] * scale;
    this.#place = {
      scale,
      left,
      top: margin - rows[0] * scale,
      height: Math.round(tall * scale + 2 * margin),
    };
    this.target.dataset.place = JSON.stringify([left, this.#place.top, scale]);
  }

  /**
   * Intervals of rows and columns as a box of the canvas.
   * @param {number[][]} intervals
   */
  #box([rows, columns]) {
    const [top, left] = [
      this.#place.top + rows[0] * this.#place.scale,
      this.#place.left + columns[0] * this.#place.scale,
    ];
    return {
      left,
      top,
      width: (columns[1] - columns[0]) * this.#place.scale,
      height: (rows[1] - rows[0]) * this.#place.scale,
    };
  }

  #all() {
    return this.#box(this.#content.size.map((length) => [0, length]));
  }

  #paintBase() {
    const context = sharpen(this.#base, this.#width, this.#place.height);
    const area = this.#all();
    context.imageSmoothingEnabled =
      this.#place.scale * (this.#content.size[1] / this.#content.image.width) < 2;
    context.imageSmoothingQuality = "high";
    context.drawImage(
      /** @type {any} */ (this.#content.image),
      area.left,
      area.top,
      area.width,
      area.height,
    );
    context.strokeStyle = colour("--line");
    const rim = grown(area, 0.5);
    context.strokeRect(rim.left, rim.top, rim.width, rim.height);
    if (!this.#content.frame) return;
    hatch(context, area, this.#box(this.#content.frame));
  }

  #paintOver() {
    const context = sharpen(this.target, this.#width, this.#place.height);
    const area = this.#all();
    const { solid, whole, ghost, pixel, line } = this.#mark ?? UNMARKED;
    if (whole && !covers(solid, this.#content.size))
      dim(context, area, solid && !ghost ? this.#box(solid) : null);
    if (this.#content.frame) edge(context, this.#box(this.#content.frame));
    if (whole) this.#outlineSeen(context, solid, whole, ghost);
    if (line) this.#crossing(context, area, line);
    if (pixel) crosshair(context, area, this.#box(pixel.map((index) => [index, index + 1])));
  }

  /** What is seen in full lines, what is padding or lies in another slice dashed. */
  #outlineSeen(context, solid, whole, ghost) {
    const dashed = ghost ? (solid ?? whole) : whole;
    if (ghost || reachesBeyond(solid, whole)) outline(context, this.#box(dashed), { dashed: true });
    if (solid && !ghost) outline(context, this.#box(solid));
  }

  /** A line across the picture. */
  #crossing(context, area, [axis, at]) {
    const { left, top } = this.#box([
      [at, at],
      [at, at],
    ]);
    context.strokeStyle = colour("--accent");
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(axis === 1 ? left : area.left, axis === 1 ? area.top : top);
    context.lineTo(
      axis === 1 ? left : area.left + area.width,
      axis === 1 ? area.top + area.height : top,
    );
    context.stroke();
  }

  /** @param {Content} shown @param {number} across In CSS pixels. */
  show(shown, across) {
    this.#content = shown;
    this.#width = across;
    this.#layOut();
    this.#paintBase();
    this.#paintOver();
  }

  /** @param {Mark | null} marked */
  mark(marked) {
    this.#mark = marked;
    if (this.#content) this.#paintOver();
  }

  /** @param {string} text */
  describe(text) {
    return this.target.setAttribute("aria-label", text);
  }

  /** The pixel [row, column] under a pointer; null beside the picture. */
  pixelAt(event) {
    if (!this.#content) return null;
    const { left, top } = this.target.getBoundingClientRect();
    const [down, across] = [
      event.clientY - top - this.#place.top,
      event.clientX - left - this.#place.left,
    ];
    const pixel = [down, across].map((each) => Math.floor(each / this.#place.scale));
    return pixel.every((index, axis) => index >= 0 && index < this.#content.size[axis])
      ? pixel
      : null;
  }
}

/**
 * What to show of an axis: the picture, and of a frame that is larger as much as the margin does
 * not hold, in steps, so that the picture does not move with every stroke that is drawn.
 */
function bounds(length, frame) {
  const extra = [-(frame?.[0] ?? 0), (frame?.[1] ?? 0) - length].map((beyond) => {
    const part = beyond / length;
    return part > MARGIN ? Math.min(Math.ceil(part * STEPS) / STEPS, 1) * length : 0;
  });
  return [-extra[0], length + extra[1]];
}

const covers = (intervals, size) =>
  intervals?.every(([start, stop], axis) => start <= 0 && stop >= size[axis]);

const reachesBeyond = (solid, whole) =>
  solid === null ||
  whole.some(([start, stop], axis) => start < solid[axis][0] || stop > solid[axis][1]);
