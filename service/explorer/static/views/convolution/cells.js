/**
 * Numbers in cells: a patch, a kernel or their products, of any rank; the slices of a volume side
 * by side.
 */

import { colour, sharpen } from "../../dom.js";
import { rangeOf } from "../../maps.js";
import { cssColour, inkOn } from "../../palette.js";

const GAP = 8;
const READABLE = 27;
const MARGIN = 3;

/** A diverging scale, as far on both sides of zero. */
export function around(values, palette) {
  const [low, high] = rangeOf(values);
  const top = Math.max(-low, high) || 1;
  return { palette, low: -top, high: top };
}

/**
 * How many cells across and down, and in how many slices.
 * @param {number[]} shape
 */
export function gridOf(shape) {
  const [down, across] = shape.length < 2 ? [1, shape[0] ?? 1] : shape.slice(-2);
  const slices = shape.slice(0, -2).reduce((product, size) => product * size, 1);
  return { across, down, slices };
}

/** The size of a cell, in CSS pixels, so that all slices fit into a width. */
export function cellFor(shape, width, largest = 46) {
  const { across, slices } = gridOf(shape);
  return Math.max(
    2,
    Math.min(largest, Math.floor((width - 2 * MARGIN - (slices - 1) * GAP) / (across * slices))),
  );
}

/** How wide the cells are together, in CSS pixels. */
export function widthOf(shape, cell) {
  const { across, slices } = gridOf(shape);
  return across * slices * cell + (slices - 1) * GAP + 2 * MARGIN;
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {object} drawing
 * @param {number[]} drawing.shape
 * @param {number[]} drawing.values
 * @param {boolean[] | null} drawing.inside Cells of padding are hatched.
 * @param {import("../../palette.js").Scale} drawing.scale
 * @param {number} drawing.cell
 * @param {number | null} [drawing.marked] A place to point out.
 * @param {string} [drawing.frame] The colour of a frame around each slice.
 * @param {boolean} [drawing.silent] Whether padding has no number: a maximum leaves it out.
 */
export function drawCells(
  canvas,
  { shape, values, inside, scale, cell, marked = null, frame = "", silent = false },
) {
  const { across, down, slices } = gridOf(shape);
  const context = sharpen(canvas, widthOf(shape, cell), down * cell + 2 * MARGIN);
  const [line, soft, ink] = ["--line", "--soft", "--ink"].map(colour);
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.font = `${Math.min(13, Math.max(8.5, cell * 0.29))}px ui-monospace, "DejaVu Sans Mono", monospace`;
  values.forEach((value, place) => {
    const { left, top } = corner(place, shape, cell);
    const padding = inside !== null && !inside[place];
    if (padding) hatch(context, left, top, cell, line);
    else {
      context.fillStyle = cssColour(value, scale);
      context.fillRect(left, top, cell, cell);
    }
    if (cell < READABLE || (padding && silent)) return;
    context.fillStyle = padding ? soft : inkOn(value, scale);
    context.fillText(cellText(value), left + cell / 2, top + cell / 2 + 0.5);
  });
  context.strokeStyle = line;
  context.lineWidth = 1;
  if (cell >= 12)
    values.forEach((_, place) => outline(context, corner(place, shape, cell), cell, 0.5));
  if (frame) frames(context, { across, down, slices }, cell, frame);
  if (marked !== null && marked >= 0) {
    context.strokeStyle = ink;
    context.lineWidth = 2.5;
    outline(context, corner(marked, shape, cell), cell, 1);
  }
}

function outline(context, { left, top }, cell, inset) {
  context.strokeRect(left + inset, top + inset, cell - 2 * inset, cell - 2 * inset);
}

function frames(context, { across, down, slices }, cell, stroke) {
  context.strokeStyle = stroke;
  context.lineWidth = 2;
  for (let slice = 0; slice < slices; slice += 1) {
    const left = MARGIN + slice * (across * cell + GAP);
    context.strokeRect(left - 1, MARGIN - 1, across * cell + 2, down * cell + 2);
  }
}

/** Padding: no part of the map, so no colour of a value. */
export function hatch(context, left, top, size, stroke) {
  context.save();
  context.beginPath();
  context.rect(left, top, size, size);
  context.clip();
  context.fillStyle = colour("--sunk");
  context.fillRect(left, top, size, size);
  context.strokeStyle = stroke;
  context.lineWidth = 1;
  context.beginPath();
  for (let along = -size; along < size; along += 6) {
    context.moveTo(left + along, top + size);
    context.lineTo(left + along + size, top);
  }
  context.stroke();
  context.restore();
}

function corner(place, shape, cell) {
  const { across, down } = gridOf(shape);
  const slice = Math.floor(place / (across * down));
  const within = place % (across * down);
  return {
    left: MARGIN + slice * (across * cell + GAP) + (within % across) * cell,
    top: MARGIN + Math.floor(within / across) * cell,
  };
}

/** The place of the cell at a point of the canvas; null between cells. */
export function placeAt({ x, y }, shape, cell) {
  const { across, down, slices } = gridOf(shape);
  const stride = across * cell + GAP;
  const slice = Math.floor((x - MARGIN) / stride);
  const column = Math.floor((x - MARGIN - slice * stride) / cell);
  const row = Math.floor((y - MARGIN) / cell);
  const hit =
    slice >= 0 && slice < slices && column >= 0 && column < across && row >= 0 && row < down;
  return hit ? (slice * down + row) * across + column : null;
}

/** A number short enough for a cell. */
export function cellText(value) {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return "–";
  const text = brief(Math.abs(value));
  return value < 0 && text !== "≈0" ? `−${text}` : text;
}

function brief(size) {
  if (size >= 1e4) return size.toExponential(0).replace("+", "");
  if (size >= 100) return size.toFixed(0);
  if (size >= 10) return size.toFixed(1);
  if (size >= 0.00995) return size.toFixed(2);
  return size >= 0.0005 ? size.toFixed(3).slice(1) : "≈0";
}
