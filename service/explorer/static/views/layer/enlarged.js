/** One map, large enough to point at single units. */

import { colour, element, sharpen } from "../../dom.js";
import { aspect, drawMap, rectangle, unitAt } from "../../figure.js";
import { dim, grown, outline } from "../../overlay.js";
import { eachFrame } from "../../store.js";
import { drawNumbers } from "./tiles.js";

const SIDE = 336;
const UNMARKED = { unit: null, chosen: null, lit: null };

/**
 * @typedef {object} Enlarged What is shown of which map.
 * @property {ArrayLike<number>} values
 * @property {number[]} size
 * @property {number} slice
 * @property {import("../../palette.js").Scale} scale
 */

/**
 * @param {object} handlers
 * @param {(unit: number[] | null) => void} handlers.onPoint
 * @param {(unit: number[]) => void} handlers.onChoose
 * @param {(step: number) => void} handlers.onSlice
 * @param {(event: KeyboardEvent) => void} handlers.onKey
 */
export function createEnlarged({ onPoint, onChoose, onSlice, onKey }) {
  const base = element("canvas");
  const over = element("canvas");
  const classes = "layers-of-canvas layer-enlarged";
  const root = element("div", { class: classes, role: "application", tabIndex: 0 }, base, over);
  /** @type {Enlarged | null} */
  let shown = null;
  let box = { left: 0, top: 0, width: SIDE, height: SIDE };
  let marks = UNMARKED;

  /** As large as there is room for, in whole pixels for each unit where it is enlarged. */
  function arrange(size) {
    const room = Math.min(SIDE, root.parentElement?.clientWidth || SIDE);
    const wide = aspect(size);
    let [width, height] = wide >= 1 ? [room, room / wide] : [room * wide, room];
    if (size.length === 1) height = 170;
    if (size.length > 1) [width, height] = [whole(width, size.at(-1)), whole(height, size.at(-2))];
    box = { left: 0, top: 0, width, height };
  }

  const whole = (length, units) =>
    units < length ? Math.floor(length / units) * units : Math.round(length);

  const paint = () => {
    if (shown) arrange(shown.size);
    const context = sharpen(base, box.width, box.height);
    context.fillStyle = colour("--sunk");
    context.fillRect(0, 0, box.width, box.height);
    if (shown) {
      drawMap(context, shown.values, shown.size, box, shown.scale, shown);
      const plane = shown.size.slice(-2).reduce((product, length) => product * length, 1);
      const start = shown.size.length > 2 ? shown.slice * plane : 0;
      drawNumbers(
        context,
        shown.values.subarray(start, start + plane),
        shown.size,
        box,
        shown.scale,
      );
    }
    paintOver();
  };

  function paintOver() {
    const context = sharpen(over, box.width, box.height);
    if (!shown) return;
    const { unit, chosen, lit } = marks;
    if (lit) dim(context, box, lit === "none" ? null : rectangle(lit, shown.size, box, shown));
    if (chosen && unit && String(chosen) !== String(unit)) cell(context, chosen, false);
    if (unit) cell(context, unit, true);
  }

  function cell(context, unit, red) {
    const mark = rectangle(
      unit.map((index) => [index, index + 1]),
      shown.size,
      box,
      shown,
    );
    if (!mark) return;
    if (shown.size.length === 1) {
      context.fillStyle = colour(red ? "--red" : "--soft");
      context.fillRect(mark.left + mark.width / 2 - 1, 0, 2, box.height);
    } else if (red) {
      outline(context, inside(mark));
    } else {
      const { left, top, width, height } = grown(inside(mark), -1);
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
  function inside(mark) {
    const { left, top, width, height } = grown(mark, Math.max(0, (6 - mark.width) / 2));
    const [from, to] = [Math.max(left, 3), Math.min(left + width, box.width - 3)];
    const [above, below] = [Math.max(top, 3), Math.min(top + height, box.height - 3)];
    return { left: from, top: above, width: to - from, height: below - above };
  }

  const under = ({ clientX, clientY }) => {
    if (!shown) return null;
    const { left, top } = root.getBoundingClientRect();
    return unitAt({ x: clientX - left, y: clientY - top }, shown.size, box, shown);
  };

  root.addEventListener("pointermove", (event) => onPoint(under(event)));
  root.addEventListener("pointerleave", () => onPoint(null));
  root.addEventListener("click", (event) => {
    const unit = under(event);
    if (unit) onChoose(unit);
  });
  root.addEventListener("keydown", onKey);
  root.addEventListener(
    "wheel",
    (event) => {
      if (!shown || shown.size.length < 3) return;
      event.preventDefault();
      onSlice(Math.sign(event.deltaY));
    },
    { passive: false },
  );
  const repaint = eachFrame(paint);
  const repaintOver = eachFrame(paintOver);

  return {
    element: root,
    repaint,

    /** @param {Enlarged | null} now Null while it is fetched; of which size, `size` says. */
    show(now, size) {
      // The marks are those of a map of another shape, until `mark` says them anew.
      if (String(shown?.size) !== String(size)) marks = UNMARKED;
      shown = now;
      if (!now) arrange(size);
      paint();
    },

    /** `unit` is the one whose field is shown, `chosen` the one that stays when the pointer goes. */
    mark(now) {
      marks = now;
      repaintOver();
    },
  };
}

/**
 * The position that a key leads to; null if it is no such key. Arrows move within the map or the slice, with Alt (up
 * and down) or by brackets from slice to slice; Home and End go to the ends of the row.
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
