/**
 * Draws a map of any rank into a box of a canvas, and knows which unit lies where in it. A map
 * without axes is one cell, a signal is a line, a picture is pixels, and of a volume [depth,
 * height, width] one slice is shown.
 */

import { colour } from "./dom.js";
import { NOT_FINITE, paint, pixels } from "./palette.js";

/** @typedef {{left: number, top: number, width: number, height: number}} Box In CSS pixels. */
/** @typedef {[number, number]} Interval Half-open. */
/** @typedef {import("./npy.js").Values} Values */

/**
 * How wide a map is for one of its height: what its box should keep.
 * @param {number[]} size
 */
export function aspect(size) {
  if (size.length === 0) return 1;
  if (size.length === 1) return 3;
  const [height, width] = size.slice(-2);
  return Math.min(Math.max(width / height, 0.2), 5);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Values} values C order.
 * @param {number[]} size Of the map's axes.
 * @param {Box} box
 * @param {import("./palette.js").Scale} scale
 * @param {{slice?: number}} options Which slice of a volume.
 */
export function drawMap(context, values, size, box, scale, { slice = 0 } = {}) {
  if (size.length === 1) {
    drawLine(context, values, box, scale);
    return;
  }
  const [height, width] = size.length === 0 ? [1, 1] : size.slice(-2);
  const start = size.length > 2 ? slice * height * width : 0;
  const plane = start === 0 ? values : values.subarray(start, start + height * width);
  paint(context, pixels(plane, width, height, scale), box.left, box.top, box.width, box.height);
}

/**
 * A signal as a line, on its zero line.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./npy.js").Values} values
 * @param {Box} box
 * @param {import("./palette.js").Scale} scale
 */
function drawLine(context, values, box, { low, high }) {
  const bottom = Math.min(low, 0);
  const span = Math.max(high, 0) - bottom || 1;
  /** @param {number} value */
  const y = (value) => box.top + 2 + (box.height - 4) * (1 - (value - bottom) / span);
  /** @param {number} index */
  const x = (index) => box.left + ((index + 0.5) * box.width) / values.length;
  context.lineWidth = 1;
  context.strokeStyle = colour("--line");
  context.beginPath();
  context.moveTo(box.left, y(0));
  context.lineTo(box.left + box.width, y(0));
  context.stroke();
  context.lineWidth = 1.5;
  context.lineJoin = "round";
  context.strokeStyle = colour("--accent");
  context.beginPath();
  let drawn = false;
  for (let index = 0; index < values.length; index += 1) {
    const finite = Number.isFinite(values[index]);
    if (finite) context[drawn ? "lineTo" : "moveTo"](x(index), y(values[index]));
    if (finite && !drawn) context.lineTo(x(index) + 0.01, y(values[index]));
    drawn = finite;
  }
  context.stroke();
  context.fillStyle = NOT_FINITE;
  for (let index = 0; index < values.length; index += 1) {
    if (!Number.isFinite(values[index])) context.fillRect(x(index) - 1, box.top, 2, box.height);
  }
}

/**
 * The unit at a point of the box; null outside.
 * @param {{x: number, y: number}} point
 * @param {number[]} size
 * @param {Box} box
 * @returns {number[] | null}
 */
export function unitAt({ x, y }, size, box, { slice = 0 } = {}) {
  const [across, down] = [(x - box.left) / box.width, (y - box.top) / box.height];
  if (across < 0 || across >= 1 || down < 0 || down >= 1) return null;
  if (size.length === 0) return [];
  const column = Math.floor(across * size.at(-1));
  if (size.length === 1) return [column];
  const row = Math.floor(down * size.at(-2));
  return size.length === 2 ? [row, column] : [slice, row, column];
}

/**
 * Intervals on a map's axes as a rectangle of the box; they may reach beyond it. Null if a volume's
 * slice is not among them.
 * @param {Interval[]} intervals
 * @param {number[]} size
 * @param {Box} box
 * @returns {Box | null}
 */
export function rectangle(intervals, size, box, { slice = 0 } = {}) {
  if (size.length === 0) return { ...box };
  const inner = intervals.slice(-2);
  if (size.length > 2 && !(intervals[0][0] <= slice && slice < intervals[0][1])) return null;
  const [left, right] = inner.at(-1).map((index) => box.left + (index * box.width) / size.at(-1));
  if (size.length === 1) return { left, top: box.top, width: right - left, height: box.height };
  const [top, bottom] = inner[0].map((index) => box.top + (index * box.height) / size.at(-2));
  return { left, top, width: right - left, height: bottom - top };
}
