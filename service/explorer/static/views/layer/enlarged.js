/** One map, large enough to point at single units. */

import { colour, element, sharpen } from "../../dom.js";
import { aspect, drawMap, rectangle, unitAt } from "../../figure.js";
import { dim, grown, outline } from "../../overlay.js";
import { eachFrame } from "../../store.js";
import { drawNumbers } from "./tiles.js";

const SIDE = 336;
const UNMARKED = { unit: null, chosen: null, lit: null };

/**
 * @typedef {object} EnlargedMap What is shown of which map.
 * @property {import("../../npy.js").Values} values
 * @property {number[]} size
 * @property {number} slice
 * @property {import("../../palette.js").Scale} scale
 */

export class EnlargedView {
  #onPoint;
  #onChoose;
  #onSlice;
  #base = element("canvas");
  #over = element("canvas");
  element;
  /** @type {EnlargedMap | null} */
  #shown = null;
  #box = { left: 0, top: 0, width: SIDE, height: SIDE };
  #marks = UNMARKED;
  repaint = eachFrame(() => this.#paint());
  #repaintOver = eachFrame(() => this.#paintOver());

  /**
   * @param {object} handlers
   * @param {(unit: number[] | null) => void} handlers.onPoint
   * @param {(unit: number[]) => void} handlers.onChoose
   * @param {(step: number) => void} handlers.onSlice
   * @param {(event: KeyboardEvent) => void} handlers.onKey
   */
  constructor({ onPoint, onChoose, onSlice, onKey }) {
    this.#onPoint = onPoint;
    this.#onChoose = onChoose;
    this.#onSlice = onSlice;
    const classes = "layers-of-canvas layer-enlarged";
    this.element = element(
      "div",
      { class: classes, role: "application", tabIndex: 0 },
      this.#base,
      this.#over,
    );
    this.element.addEventListener("pointermove", (event) => this.#onPoint(this.#under(event)));
    this.element.addEventListener("pointerleave", () => this.#onPoint(null));
    this.element.addEventListener("click", (event) => {
      const unit = this.#under(event);
      if (unit) this.#onChoose(unit);
    });
    this.element.addEventListener("keydown", onKey);
    this.element.addEventListener(
      "wheel",
      (event) => {
        if (!this.#shown || this.#shown.size.length < 3) return;
        event.preventDefault();
        this.#onSlice(Math.sign(event.deltaY));
      },
      { passive: false },
    );
  }

  /** As large as there is room for, in whole pixels for each unit where it is enlarged. */
  #arrange(size) {
    const room = Math.min(SIDE, this.element.parentElement?.clientWidth || SIDE);
    const wide = aspect(size);
    let [width, height] = wide >= 1 ? [room, room / wide] : [room * wide, room];
    if (size.length === 1) height = 170;
    if (size.length > 1) [width, height] = [whole(width, size.at(-1)), whole(height, size.at(-2))];
    this.#box = { left: 0, top: 0, width, height };
  }

  #paint() {
    if (this.#shown) this.#arrange(this.#shown.size);
    const context = sharpen(this.#base, this.#box.width, this.#box.height);
    context.fillStyle = colour("--sunk");
    context.fillRect(0, 0, this.#box.width, this.#box.height);
    if (this.#shown) {
      drawMap(
        context,
        this.#shown.values,
        this.#shown.size,
        this.#box,
        this.#shown.scale,
        this.#shown,
      );
      const plane = this.#shown.size.slice(-2).reduce((product, length) => product * length, 1);
      const start = this.#shown.size.length > 2 ? this.#shown.slice * plane : 0;
      drawNumbers(
        context,
        this.#shown.values.subarray(start, start + plane),
        this.#shown.size,
        this.#box,
        this.#shown.scale,
      );
    }
    this.#paintOver();
  }

  #paintOver() {
    const context = sharpen(this.#over, this.#box.width, this.#box.height);
    if (!this.#shown) return;
    const { unit, chosen, lit } = this.#marks;
    if (lit)
      dim(
        context,
        this.#box,
        lit === "none" ? null : rectangle(lit, this.#shown.size, this.#box, this.#shown),
      );
    if (chosen && unit && String(chosen) !== String(unit)) this.#cell(context, chosen, false);
    if (unit) this.#cell(context, unit, true);
  }

  #cell(context, unit, red) {
    if (!this.#shown) return;
    const mark = rectangle(
      unit.map((index) => [index, index + 1]),
      this.#shown.size,
      this.#box,
      this.#shown,
    );
    if (!mark) return;
    if (this.#shown.size.length === 1) {
      context.fillStyle = colour(red ? "--red" : "--soft");
      context.fillRect(mark.left + mark.width / 2 - 1, 0, 2, this.#box.height);
    } else if (red) {
      outline(context, this.#inside(mark));
    } else {
      const { left, top, width, height } = grown(this.#inside(mark), -1);
      for (const [lineWidth, strokeStyle] of [
        [3, "#fff"],
        [1, "#000"],
      ]) {
        Object.assign(context, { lineWidth, strokeStyle });
        context.strokeRect(left, top, width, height);
      }
    }
  }

  /** Wide enough to be seen, and not beyond the edge, where the line would be cut off. */
  #inside(mark) {
    const { left, top, width, height } = grown(mark, Math.max(0, (6 - mark.width) / 2));
    const [from, to] = [Math.max(left, 3), Math.min(left + width, this.#box.width - 3)];
    const [above, below] = [Math.max(top, 3), Math.min(top + height, this.#box.height - 3)];
    return { left: from, top: above, width: to - from, height: below - above };
  }

  #under({ clientX, clientY }) {
    if (!this.#shown) return null;
    const { left, top } = this.element.getBoundingClientRect();
    return unitAt(
      { x: clientX - left, y: clientY - top },
      this.#shown.size,
      this.#box,
      this.#shown,
    );
  }

  /** @param {EnlargedMap | null} now Null while it is fetched; of which size, `size` says. */
  show(now, size) {
    // The marks are those of a map of another shape, until `mark` says them anew.
    if (String(this.#shown?.size) !== String(size)) this.#marks = UNMARKED;
    this.#shown = now;
    if (!now) this.#arrange(size);
    this.#paint();
  }

  /** `unit` is the one whose field is shown, `chosen` the one that stays when the pointer goes. */
  mark(now) {
    this.#marks = now;
    this.#repaintOver();
  }
}

const whole = (length, units) =>
  units < length ? Math.floor(length / units) * units : Math.round(length);

/**
 * The position that a key leads to; null if it is no such key. Arrows move within the map or the
 * slice, with Alt (up and down) or by brackets from slice to slice; Home and End go to the ends of
 * the row.
 * @param {KeyboardEvent} event
 * @param {number[]} unit
 * @param {number[]} size
 */
export function movedBy({ key, altKey, ctrlKey, metaKey }, unit, size) {
  if (unit.length === 0 || ctrlKey || metaKey) return null;
  const [column, row, slice] = [unit.length - 1, unit.length - 2, unit.length - 3];
  const [back, on] = [
    [slice, -1],
    [slice, 1],
  ];
  const steps = altKey
    ? { ArrowLeft: back, ArrowRight: on, ArrowUp: back, ArrowDown: on }
    : {
        ArrowLeft: [column, -1],
        ArrowRight: [column, 1],
        ArrowUp: [row, -1],
        ArrowDown: [row, 1],
        "[": back,
        "]": on,
      };
  if (key === "Home") return unit.with(column, 0);
  if (key === "End") return unit.with(column, size[column] - 1);
  const [axis, step] = steps[key] ?? [-1, 0];
  if (axis < 0) return null;
  return unit.with(axis, Math.min(Math.max(unit[axis] + step, 0), size[axis] - 1));
}
