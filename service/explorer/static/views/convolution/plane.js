/**
 * One map on a canvas: its padding around it, a window or a unit outlined, what is not computed yet
 * left blank.
 */

import { colour, sharpen } from "../../dom.js";
import { aspect, drawMap, rectangle, unitAt } from "../../figure.js";
import { paint, pixels } from "../../palette.js";
import { hatch } from "./cells.js";

const LEAST_OUTLINE = 7;
const EDGE = 4;

/**
 * @param {HTMLCanvasElement} canvas
 * @param {object} drawing
 * @param {import("../../npy.js").Values} drawing.values
 * @param {number[]} drawing.size
 * @param {import("../../palette.js").Scale} drawing.scale
 * @param {number} drawing.side How long the longer side is, in CSS pixels.
 * @param {[number, number][]} drawing.window What to outline.
 * @param {number[]} [drawing.pads] Before each axis, then after each.
 * @param {import("./arithmetic.js").Tap[][]} [drawing.taps] Drawn one by one where the window has
 *   holes.
 * @param {boolean} [drawing.partly] Whether some values are still missing (NaN).
 * @returns {{box: import("../../figure.js").Box, outline: import("../../figure.js").Box | null,
 *   slice: number}}
 */
export function drawPlane(
  canvas,
  { values, size, scale, side, window, pads = [], taps = [], partly = false },
) {
  const slice = size.length > 2 ? middle(window[0], size[0]) : 0;
  const { box, width, height } = layOut(size, pads, side);
  const context = sharpen(canvas, width, height);
  if (
    box.left > EDGE ||
    box.top > EDGE ||
    width - box.width > 2 * EDGE ||
    height - box.height > 2 * EDGE
  ) {
    hatched(context, { left: EDGE, top: EDGE, width: width - 2 * EDGE, height: height - 2 * EDGE });
    context.fillStyle = colour("--panel");
    context.fillRect(box.left, box.top, box.width, box.height);
  }
  if (partly && size.length > 1) drawSome(context, values, size, box, scale, slice);
  else drawMap(context, values, size, box, scale, { slice });
  context.strokeStyle = colour("--line");
  context.lineWidth = 1;
  context.strokeRect(box.left - 0.5, box.top - 0.5, box.width + 1, box.height + 1);
  const outline = rectangle(window, size, box, { slice });
  if (outline) outlined(context, holes(taps, size, box, slice), outline);
  return { box, outline, slice };
}

const middle = ([start, stop], length) =>
  Math.min(Math.max(Math.floor((start + stop - 1) / 2), 0), length - 1);

/** Where the map lies in the canvas, with room for its padding. */
function layOut(size, pads, side) {
  const rank = size.length;
  const [before, after] = [pads.slice(0, rank).slice(-2), pads.slice(rank).slice(-2)];
  const pad = (from, axis) => Math.max(from.at(axis) ?? 0, 0);
  if (rank < 2) {
    const [width, height] = [side, rank === 0 ? side : Math.round(side / 2.4)];
    const unit = (width - 2 * EDGE) / ((size[0] ?? 1) + pad(before, -1) + pad(after, -1));
    const left = EDGE + pad(before, -1) * unit;
    const box = { left, top: EDGE, width: (size[0] ?? 1) * unit, height: height - 2 * EDGE };
    return { box, width, height };
  }
  const [down, across] = size.slice(-2);
  const [tall, wide] = [
    down + pad(before, -2) + pad(after, -2),
    across + pad(before, -1) + pad(after, -1),
  ];
  const ratio = Math.min(Math.max(wide / tall, aspect(size) / 1.5), 5);
  const [width, height] = ratio >= 1 ? [side, side / ratio] : [side * ratio, side];
  const [x, y] = [(width - 2 * EDGE) / wide, (height - 2 * EDGE) / tall];
  const [left, top] = [EDGE + pad(before, -1) * x, EDGE + pad(before, -2) * y];
  const box = { left, top, width: across * x, height: down * y };
  return { box, width, height };
}

function hatched(context, { left, top, width, height }) {
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  hatch(context, left, top, Math.max(width, height), colour("--line"));
  context.restore();
}

function drawSome(context, values, size, box, scale, slice) {
  const [height, width] = size.slice(-2);
  const start = size.length > 2 ? slice * height * width : 0;
  const plane = values.subarray(start, start + height * width);
  const image = pixels(plane, width, height, scale);
  plane.forEach((value, place) => {
    if (Number.isNaN(value)) image.data[place * 4 + 3] = 0;
  });
  context.fillStyle = colour("--sunk");
  context.fillRect(box.left, box.top, box.width, box.height);
  paint(context, image, box.left, box.top, box.width, box.height);
}

/** The places of a dilated window, one by one; none where it has no holes. */
function holes(taps, size, box, slice) {
  const follows = (tap, place, axis) => place === 0 || tap.index - axis[place - 1].index === 1;
  if (size.length < 1 || taps.every((axis) => axis.every(follows))) {
    return [];
  }
  const rows = size.length > 1 ? taps.at(-2) : [{ index: 0 }];
  return rows
    .flatMap((row) =>
      taps.at(-1).map((column) => {
        /** @type {[number, number][]} */
        const cell = [row, column].map(({ index }) => [index, index + 1]);
        for (let axis = taps.length - 2; axis > 0; axis -= 1) cell.unshift([slice, slice + 1]);
        return rectangle(cell.slice(-size.length), size, box, { slice });
      }),
    )
    .filter(Boolean);
}

function outlined(context, parts, whole) {
  const { left, top, width, height } = grown(whole);
  context.lineJoin = "round";
  for (const [stroke, thick] of [
    ["#fff", 4],
    [colour("--red"), 2],
  ]) {
    context.strokeStyle = stroke;
    context.lineWidth = thick;
    context.setLineDash(parts.length ? [4, 3] : []);
    context.strokeRect(left, top, width, height);
  }
  context.setLineDash([]);
  context.fillStyle = colour("--red");
  context.globalAlpha = 0.55;
  for (const part of parts) context.fillRect(part.left, part.top, part.width, part.height);
  context.globalAlpha = 1;
}

/** An outline that can be seen, however small the window. */
function grown({ left, top, width, height }) {
  const [across, down] = [Math.max(width, LEAST_OUTLINE), Math.max(height, LEAST_OUTLINE)];
  return {
    left: left - (across - width) / 2,
    top: top - (down - height) / 2,
    width: across,
    height: down,
  };
}

/** The place on the map under a pointer. */
export function placeUnder(event, size, { box, slice }) {
  const frame = event.currentTarget.getBoundingClientRect();
  return unitAt({ x: event.clientX - frame.left, y: event.clientY - frame.top }, size, box, {
    slice,
  });
}
